"""Follows what was bought to how it was sold: first in, first out, market by market."""

import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

FILLS: Final = (
    "SELECT f.market, f.outcome, f.side, f.at_us, f.price_e4, f.size_e6, o.purpose, o.basis "
    "FROM fills f JOIN orders o USING (order_no) WHERE f.settlement != 'failed' ORDER BY f.at_us, f.rowid"
)
# What the bases of a hedge mean (R9), for a reader.
STEPS: Final = {
    "hedge_cover": "into bids that take all of it",
    "hedge_best_bid": "at the best bid",
    "hedge_rest": "rested above cost",
    "stop_loss": "stop loss",
    "take_profit": "take profit",
}


class Traded(NamedTuple):
    """A fill as far as following it goes: base units, microseconds."""

    market: int
    outcome: str
    side: str
    at: int
    price: int
    size: int
    purpose: str
    basis: str


class Part(NamedTuple):
    """Shares that were bought together and sold together; not sold yet where `sale` is None."""

    bought: Traded
    sale: Traded | None
    size: int

    @property
    def took_us(self) -> int | None:
        """Return how long they were held."""
        return None if self.sale is None else self.sale.at - self.bought.at

    @property
    def gain(self) -> int:
        """Return the gain in price x size, fees left out; 0 while they are held."""
        return 0 if self.sale is None else (self.sale.price - self.bought.price) * self.size


def parts(fills: Sequence[Traded]) -> Iterator[Part]:
    """Pair purchases and sales of a token, the oldest first; shares that are held still come last.

    Law: the parts of a purchase add up to it, and those of a sale to as much of it as had been bought.
    """
    open_lots: dict[tuple[int, str], deque[tuple[Traded, int]]] = {}
    for fill in fills:
        lots = open_lots.setdefault((fill.market, fill.outcome), deque())
        if fill.side == "BUY":
            lots.append((fill, fill.size))
            continue
        left = fill.size
        while left and lots:
            bought, held = lots.popleft()
            size = min(left, held)
            yield Part(bought, fill, size)
            left -= size
            if held > size:
                lots.appendleft((bought, held - size))
    for lots in open_lots.values():
        for bought, held in lots:
            yield Part(bought, None, held)


def parts_of(db: sqlite3.Connection) -> list[Part]:
    """Return the parts of a run's fills; a fill that failed never was one."""
    return list(parts([Traded(*row) for row in db.execute(FILLS)]))


def step(sale: Traded) -> str:
    """Say in words how a sale came to its price."""
    return STEPS.get(sale.basis, sale.basis or "—") if sale.purpose != "quote" else "sold by a quote"
