"""Hypothetical resting orders on recorded tapes, where the truth is certain: do the three brackets agree with it?

    python benchmarks/brackets.py [--every 5] [--tape FOLDER ...] [--json]

Orders of a few shares are placed at every price around the touch, on both sides, at many moments, each alone and with a
short or a long life. What is certain of each is worked out from the rows of the tape alone:

- filled: takers printed at least its size strictly through its price while it lived. They would have met it first.
- not filled: nobody traded at its price or through it, and nobody on the other side showed such a price.
- undecidable: everything else; it depends on the queue, which nobody outside the exchange sees.

On a tape without prints a level that vanishes while it is the best counts as a print of its size: the truth is inferred
then, and the pessimistic form, which counts no such print, has to fill nothing.

Each order is then filled by `fill=queue_pessimistic`, `queue` and `queue_optimistic`. The exit code is 1 where one of
them disagrees with what is certain, or where a more pessimistic one fills more than another. All fills are simulated.
"""

import argparse
import json
import sys
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pmrun.plugins.executors import kernel
from pmrun.plugins.executors.fill import Cancels, Depletion, FillModel, Queue
from pmrun.plugins.executors.kernel import ASK, BID, PRINT, SNAPSHOT, Books, Rows
from pmrun.plugins.feeds.tape import Tape
from pmrun.runner.ports import FeedData
from pmrun.runner.units import ONE, SECOND, SIZE_SCALE

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "tapes"
SHIPPED = "pkg://pmrun.strategies/tapes/btc_15m"
TAPES = (str(SHARED / "books-and-prints-updown"), str(SHARED / "raw-btc-5m"), SHIPPED)
FORMS: Mapping[str, FillModel] = {
    "queue_pessimistic": Queue(Cancels.BEHIND, Depletion.NEVER),
    "queue": Queue(),
    "queue_optimistic": Queue(Cancels.AHEAD),
}
LIVES = (10 * SECOND, 120 * SECOND)
BEHIND = 8  # ticks behind the touch that orders go to
SHARES = 5 * SIZE_SCALE
WHENEVER = 10**15  # a fill is never answered before the next row


class Truth(StrEnum):
    """What is certain of an order."""

    FILLED = "filled"
    NOT = "not filled"
    OPEN = "undecidable"


class Order(NamedTuple):
    """A hypothetical order, in terms of YES: it lives from row `first` to before row `last`."""

    market: int
    side: int
    price: int
    first: int
    last: int


class Trade(NamedTuple):
    """A print, or one that is inferred from a level that vanished."""

    row: int
    market: int
    taker: int
    price: int
    size: int


