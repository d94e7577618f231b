"""An exchange that fills our orders against a feed, on a virtual clock: paper trading."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import trio

from pmrun.plugins.executors import kernel
from pmrun.plugins.executors.fill import FillModel
from pmrun.plugins.executors.paper_exchange import PaperExchange
from pmrun.plugins.executors.told import Told
from pmrun.runner.book import Book
from pmrun.runner.hooks import Depth
from pmrun.runner.market import MarketNo
from pmrun.runner.ports import FeedData, LiveSetup
from pmrun.runner.units import Cash, Micros

if TYPE_CHECKING:
    from pmrun.plugins.executors.live_paper import LivePaper


@dataclass(frozen=True, slots=True, eq=False)
class Paper:
    """Fill orders from a feed, with latency both ways and the exchange's rules: post-only, tick, minimum size, fees.

    Latencies are in seconds: `submit_latency` until a request arrives, `answer_latency` until its answer, or news of a
    fill, is back. A fill settles `settlement_delay` seconds after its news, or fails then with the probability
    `settlement_failure`, drawn for each trade from `seed`. Every `reject_every`-th order is rejected (0: none), so that
    a failed hedge can be rehearsed (R10).
    """

    funds: Cash = Cash(1_000_000_000)
    submit_latency: Micros = Micros(50_000)
    answer_latency: Micros = Micros(50_000)
    settlement_delay: Micros = Micros(0)
    settlement_failure: float = 0.0
    reject_every: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse money and times below nothing."""
        if not 0 < self.funds < 10**17:
            raise ValueError("funds must be above 0 and below 100,000,000,000 dollars")
        for name in ("submit_latency", "answer_latency", "settlement_delay"):
            if not 0 <= getattr(self, name) < 10**12:
                raise ValueError(f"{name} must be from 0 to below 1,000,000 seconds")
        if not 0 <= self.settlement_failure <= 1:
            raise ValueError("settlement_failure must be from 0 to 1")
        for name in ("reject_every", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more")

    def open(self, data: FeedData, fill: FillModel, depth: Depth, everything: bool) -> "PaperExchange":
        """Start an exchange over a feed; the first one on a machine compiles the kernel."""
        kernel.warm_up()
        return PaperExchange(self, data, fill, depth, everything)

    @asynccontextmanager
    async def attach(self, data: Any, setup: LiveSetup) -> AsyncIterator["LivePaper"]:
        """Fill orders from a live feed: nothing leaves this machine."""
        from pmrun.plugins.executors.live_paper import LivePaper

        await trio.to_thread.run_sync(kernel.warm_up)
        paper = LivePaper(self, data, setup)
        await data.start(setup.depth, setup.everything)
        yield paper

    def books_of(self, data: FeedData, depth: Depth) -> Callable[[MarketNo, int], Book]:
        """Return a way to look up the book of a market after so many frames, asked in order; for replay."""
        books = kernel.new_books(np.array(data.steps, np.int64))
        queues = kernel.new_queues(len(data.markets))
        fills, rules = kernel.new_fills(), np.zeros(kernel.RULES, np.int64)
        told = Told(books, depth, False)
        done = 0

        def book(market: MarketNo, upto: int) -> Book:
            nonlocal done
            end = int(np.searchsorted(data.rows.frame, upto, "right"))
            rows = kernel.Rows(*(column[done:end] for column in data.rows))
            kernel.advance(books, queues, rows, 0, 2**62, 0, rules, fills)
            done = max(done, end)
            return told.book(market)

        return book
