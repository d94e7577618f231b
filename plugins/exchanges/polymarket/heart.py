"""Heartbeats: only while the desk turns; without them the exchange cancels everything (reference 3.6)."""

from collections import Counter
from collections.abc import Callable
from typing import NoReturn

import trio
from loguru import logger

from pmrun.plugins.exchanges.common.trouble import Trouble
from pmrun.plugins.exchanges.polymarket.rest import Rest
from pmrun.plugins.exchanges.polymarket.trading_terms import Pace
from pmrun.runner.errors import ExchangeError, ProtocolViolation
from pmrun.runner.units import SECOND, Micros

log = logger.bind(module="orders")
NO_HEARTBEAT = "no heartbeat"


class Heart:
    """Keeps our orders alive at the exchange once something was sent."""

    def __init__(
        self,
        rest: Rest,
        now: Callable[[], Micros],
        pace: Pace,
        trouble: Callable[[str, bool], None],
        look: Callable[[], None],
        counts: Counter[str],
    ) -> None:
        """Rest until `begin`."""
        self._rest = rest
        self._now = now
        self._pace = pace
        self._trouble = trouble
        self._look = look
        self._counts = counts
        self._silent = Trouble(log, "heartbeat", now)
        self._beating = False
        self._id = ""
        self._begun = trio.Event()
        self._beaten: Micros | None = None  # when the exchange took one last
        self._turned = now()

    def begin(self) -> None:
        """Beat from here on: an order leaves."""
        self._beating = True
        self._begun.set()

    def stop(self) -> None:
        """Beat no more: nothing rests."""
        self._beating = False

    def turned(self, at: Micros) -> None:
        """Hear that the desk is alive."""
        self._turned = at

    async def run(self) -> NoReturn:
        """Beat until cancelled: at once with the first order, for a crash right after it has to be covered too."""
        await self._begun.wait()
        wait = Micros(0)
        while True:
            await trio.sleep(wait / SECOND)
            wait = self._pace.heartbeat
            if self._beating and self._now() - self._turned <= self._pace.desk_alive and not await self._beat():
                wait = self._pace.retry

    async def _beat(self) -> bool:
        try:
            with trio.fail_after(self._pace.heartbeat_within / SECOND):
                self._id = await self._rest.heartbeat(self._id)
        except (ExchangeError, ProtocolViolation, trio.TooSlowError) as error:
            self._missed(str(error) or f"no answer within {self._pace.heartbeat_within / SECOND:g} s")
            return False
        self._beaten = self._now()
        self._silent.over()
        self._trouble(NO_HEARTBEAT, False)
        return True

    def _missed(self, why: str) -> None:
        self._counts["heartbeats_failed"] += 1
        self._silent.met(why)
        if self._beaten is None or self._now() - self._beaten > self._pace.heartbeat_lost:
            self._trouble(NO_HEARTBEAT, True)
            self._look()
