"""The same run under every named form of its fill model: how much of the result is a belief about the queue (P3)."""

from typing import Any, Protocol

from pmrun.runner.desk import Desk
from pmrun.runner.errors import ConfigError
from pmrun.runner.hooks import Depth, Hooks
from pmrun.runner.memory import NOTHING, Values
from pmrun.runner.pnl import Pnl
from pmrun.runner.ports import Executor, FeedData
from pmrun.runner.simulate import Simulation
from pmrun.runner.summary import Tally, summarise


class Bracketed(Protocol):
    """What of a plan it takes."""

    @property
    def fill(self) -> Any:
        """The fill model; `bracket()` returns its forms by name."""

    @property
    def executor(self) -> Executor:
        """Where the runs are filled."""

    @property
    def settings(self) -> Any:
        """The settings of the desk."""

    def desk(self, name: str) -> Desk:
        """Build a fresh desk."""

    def depth(self, hooks: Hooks) -> Depth:
        """Return how deep books are told."""


def check_bracket(fill: Any) -> None:
    """Refuse a fill model without forms before anything starts; raises ConfigError."""
    if not hasattr(fill, "bracket"):
        raise ConfigError("bracket", "true", "this fill model has one form only; choose fill=queue")


def bracket(plan: Bracketed, data: FeedData, name: str, known: Values = NOTHING.values) -> dict[str, dict[str, Any]]:
    """Run once for each form, with no journal, and return `fills` and `pnl_usd` of each as in the summary.

    A form that is more pessimistic fills a given order no more than another at any moment. Whole runs need not be in
    that order: a desk that was filled quotes differently afterwards.
    """
    check_bracket(plan.fill)
    found = {}
    for form, fill in plan.fill.bracket().items():
        desk, tally = plan.desk(name), Tally()
        pnl = Pnl(desk)
        exchange = plan.executor.open(data, fill, plan.depth(desk.hooks), not plan.settings.gated)
        for _ in Simulation(desk, exchange, [tally, pnl], "the feed ended", remembered=known).run():
            pass
        summary = summarise(desk, tally, pnl.result(), data.info, {})
        found[form] = {key: summary[key] for key in ("fills", "pnl_usd")}
    return found
