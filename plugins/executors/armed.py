"""What every executor with real orders has in common: armed and capped, or a dry run."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pmrun.plugins.executors.paper import Paper
from pmrun.runner.errors import ConfigError
from pmrun.runner.ports import LiveExchange, LiveSetup
from pmrun.runner.units import SECOND, Cash, Micros


@dataclass(frozen=True, slots=True, eq=False)
class Armed:
    """Sends orders once `armed` is true and both caps are set: until then the paper exchange fills on the live feed."""

    armed: bool = False
    max_order_usd: Cash | None = None
    max_resting_usd: Cash | None = None
    sweep: Micros = Micros(30 * SECOND)
    blind: Micros = Micros(20 * SECOND)
    account_folder: str | None = None
    dry_funds: Cash = Cash(1_000_000_000)

    called: ClassVar[str]  # the executor's name
    feed: ClassVar[str]  # the name of its feed
    waits: ClassVar[tuple[str, ...]] = ("sweep", "blind")  # settings that are times

    def __post_init__(self) -> None:
        """Refuse what could not limit anything, and arms without caps."""
        for name in ("max_order_usd", "max_resting_usd"):
            cap = getattr(self, name)
            if cap is not None and cap <= 0:
                raise ValueError(f"{name} must be above 0 dollars")
            if self.armed and cap is None:
                raise ValueError(f"{name} must be set before live trading is armed: live.{name}=DOLLARS")
        for name in self.waits:
            if not SECOND <= getattr(self, name) <= 600 * SECOND:
                raise ValueError(f"{name} must be from 1 to 600 seconds")
        if self.dry_funds <= 0:
            raise ValueError("dry_funds must be above 0 dollars")
        self.check()

    def check(self) -> None:
        """Refuse what one exchange cannot be asked for; raises ValueError."""

    @property
    def book_holds_us(self) -> bool:
        """Whether the books that are seen show our own orders (O12): not in a dry run."""
        return self.armed

    @property
    def remembers(self) -> bool:
        """Whether what components carry is kept in the account's file, and not where paper runs keep it."""
        return self.armed

    @property
    def folder(self) -> Path | None:
        """Where the account's file is kept."""
        return None if self.account_folder is None else Path(self.account_folder).expanduser()

    @property
    def caps(self) -> tuple[Cash, Cash]:
        """The most that one order may be worth, and all bids in play together."""
        assert self.max_order_usd is not None, "an armed executor has its caps"
        assert self.max_resting_usd is not None, "an armed executor has its caps"
        return self.max_order_usd, self.max_resting_usd

    def open(self, *_: Any) -> Any:
        """Refuse a feed that is not live: orders for yesterday's book would be sent today."""
        raise ConfigError("executor", self.called, f"needs a live feed: feed={self.feed}")

    def books_of(self, *given: Any) -> Any:
        """Refuse likewise: a live run's journal holds its books."""
        return self.open(*given)

    @asynccontextmanager
    async def attach(self, data: Any, setup: LiveSetup) -> AsyncIterator[LiveExchange]:
        """Connect to the account; raises PmrunError when it cannot be trusted to trade."""
        if not self.armed:
            from pmrun.plugins.executors.live_paper import DRY_RUN

            async with Paper(funds=self.dry_funds).attach(data, setup) as paper:
                paper.mode = DRY_RUN
                yield paper
            return
        async with self.connect(data, setup) as exchange:
            yield exchange

    def connect(self, data: Any, setup: LiveSetup) -> AbstractAsyncContextManager[LiveExchange]:
        """Connect to the account with real orders."""
        raise NotImplementedError
