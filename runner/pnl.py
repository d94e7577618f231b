"""Splits what a run made into parts, each from records of its own, and checks that they sum to the wallet (P8).

Everything is counted in 1/20,000,000,000 dollar (`UNIT`): half a price times a size, so that mids are exact.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from pmrun.runner.book import Book
from pmrun.runner.desk import Desk
from pmrun.runner.facts import (
    BookChanged,
    Fact,
    Filled,
    FundsSeen,
    HoldingSeen,
    Listed,
    MarketStatus,
    Merged,
    Settled,
    StatusChanged,
    each,
)
from pmrun.runner.intents import Intent, Merge
from pmrun.runner.market import MarketNo, Outcome
from pmrun.runner.orders import OrderNo, Purpose, Settlement, TradeId, settles
from pmrun.runner.pnl_ledger import UNITS_PER_CASH, Booked, Ledger
from pmrun.runner.pnl_result import MarketPnl, Result
from pmrun.runner.units import Cash, Micros

__all__ = ["Pnl"]

Key = tuple[TradeId, OrderNo]
FAILED: Final = Settlement.FAILED
QUOTE: Final = Purpose.QUOTE


class Pnl:
    """Follows cash, shares and mids from the facts; an observer.

    The desk is asked which fills it took and for what an order was; amounts are those of the facts. Law: the parts of a
    market sum to its cash and its holdings at the mid, to the last unit, and those of all markets to the wallet.
    """

    takes_together = True

    def __init__(self, desk: Desk) -> None:
        """Start before the first fact."""
        self._desk = desk
        self._ledgers: dict[MarketNo, Ledger] = {}
        self._books: dict[MarketNo, Book | None] = {}  # of listed markets, the last that showed a price
        self._booked: dict[Key, Booked] = {}
        self._status: dict[Key, Settlement] = {}
        self._early: dict[Key, Settlement] = {}  # news of a settlement that overtook its fill
        self._merging: dict[tuple[MarketNo, int], int] = {}
        self.opening_cash: int | None = None
        self._opened_at = Micros(0)
        self.opening_holdings = 0  # what was held at the start had cost, in units
        self.cash_moved = 0  # told by the exchange later, and explained by nothing that we did
        self._take_over()
        self.of_fact: dict[type[Any], Callable[[Any], None]] = {
            BookChanged: self._book_changed,
            Listed: self._listed,
            Filled: self._filled,
            Settled: self._settled,
            Merged: self._merged,
            StatusChanged: self._status_changed,
            FundsSeen: self._funds_seen,
            HoldingSeen: self._holding_seen,
        }

    def record(self, fact: Fact, intents: Sequence[Intent]) -> None:
        """Take one step of the desk."""
        for one in each(fact):
            learn = self.of_fact.get(type(one))
            if learn is not None:
                learn(one)
        for intent in intents:
            if type(intent) is Merge:
                self.asked_to_merge(intent)

    def close(self) -> None:
        """Nothing to finish."""

    def asked_to_merge(self, intent: Merge) -> None:
        """Keep what is asked for: an answer to nothing is not booked."""
        self._merging[intent.market, intent.no] = intent.size

    @property
    def transfers(self) -> int:
        """Return the cash and holdings that came or went without a trade of ours since the start, in units."""
        return self.cash_moved * UNITS_PER_CASH + sum(ledger.transfers for ledger in self._ledgers.values())

    @property
    def opening(self) -> int:
        """Return what there was at the start, holdings at what they had cost, in units."""
        return (self.opening_cash or 0) * UNITS_PER_CASH + self.opening_holdings

    def result(self) -> Result:
        """Return the parts as they stand now, beside what the desk says that there is."""
        account = self._desk.account
        held = {no for no, inventory in account.markets() if any(inventory.of(outcome).held for outcome in Outcome)}
        markets = {no: self._of_market(no) for no in sorted(self._ledgers.keys() | held)}
        wallet = account.funds.total - self._cash()
        return Result(
            markets=markets,
            opening=self.opening,
            closing=self._desk.equity() * UNITS_PER_CASH,
            transfers=self.transfers,
            noticed=tuple(self._complaints(wallet, markets)),
        )

    def _take_over(self) -> None:
        """Start with what the desk has, where it was told something before."""
        account = self._desk.account
        if account.funds.total:
            self.opening_cash = account.funds.total
        for no, state in self._desk.markets.items():
            self._books[no] = state.observed
        for no, inventory in account.markets():
            for outcome in Outcome:
                holding = inventory.of(outcome)
                if holding.held or holding.cost:
                    seen = self._ledger(no).see(outcome, holding.held, Cash(holding.cost), at_start=True)
                    self.opening_holdings += seen

    # Facts.

    def _listed(self, fact: Listed) -> None:
        self._books.setdefault(fact.market, None)

    def _book_changed(self, fact: BookChanged) -> None:
        if fact.market in self._books and (fact.book.bids or fact.book.asks):
            self._books[fact.market] = fact.book

    def _filled(self, fact: Filled) -> None:
        key = fact.trade, fact.order
        fill = self._desk.account.fills.get(key)
        if fill is None or key in self._booked:
            return  # not taken by the desk, or told twice
        order = self._desk.orders.get(fact.order)
        booked = Booked(
            outcome=fill.outcome,
            side=fill.side,
            price=fact.price,
            size=fact.size,
            cash=fact.cash,
            fee=fact.fee,
            quote=order is None or order.purpose is QUOTE,
        )
        self._booked[key] = booked
        self._status[key] = Settlement.MATCHED
        self._ledger(fill.market).fill(booked)
        early = self._early.pop(key, None)
        if early is not None:
            self._settle(key, early)
        self._ledger(fill.market).pay_all()

    def _settled(self, fact: Settled) -> None:
        key = fact.trade, fact.order
        if key in self._booked:
            self._settle(key, fact.status)
        elif fact.order in self._desk.orders:
            known = self._early.get(key)
            if known is None or settles(known, fact.status):
                self._early[key] = fact.status

    def _settle(self, key: Key, status: Settlement) -> None:
        if not settles(self._status[key], status):
            return
        self._status[key] = status
        ledger = self._ledger(self._desk.account.fills[key].market)
        if status is FAILED:
            ledger.take_back(self._booked[key])
        elif status is Settlement.CONFIRMED:
            ledger.confirm(self._booked[key])

    def _merged(self, fact: Merged) -> None:
        asked = self._merging.get((fact.market, fact.no))
        if asked is None or fact.size > asked:
            return  # told twice, or impossible
        del self._merging[fact.market, fact.no]
        if fact.size:
            self._ledger(fact.market).merge(fact.size, fact.cash)
            self._ledger(fact.market).pay_all()

    def _status_changed(self, fact: StatusChanged) -> None:
        if fact.market in self._books and fact.status is MarketStatus.RESOLVED and fact.settled_yes is not None:
            self._ledger(fact.market).resolve(fact.settled_yes)

    def _funds_seen(self, fact: FundsSeen) -> None:
        """Take the first word for the start; a later one that differs is cash from outside, or cash gone."""
        if self.opening_cash is None:
            self.opening_cash, self._opened_at = fact.total, fact.at
            self.cash_moved = -sum(ledger.cash for ledger in self._ledgers.values())
        else:
            self.cash_moved += fact.total - self._cash()

    def _holding_seen(self, fact: HoldingSeen) -> None:
        if fact.market not in self._books:
            return
        ledger = self._ledger(fact.market)
        if ledger.pending[fact.outcome]:
            return  # the desk does not take it either
        at_start = self.opening_cash is None or fact.at <= self._opened_at
        self.opening_holdings += ledger.see(fact.outcome, fact.size, fact.cost, at_start)

    # Reckoning.

    def _ledger(self, no: MarketNo) -> Ledger:
        """Return a market's ledger, its holdings valued at the last book."""
        ledger = self._ledgers.get(no)
        if ledger is None:
            ledger = self._ledgers[no] = Ledger()
        book = self._books.get(no)
        if book is not None:
            ledger.revalue(book.mark_half)
        return ledger

    def _cash(self) -> int:
        """Return the cash there must be, from all that moved it."""
        return (self.opening_cash or 0) + self.cash_moved + sum(ledger.cash for ledger in self._ledgers.values())

    def _of_market(self, no: MarketNo) -> MarketPnl:
        """Return a market's parts, beside what its cash and the desk's valuation of its holdings come to."""
        ledger = self._ledger(no)
        inventory = self._desk.account.inventory(no)
        worth = int(self._desk.value(no, inventory)) * UNITS_PER_CASH
        parts = ledger.parts_at(int(inventory.cost) * UNITS_PER_CASH)
        made = ledger.cash * UNITS_PER_CASH + worth - ledger.opening - ledger.transfers
        held = {outcome: (ledger.held[outcome], int(inventory.of(outcome).held)) for outcome in ledger.held}
        return MarketPnl(parts=parts, made=made, value=worth, held=held)

    def _complaints(self, wallet: int, markets: dict[MarketNo, MarketPnl]) -> Iterator[str]:
        if wallet:
            yield f"the cash is {wallet} base units more than what moved it explains"
        for no, found in markets.items():
            for outcome, (ours, desk) in found.held.items():
                if ours != desk:
                    yield f"market {no}: the fills leave {ours} base units of {outcome}, the account holds {desk}"
            if found.unexplained:
                yield f"market {no}: {found.unexplained} units (1/20,000,000,000 dollar) are in no part"
