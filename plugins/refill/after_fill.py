"""When to bid again after being filled."""

from dataclasses import dataclass, field

from pmrun.runner.facts import Fact, Filled
from pmrun.runner.hooks import NO_BOOK, Objection, Wanted, hookimpl
from pmrun.runner.market import MarketNo, Outcome
from pmrun.runner.orders import Order, State
from pmrun.runner.units import Micros, Side


@dataclass(slots=True, eq=False)
class AfterFill:
    """A fully filled bid is placed again after `wait` seconds, or never when `enabled` is false (R11)."""

    enabled: bool = True
    wait: Micros = Micros(0)
    order: int | None = None
    _filled: dict[tuple[MarketNo, Outcome], Micros] = field(default_factory=dict, init=False, repr=False)

    depth = NO_BOOK
    safety = False  # waiting after a fill says nothing of the market (R3)
    observes = (Filled,)

    def __post_init__(self) -> None:
        """Refuse a wait below nothing."""
        if not self.wait >= 0:
            raise ValueError("wait must be 0 seconds or more")

    @hookimpl
    def observe(self, fact: Fact, market_no: MarketNo | None, order: Order | None) -> None:
        """Remember when a bid was filled whole."""
        if order is not None and market_no is not None and order.side is Side.BUY and order.state is State.FILLED:
            self._filled[market_no, order.outcome] = fact.at

    @hookimpl
    def next_wake(self, market_no: MarketNo, at: Micros) -> Micros | None:
        """Wake when the market's next wait is over."""
        if not self.enabled or not self.wait:
            return None
        filled = (self._filled.get((market_no, outcome)) for outcome in Outcome)
        ends = (Micros(when + self.wait) for when in filled if when is not None)
        return min((end for end in ends if end > at), default=None)

    @hookimpl
    def object_to_order(self, order: Wanted, market_no: MarketNo, resting: bool, at: Micros) -> Objection | None:
        """Object to bidding again too soon."""
        filled = self._filled.get((market_no, order.outcome))
        if filled is None or resting or order.side is not Side.BUY:
            return None
        if not self.enabled:
            return Objection("no_refill", {})
        if at < filled + self.wait:
            return Objection("refill_wait", {"until": filled + self.wait})
        return None
