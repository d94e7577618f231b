"""The records of one market: what moved cash and shares, and which part of the PnL each movement belongs to.

A movement is explained by the mid of its moment. Where no price was known yet, it waits for the first one.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from pmrun.runner.market import Outcome
from pmrun.runner.units import NOTIONAL_PER_CASH, ONE, PRICE_SCALE, SIZE_SCALE, Cash, HalfPrice, Price, Side, Size

UNITS_PER_DOLLAR: Final = 2 * PRICE_SCALE * SIZE_SCALE
UNITS_PER_CASH: Final = 2 * NOTIONAL_PER_CASH
PAIR: Final = 2 * ONE  # a pair in half prices: a mid of YES and the mid of NO sum to it


class Parts(msgspec.Struct):
    """What was made, by cause, in units; what was lost is below zero."""

    spread: int = 0  # quotes: the mid at the fill against the price
    hedge: int = 0  # the same for hedging and flattening: what it cost to come back
    markout: int = 0  # what was held gained as the mid moved
    fees: int = 0
    merge: int = 0  # what merged pairs paid against a dollar each
    resolution: int = 0  # what resolved markets paid against the last mid
    adopted: int = 0  # what was held at the start, at the first mid, against what it had cost
    unpriced: int = 0  # gains by cost, where no mid was ever known
    rounding: int = 0  # cash moves in base units, and holdings are valued in them

    @property
    def total(self) -> int:
        """The sum."""
        return sum(msgspec.structs.astuple(self))


class Booked(msgspec.Struct):
    """A fill as it was booked; `mark` is twice the mid of YES then, `late` says that the market was resolved before."""

    outcome: Outcome
    side: Side
    price: Price
    size: Size
    cash: Cash
    fee: Cash
    quote: bool
    mark: HalfPrice = HalfPrice(0)
    late: bool = False

    @property
    def shares(self) -> int:
        """The signed change of the holding."""
        return self.size if self.side is Side.BUY else -self.size

    @property
    def gross(self) -> int:
        """The signed change of the cash, without the fee."""
        return -self.cash if self.side is Side.BUY else self.cash

    @property
    def rounding(self) -> int:
        """What the cash differs from price times size, in units."""
        return self.gross * UNITS_PER_CASH + 2 * self.price * self.shares


def of_token(mark: int, outcome: Outcome) -> int:
    """Return twice the mid of a token, from that of YES."""
    return mark if outcome is Outcome.YES else PAIR - mark


class Ledger:
    """Cash and shares of one market as the facts moved them, and the parts they belong to."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.cash = 0  # all that fills, merges and resolution moved, in base units
        self.held = dict.fromkeys(Outcome, 0)
        self.pending = dict.fromkeys(Outcome, 0)  # bought and not settled
        self.opening = 0  # what was held at the start had cost, in units
        self.transfers = 0  # shares that came or went later without a trade of ours, in units
        self._costs = dict.fromkeys(Outcome, 0)  # what the exchange last said that holdings had cost
        self._parts = Parts()
        self._mark: int | None = None  # twice the mid of YES at which holdings are valued
        self._waiting: list[Callable[[int], None]] = []  # movements before the first price
        self._paid: Price | None = None  # what YES paid, once resolved
        self._paid_mark = 0  # the mark at that moment
        self._resolved = False  # whether the parts know of it

    def revalue(self, mark: int) -> None:
        """Value what is held at a mark; the first one explains everything that waited for a price."""
        if self._mark is None:
            self._mark = mark
            waiting, self._waiting = self._waiting, []
            for explain in waiting:
                explain(mark)
            return
        if mark != self._mark:
            net = self.held[Outcome.YES] - self.held[Outcome.NO]
            self._parts.markout += net * (mark - self._mark)
            self._mark = mark

    def fill(self, fill: Booked) -> None:
        """Book a fill."""
        self.cash += fill.gross - fill.fee
        self.held[fill.outcome] += fill.shares
        if fill.side is Side.BUY:
            self.pending[fill.outcome] += fill.size
        self._explain(lambda mark: self._earn(fill, mark))

    def confirm(self, fill: Booked) -> None:
        """Learn that a fill is settled."""
        if fill.side is Side.BUY and self._paid is None:
            self.pending[fill.outcome] -= fill.size

    def take_back(self, fill: Booked) -> None:
        """Reverse a fill that failed to settle, in every part that it entered."""
        self.cash -= fill.gross - fill.fee
        self.held[fill.outcome] -= fill.shares
        if fill.side is Side.BUY:
            self.pending[fill.outcome] -= fill.size
        self._explain(lambda mark: self._lose(fill, mark))
        if self._paid is not None:
            self._pay(fill.outcome, self._paid)

    def merge(self, size: Size, cash: Cash) -> None:
        """Turn pairs into cash."""
        self.cash += cash
        for outcome in Outcome:
            self.held[outcome] -= size
        self._explain(lambda mark: self._add("merge", cash * UNITS_PER_CASH - size * PAIR))

    def resolve(self, settled_yes: Price) -> None:
        """Pay out what is held: YES gets `settled_yes`, NO the rest of a dollar."""
        self._paid = settled_yes
        self.pay_all()
        self._explain(self._end)

    def pay_all(self) -> None:
        """Pay out what was told of after the end."""
        if self._paid is not None:
            for outcome in Outcome:
                self._pay(outcome, self._paid)

    def see(self, outcome: Outcome, size: Size, cost: Cash, at_start: bool) -> int:
        """Take over what the exchange says is held; return what was there at the start had cost, in units."""
        shares = size - self.held[outcome]
        grown = (cost - self._costs[outcome]) * UNITS_PER_CASH
        self.held[outcome], self._costs[outcome] = size, cost
        if at_start:
            self.opening += grown
            self._explain(lambda mark: self._add("adopted", shares * of_token(mark, outcome) - grown))
            return grown
        counted = 0 if self._mark is not None else grown  # at cost as long as there is no price
        self.transfers += counted
        self._explain(lambda mark: self._transfer(shares * of_token(mark, outcome) - counted))
        return 0

    def parts_at(self, cost: int) -> Parts:
        """Return the parts with holdings at the last mark, rounded down to a base unit; `cost` is theirs, in units.

        Without any mark holdings count at cost, as the account counts them.
        """
        parts = msgspec.structs.replace(self._parts)
        if self._mark is None:
            parts.unpriced += self.cash * UNITS_PER_CASH + cost - self.opening - self.transfers
        else:
            parts.rounding -= sum(held * of_token(self._mark, o) for o, held in self.held.items()) % UNITS_PER_CASH
        return parts

    # Parts.

    def _explain(self, explain: Callable[[int], None]) -> None:
        if self._mark is None:
            self._waiting.append(explain)
        else:
            explain(self._mark)

    def _add(self, part: str, amount: int) -> None:
        setattr(self._parts, part, getattr(self._parts, part) + amount)

    def _transfer(self, amount: int) -> None:
        self.transfers += amount

    def _earn(self, fill: Booked, mark: int) -> None:
        fill.mark, fill.late = HalfPrice(mark), self._resolved
        self._enter(fill, 1)

    def _enter(self, fill: Booked, sign: int) -> None:
        edge = fill.shares * (of_token(fill.mark, fill.outcome) - 2 * fill.price)
        self._add("spread" if fill.quote else "hedge", sign * edge)
        self._parts.rounding += sign * fill.rounding
        self._parts.fees -= sign * fill.fee * UNITS_PER_CASH

    def _lose(self, fill: Booked, mark: int) -> None:
        """Take a fill out again, and what its shares gained since, until now or until they were paid out."""
        self._enter(fill, -1)
        until = mark if not self._resolved else fill.mark if fill.late else self._paid_mark
        net = fill.shares if fill.outcome is Outcome.YES else -fill.shares
        self._parts.markout -= net * (until - fill.mark)
        self._parts.resolution -= net * (mark - until)

    def _pay(self, outcome: Outcome, settled_yes: Price) -> None:
        shares = self.held[outcome]
        price = settled_yes if outcome is Outcome.YES else ONE - settled_yes
        cash = shares * price // NOTIONAL_PER_CASH
        self.cash += cash
        self.held[outcome] = self.pending[outcome] = 0
        if shares:
            self._explain(lambda mark: self._redeemed(shares, price, cash, of_token(mark, outcome)))

    def _redeemed(self, shares: int, price: int, cash: int, worth: int) -> None:
        self._parts.resolution += shares * (2 * price - worth)
        self._parts.rounding += cash * UNITS_PER_CASH - 2 * price * shares

    def _end(self, mark: int) -> None:
        if not self._resolved:
            self._resolved, self._paid_mark = True, mark
