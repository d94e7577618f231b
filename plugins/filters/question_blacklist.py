"""No markets about certain things."""

from dataclasses import dataclass

from pmrun.runner.hooks import NO_BOOK, Objection, hookimpl
from pmrun.runner.market import Market


@dataclass(frozen=True, slots=True, eq=False)
class QuestionBlacklist:
    """Drop markets whose question holds a keyword, in any case, also inside a word (R1).

    Inside a word too, because the mistake is then a market not traded, which the funnel shows.
    """

    question_blacklist: tuple[str, ...] = ("Trump",)
    order: int | None = None
    depth = NO_BOOK

    def __post_init__(self) -> None:
        """Refuse a keyword that every question holds."""
        if not all(keyword.strip() for keyword in self.question_blacklist):
            raise ValueError("question_blacklist must hold no empty keyword")

    @hookimpl
    def reject_market(self, market: Market) -> Objection | None:
        """Reject a question with a keyword in it."""
        question = market.question.casefold()
        for keyword in self.question_blacklist:
            if keyword.casefold() in question:
                return Objection("blacklisted_question", {"keyword": keyword})
        return None
