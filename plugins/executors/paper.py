"""An exchange that fills our orders against a feed, on a virtual clock: paper trading."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import trio

from pmrun.plugins.executors import kernel
from pmrun.plugins.executors.fill import FillModel
from pmrun.plugins.executors.live_paper import LivePaper
from pmrun.plugins.executors.paper_exchange import PaperExchange
from pmrun.plugins.executors.paper_terms import PaperTerms
from pmrun.plugins.executors.told import Told
from pmrun.runner.book import Book
from pmrun.runner.hooks import Depth
from pmrun.runner.market import MarketNo
from pmrun.runner.ports import FeedData, LiveSetup


@dataclass(frozen=True, slots=True, eq=False)
class Paper(PaperTerms):
    """Fill orders from a feed, with latency both ways and the exchange's rules: post-only, tick, minimum size, fees.

    Latencies are in seconds: `submit_latency` until a request arrives, `answer_latency` until its answer, or news of a
    fill, is back. A fill settles `settlement_delay` seconds after its news, or fails then with the probability
    `settlement_failure`, drawn for each trade from `seed`. Merged pairs are cash `merge_delay` seconds after
    the request arrived (a block of the chain). Every `reject_every`-th order is rejected (0: none), so that a failed
    hedge can be rehearsed (R10).
    """

    def open(self, data: FeedData, fill: FillModel, depth: Depth, everything: bool) -> PaperExchange:
        """Start an exchange over a feed; the first one on a machine compiles the kernel."""
        kernel.warm_up()
        return PaperExchange(self, data, fill, depth, everything)

    @asynccontextmanager
    async def attach(self, data: Any, setup: LiveSetup) -> AsyncIterator[LivePaper]:
        """Fill orders from a live feed: nothing leaves this machine."""
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