class Witness:
    """What the rows of a tape say by themselves: who traded where, and which prices each side showed.

    It keeps books of its own, in the order in which rows arrived, and shares no code with the models.
    """

    def __init__(self, rows: Rows, markets: int, inferred: bool) -> None:
        """Read all rows."""
        self.trades: list[list[Trade]] = [[] for _ in range(markets)]
        # By market and side: when a side's best price changed, and to what (None: nothing there).
        self.best: list[tuple[list[tuple[int, int]], list[tuple[int, int]]]] = [([], []) for _ in range(markets)]
        books: list[tuple[dict[int, int], dict[int, int]]] = [({}, {}) for _ in range(markets)]
        kinds, sides, prices, sizes = (column.tolist() for column in (rows.kind, rows.side, rows.price, rows.size))
        market_of = rows.market.tolist()
        row = 0
        while row < len(kinds):
            market, kind = market_of[row], kinds[row]
            step = 1 + sizes[row] if kind == SNAPSHOT else 1
            if kind == PRINT:
                self.trades[market].append(Trade(row, market, sides[row], prices[row], sizes[row]))
            else:
                before = [dict(book) for book in books[market]] if inferred else []
                if kind == SNAPSHOT:
                    for book in books[market]:
                        book.clear()
                for each in range(row + (kind == SNAPSHOT), row + step):
                    books[market][sides[each]][prices[each]] = sizes[each]
                    if not sizes[each]:
                        del books[market][sides[each]][prices[each]]
                self._look(market, row, books[market])
                if inferred:
                    self._infer(market, row, before, books[market])
            row += step
        self._trade_rows = [[trade.row for trade in trades] for trades in self.trades]
        self._best_rows = [tuple([row for row, _ in seen] for seen in each) for each in self.best]

    def _look(self, market: int, row: int, book: Sequence[dict[int, int]]) -> None:
        for side in (BID, ASK):
            best = (max(book[BID], default=0)) if side == BID else min(book[ASK], default=ONE)
            seen = self.best[market][side]
            if not seen or seen[-1][1] != best:
                seen.append((row, best))

    def _infer(self, market: int, row: int, before: Sequence[dict[int, int]], after: Sequence[dict[int, int]]) -> None:
        """Count the levels that vanished from the touch on as prints of what they showed, best first."""
        for side in (BID, ASK):
            best = max(after[BID], default=0) if side == BID else min(after[ASK], default=ONE)
            gone = [price for price in before[side] if (price > best if side == BID else price < best)]
            for price in sorted(gone, reverse=side == BID):
                self.trades[market].append(Trade(row, market, 1 - side, price, before[side][price]))

    def touch(self, market: int, side: int, row: int) -> int:
        """Return the best price of a side before a row."""
        index = bisect_left(self._best_rows[market][side], row) - 1
        return self.best[market][side][index][1] if index >= 0 else (0 if side == BID else ONE)

    def truth(self, order: Order, size: int) -> Truth:
        """Say what is certain of an order."""
        buys = order.side == BID
        rows = self._trade_rows[order.market]
        lived = self.trades[order.market][bisect_left(rows, order.first) : bisect_left(rows, order.last)]
        against = [each for each in lived if each.taker != order.side]  # a buyer's bid is met by sellers
        through = sum(each.size for each in against if (each.price < order.price if buys else each.price > order.price))
        if through >= size:
            return Truth.FILLED
        if any(each.price <= order.price if buys else each.price >= order.price for each in lived):
            return Truth.OPEN
        rows = self._best_rows[order.market][1 - order.side]
        other = self.best[order.market][1 - order.side][bisect_left(rows, order.first) : bisect_left(rows, order.last)]
        reached = any(price <= order.price if buys else price >= order.price for _, price in other)
        return Truth.OPEN if reached else Truth.NOT


class Result(NamedTuple):
    """What came of the orders of one tape."""

    tape: str
    inferred: bool
    orders: int
    truths: dict[str, int]
    disagreements: dict[str, int]
    fills: dict[str, int]  # orders filled whole, by form
    fills_undecidable: dict[str, int]
    unordered: int  # orders that a more pessimistic form filled more of


def measure(
    data: FeedData, name: str, every: int, size: int = SHARES, forms: Mapping[str, FillModel] = FORMS
) -> Result:
    """Place orders on a tape and compare; `every` is microseconds between moments, of which there are 20 at least."""
    every = max(1, min(every, (int(data.rows.at[-1]) - int(data.rows.at[0])) // 20))
    inferred = not data.info.prints
    witness = Witness(data.rows, len(data.markets), inferred)
    rules = {form: model.rules(not inferred) for form, model in forms.items()}
    truths = dict.fromkeys(map(str, Truth), 0)
    disagreements, whole, open_whole = (dict.fromkeys(forms, 0) for _ in range(3))
    unordered = count = 0
    for books, order in _orders(data, witness, every):
        count += 1
        truth = witness.truth(order, size)
        truths[truth] += 1
        filled = {form: _filled(data.rows, books, order, size, rules[form]) for form in forms}
        for form, shares in filled.items():
            whole[form] += shares == size
            open_whole[form] += truth is Truth.OPEN and shares == size
            blind = inferred and form == "queue_pessimistic"  # it counts no inferred print
            wanted = 0 if blind or truth is Truth.NOT else size if truth is Truth.FILLED else None
            disagreements[form] += wanted is not None and shares != wanted
        shares = list(filled.values())
        unordered += shares != sorted(shares)
    return Result(name, inferred, count, truths, disagreements, whole, open_whole, unordered)


def _orders(data: FeedData, witness: Witness, every: int) -> Iterator[tuple[Books, Order]]:
    """Return orders around the touch at many moments, with the books at that moment."""
    rows = data.rows
    books = kernel.new_books(np.array(data.steps, np.int64))
    nobody, nothing = kernel.new_queues(len(data.markets)), kernel.new_fills()
    no_rules = np.zeros(kernel.RULES, np.int64)
    first, last = int(rows.at[0]), int(rows.at[-1])
    done = 0
    for nth, at in enumerate(range(first, last, every)):
        done, _ = kernel.advance(books, nobody, rows, done, at, WHENEVER, no_rules, nothing)
        end = int(np.searchsorted(rows.at, at + LIVES[nth % len(LIVES)], "right"))
        for market, terms in enumerate(data.markets):
            bid, ask = (witness.touch(market, side, done) for side in (BID, ASK))
            if not 0 < bid < ask < ONE:
                continue
            for side, touch, other in ((BID, bid, ask), (ASK, ask, bid)):
                away = -terms.tick if side == BID else terms.tick
                inside = min(2, (ask - bid) // terms.tick - 1)
                for price in range(touch - inside * away, touch + (BEHIND + 1) * away, away):
                    if 0 < price < ONE and (price < other if side == BID else price > other):
                        yield books, Order(market, side, price, done, end)


def _filled(rows: Rows, books: Books, order: Order, size: int, rules: Any) -> int:
    """Let one order rest, alone, in a copy of the books; return how many base units of it filled."""
    own = Books(*(column.copy() for column in books))
    queues, fills = kernel.new_queues(len(own.dirty), 1), kernel.new_fills(1024)
    kernel.join(own, queues, 0, order.market, order.side, order.price, size)
    lived = Rows(*(column[order.first : order.last] for column in rows))
    done, count = 0, len(lived.at)
    while done < count and queues.order[0, kernel.ALIVE]:
        done, _ = kernel.advance(own, queues, lived, done, 2**62, WHENEVER, rules, fills)
    return size - int(queues.order[0, kernel.LEFT])


def table(results: Sequence[Result]) -> str:
    """Write the results as a table of Markdown."""
    lines = [
        "| tape | orders | certainly filled | certainly not | undecidable | disagreements: pessimistic, queue, "
        "optimistic | of the undecidable filled whole: pessimistic, queue, optimistic |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for each in results:
        name = Path(each.tape).name + (" (inferred)" if each.inferred else "")
        truths = " | ".join(f"{each.truths[truth]:,}" for truth in Truth)
        against = ", ".join(str(many) for many in each.disagreements.values())
        decided = ", ".join(f"{many / max(1, each.truths[Truth.OPEN]):.0%}" for many in each.fills_undecidable.values())
        lines.append(f"| `{name}` | {each.orders:,} | {truths} | {against} | {decided} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every tape that is there."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--every", type=float, default=5.0, help="seconds between moments at which orders are placed")
    parser.add_argument("--tape", action="append", help="a tape's folder; default: the shipped and the shared ones")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args(arguments)
    results = []
    for path in options.tape or TAPES:
        if "://" not in path and not Path(path).is_dir():
            print(f"{path}: absent, left out", file=sys.stderr)
            continue
        results.append(measure(Tape(path).open(), path, round(options.every * SECOND)))
    print(json.dumps([each._asdict() for each in results], indent=2) if options.json else table(results))
    return int(any(sum(each.disagreements.values()) or each.unordered for each in results))


if __name__ == "__main__":
    sys.exit(main())
