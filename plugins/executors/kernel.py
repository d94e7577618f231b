"""Books and queues over columns: the part of paper execution that sees every row of a feed, compiled by numba.

Prices are those of YES in 1/10,000 dollar (NO is its mirror), sizes 1/1,000,000 share, times microseconds.
Side 0 is bids, side 1 asks. Python is called between rows only: when a decision, an arrival or an answer is due.
"""

from array import array
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from numba import carray, njit, types  # type: ignore[attr-defined]
from numba.extending import intrinsic
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Compiled = TypeVar("Compiled", bound=Callable[..., Any])
Int = Any  # an int, of Python or of numpy

PRICES = 10_001
BID, ASK = 0, 1
LEVEL, SNAPSHOT, SNAPSHOT_LEVEL, PRINT = 0, 1, 2, 3  # kinds of rows

# Columns of an order in a queue.
MARKET, SIDE, PRICE, LEFT, AHEAD, CREDIT, UNPRINTED, MOVED, ALIVE = range(9)
ORDER_FIELDS = 9
SLOTS = 64  # own orders a side of a market
MOVE_FIELDS = 3  # slot, (2 x market + side) x PRICE_ROOM + price, size (0: it leaves)
PRICE_BITS = 14
PRICE_ROOM = 1 << PRICE_BITS

# Fields of a session: sizes, what the last run left off at, and where its arrays are.
MARKETS, DEPTH, CAPACITY, ROWS, ROOM, NEXT, AT = range(7)
FIELDS = AT + 26

# Rules of the queue, as flags.
CANCELS_AHEAD, CANCELS_SHARED, CANCELS_BEHIND = 0, 1, 2
RULE_CANCELS, RULE_WHOLE, RULE_CROSS, RULE_DEPLETION, RULE_TOUCH, RULE_DRAWN = range(6)
RULES = 6
BY_TIME, BY_PRINTS = 1, 2  # what RULE_DRAWN draws fills at, if any

# What a print is to our orders.
VANISHED, PRINTED, REACHED = 0, 1, 2


class Rows(NamedTuple):
    """A feed as columns, in order of arrival."""

    at: Ints  # when it is received
    ts: Ints  # when the exchange sent it
    frame: Ints
    market: NDArray[np.int32]
    kind: NDArray[np.uint8]
    side: NDArray[np.uint8]  # of the level; of the taker for a print
    price: NDArray[np.int32]
    size: Ints  # of a level: absolute; of a SNAPSHOT row: how many levels follow


ROW_TYPES = (np.int64, np.int64, np.int64, np.int32, np.uint8, np.uint8, np.int32, np.int64)


class Books(NamedTuple):
    """The books of all markets, dense in ticks: level k is at price k x step, so that a book stays in the cache."""

    size: Ints  # [market, side, level]
    when: Ints  # exchange time of the last change of each level
    best: Ints  # [market, side]; 0 and PRICES - 1 when empty
    step: Ints  # the finest price increment of each market
    snapped: Ints  # exchange time of the last snapshot
    dirty: NDArray[np.uint8]
    scratch: Ints


class Queues(NamedTuple):
    """Our resting orders."""

    order: Ints  # [slot, field]
    mine: Ints  # [market, side, rank]: slots, best price first
    count: Ints  # type: ignore[assignment]  # [market, side]; hides tuple.count, which nobody needs here


class Fills(NamedTuple):
    """What the last run filled."""

    slot: Ints
    price: Ints
    size: Ints
    at: Ints


# Compiling is what a first run waits for. Constants are passed on as np.int64: a plain one is a type of its own, and
# everything would be compiled for it once more.


def _part(function: Compiled) -> Compiled:
    """Compile a part that Python never calls: it needs no wrappers, and is cached inside what calls it."""
    options: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "error_model": "numpy"}
    return cast(Compiled, njit(**options)(function))


def _entry(function: Compiled) -> Compiled:
    """Compile what Python calls."""
    options: dict[str, Any] = {"cache": True, "no_cfunc_wrapper": True, "error_model": "numpy"}
    return cast(Compiled, njit(**options)(function))


def new_books(steps: Ints) -> Books:
    """Return empty books for markets with these price increments."""
    markets = len(steps)
    depth = (PRICES - 1) // int(steps.min()) + 1 if markets else 1
    best = np.zeros((markets, 2), np.int64)
    best[:, ASK] = PRICES - 1
    return Books(
        np.zeros((markets, 2, depth), np.int64),
        np.full((markets, 2, depth), -(2**62), np.int64),
        best,
        steps,
        np.full(markets, -(2**62), np.int64),
        np.zeros(markets, np.uint8),
        np.zeros((2, depth), np.int64),
    )


def new_queues(markets: int, capacity: int = 256) -> Queues:
    """Return empty queues."""
    return Queues(
        np.zeros((capacity, ORDER_FIELDS), np.int64),
        np.zeros((markets, 2, SLOTS), np.int64),
        np.zeros((markets, 2), np.int64),
    )


def new_fills(capacity: int = 4096) -> Fills:
    """Return room for fills."""
    return Fills(*(np.zeros(capacity, np.int64) for _ in range(4)))


@_part
def _rescan(books: Any, m: Int, side: Int, start: Int) -> None:
    """Find the best level of a side from a price on, away from the touch."""
    step = books.step[m]
    size = books.size[m, side]
    k = start // step
    end = 10_000 // step
    if side == 0:
        while k > 0 and size[k] == 0:
            k -= 1
        books.best[m, side] = max(k, 0) * step
    else:
        while k < end and size[k] == 0:
            k += 1
        books.best[m, side] = min(k, end) * step


@_part
def _fill(queues: Any, m: Int, side: Int, rank: Int, size: Int, at: Int, fills: Any, n: Int) -> Int:
    """Fill an order, and take it out of its queue when nothing of it is left."""
    slot = queues.mine[m, side, rank]
    o = queues.order[slot]
    before = np.int64(0)
    if n >= len(fills.slot) - SLOTS and fills.slot[n - 1] == slot and fills.at[n - 1] == at:
        n -= 1  # a row may wipe out thousands of levels: where room runs short, parts of one order are one record
        before = fills.size[n]
    fills.slot[n] = slot
    fills.price[n] = o[PRICE]
    fills.size[n] = before + size
    fills.at[n] = at
    o[LEFT] -= size
    if o[LEFT] <= 0:
        o[ALIVE] = 0
        queues.count[m, side] -= 1
        for k in range(rank, queues.count[m, side]):
            queues.mine[m, side, k] = queues.mine[m, side, k + 1]
    return n + 1


@_part
def _level_changed(queues: Any, m: Int, side: Int, p: Int, old: Int, new: Int, rules: Any) -> None:
    """Move our orders up by their share of what was cancelled at their price."""
    for k in range(queues.count[m, side]):
        o = queues.order[queues.mine[m, side, k]]
        if o[PRICE] != p:
            continue
        gone = old - new
        if gone > 0:
            explained = min(gone, o[CREDIT])  # a print told us already
            o[CREDIT] -= explained
            cancelled = gone - explained
            if cancelled > 0:
                moved = 0
                if rules[RULE_CANCELS] == CANCELS_SHARED:
                    moved = int(cancelled * (o[AHEAD] / old))
                elif rules[RULE_CANCELS] == CANCELS_AHEAD:
                    moved = min(cancelled, o[AHEAD])
                o[AHEAD] -= moved
                o[MOVED] += moved
                o[UNPRINTED] += cancelled
        else:
            o[UNPRINTED] = 0
            o[MOVED] = 0
        if o[AHEAD] > new:
            if o[UNPRINTED] > 0 and rules[RULE_WHOLE] == 0:
                o[MOVED] += o[AHEAD] - new  # a late print that explains it must not move us up again
            o[AHEAD] = new


@_part
def _print(
    queues: Any, m: Int, taker: Int, p: Int, size: Int, at: Int, rules: Any, fills: Any, n: Int, kind: Int
) -> Int:
    """Match a print against our orders; its volume is consumed once.

    A level that VANISHED is counted as a print, but its decrease is not told again; a price that was REACHED fills
    whole whatever rests there or better.
    """
    side = 1 - taker
    used = 0
    k: Int = np.int64(0)
    while k < queues.count[m, side]:
        o = queues.order[queues.mine[m, side, k]]
        price = o[PRICE]
        through = price > p if side == 0 else price < p
        if not through and price != p:
            break
        if kind == REACHED or (through and rules[RULE_WHOLE] == 1):
            take = o[LEFT]
        elif through:
            take = min(o[LEFT], size - used)
        else:
            if kind == PRINTED:
                # The level may have shrunk before its print came: what moved us then as a cancel was this print.
                known = min(size, o[UNPRINTED])
                if known > 0:
                    back = int(o[MOVED] * (known / o[UNPRINTED]))
                    o[AHEAD] += back
                    o[MOVED] -= back
                    o[UNPRINTED] -= known
                o[CREDIT] += size - known
            o[AHEAD] -= size
            if rules[RULE_WHOLE] == 1:
                take = o[LEFT] if o[AHEAD] < 0 else 0
            else:
                take = min(o[LEFT], max(0, -o[AHEAD] - used))
            if o[AHEAD] < 0 and rules[RULE_WHOLE] == 0:
                o[AHEAD] = 0
        if take > 0:
            whole = take == o[LEFT]
            n = _fill(queues, m, side, k, take, at, fills, n)
            used += take
            if whole:
                continue  # the next order has moved into this rank
        k += 1
    return n


@_part
def _depleted(books: Any, queues: Any, m: Int, side: Int, before: Int, at: Int, rules: Any, fills: Any, n: Int) -> Int:
    """Count levels that were wiped out, best first, as prints of their size (a book without prints)."""
    step = books.step[m]
    after = books.best[m, side]
    p = before
    while (p > after if side == 0 else p < after) and 0 < p < 10_000 and queues.count[m, side] > 0:
        size = books.scratch[side, p // step]
        if size > 0:
            n = _print(queues, m, 1 - side, p, size, at, rules, fills, n, np.int64(VANISHED))
        p += -step if side == 0 else step
    return n


@_part
def _snapshot(books: Any, queues: Any, rows: Any, i: Int, rules: Any, fills: Any, n: Int) -> Int:
    """Replace a book; levels that changed after the snapshot was taken stay (R: arrival is not time order)."""
    m = np.int64(rows.market[i])
    ts = rows.ts[i]
    if ts < books.snapped[m]:
        return n
    books.snapped[m] = ts
    step = books.step[m]
    for side in range(2):
        for k in range(1, 10_000 // step):
            books.scratch[side, k] = books.size[m, side, k]
            if books.when[m, side, k] <= ts:
                books.size[m, side, k] = 0
                books.when[m, side, k] = ts
    for j in range(i + 1, i + 1 + rows.size[i]):
        on = np.int64(rows.side[j])
        k = np.int64(rows.price[j]) // step
        if books.when[m, on, k] <= ts:
            books.size[m, on, k] = rows.size[j]
    for side in range(2):
        before = books.best[m, side]
        _rescan(books, m, side, 10_000 - step if side == 0 else step)
        if queues.count[m, side] > 0:
            if rules[RULE_DEPLETION] == 1:
                n = _depleted(books, queues, m, side, before, rows.at[i], rules, fills, n)
            last: Int = -1
            for k in range(queues.count[m, side]):
                p = queues.order[queues.mine[m, side, k], PRICE]
                if p != last:
                    last = p
                    old, new = books.scratch[side, p // step], books.size[m, side, p // step]
                    if old != new:
                        _level_changed(queues, m, side, p, old, new, rules)
    books.dirty[m] = 1
    return n


@_entry
def advance(
    books: Any, queues: Any, rows: Any, start: Int, until: Int, delay: Int, rules: Any, fills: Any
) -> tuple[int, int]:
    """Apply rows up to a time; stop after a row whose fills will be answered before the next row.

    Where fills are drawn, nothing is filled here: it stops after a print in a market of our orders, or, where they are
    drawn by time, where the touch of one has moved.

    Returns the next row and the number of fills. The arrays are named once and a level is changed in place here: most
    rows are that, and reaching into the tuples, or calling out, would cost more than the change.
    """
    n: Int = np.int64(0)
    i = start
    end = len(rows.at)
    room = len(fills.slot) - 2 * SLOTS
    at, ts, market, kinds, sides, prices, sizes = (
        rows.at,
        rows.ts,
        rows.market,
        rows.kind,
        rows.side,
        rows.price,
        rows.size,
    )
    size, when, best, step, snapped, dirty = (
        books.size,
        books.when,
        books.best,
        books.step,
        books.snapped,
        books.dirty,
    )
    count = queues.count
    depletes, crosses, touches = rules[RULE_DEPLETION] == 1, rules[RULE_CROSS] == 1, rules[RULE_TOUCH] == 1
    drawn = rules[RULE_DRAWN]
    nothing, vanished, reached = np.int64(0), np.int64(VANISHED), np.int64(REACHED)
    meant = np.int64(REACHED if touches else PRINTED)
    while i < end and at[i] <= until and n < room:
        had = n
        m = np.int64(market[i])
        kind = kinds[i]
        bid, ask = best[m, 0], best[m, 1]
        if kind == LEVEL:
            side, p, new = np.int64(sides[i]), np.int64(prices[i]), sizes[i]
            k = p // step[m]
            if ts[i] >= when[m, side, k] and ts[i] >= snapped[m]:
                when[m, side, k] = ts[i]
                old = size[m, side, k]
                if old != new:
                    ours = count[m, side] > 0
                    if ours and depletes and new == 0 and p == best[m, side]:
                        n = _print(queues, m, 1 - side, p, old, at[i], rules, fills, n, vanished)
                    size[m, side, k] = new
                    dirty[m] = 1
                    if new > 0:
                        if (p > bid) if side == 0 else (p < ask):
                            best[m, side] = p
                    elif p == best[m, side]:
                        _rescan(books, m, side, p)
                    if ours:
                        _level_changed(queues, m, side, p, old, new, rules)
            i += 1
        elif kind == PRINT:
            resting = count[m, 0] > 0 or count[m, 1] > 0
            if resting and drawn == 0:
                taker, p = np.int64(sides[i]), np.int64(prices[i])
                n = _print(queues, m, taker, p, sizes[i], at[i], rules, fills, n, meant)
            i += 1
            if resting and drawn == BY_PRINTS:
                break
        else:
            n = _snapshot(books, queues, rows, i, rules, fills, n)
            i += 1 + sizes[i]
        moved = best[m, 0] != bid or best[m, 1] != ask
        if touches or (crosses and moved):
            for taker in (np.int64(ASK), np.int64(BID)):
                to = best[m, 1 - taker if touches else taker]
                if 0 < to < PRICES - 1:  # an empty side reaches nobody
                    n = _print(queues, m, taker, to, nothing, at[i - 1], rules, fills, n, reached)
        if moved and drawn == BY_TIME and (count[m, 0] > 0 or count[m, 1] > 0):
            break
        if n > had:
            until = min(until, at[i - 1] + delay)
    return i, n


@_entry
def join(books: Any, queues: Any, slot: Int, m: Int, side: Int, price: Int, size: Int) -> bool:
    """Queue an order behind what rests at its price; False when there is no room for another one."""
    n = queues.count[m, side]
    if n == SLOTS:
        return False
    o = queues.order[slot]
    o[MARKET], o[SIDE], o[PRICE], o[LEFT], o[ALIVE] = m, side, price, size, 1
    o[AHEAD] = books.size[m, side, price // books.step[m]]
    o[CREDIT], o[UNPRINTED], o[MOVED] = 0, 0, 0
    mine = queues.mine[m, side]
    rank = n
    while rank > 0:
        other = queues.order[mine[rank - 1], PRICE]
        if (side == 0 and other >= price) or (side == 1 and other <= price):
            break
        mine[rank] = mine[rank - 1]
        rank -= 1
    mine[rank] = slot
    queues.count[m, side] = n + 1
    return True


@_entry
def leave(queues: Any, slot: Int) -> None:
    """Take an order off the book."""
    o = queues.order[slot]
    m, side = o[MARKET], o[SIDE]
    mine = queues.mine[m, side]
    n = queues.count[m, side] - 1
    rank = 0
    while rank <= n and mine[rank] != slot:
        rank += 1
    if rank > n:
        return  # it is not there: nothing may be written behind an address
    while rank < n:
        mine[rank] = mine[rank + 1]
        rank += 1
    queues.count[m, side] = n
    o[ALIVE] = 0


def levels(books: Books, m: int, side: int, most: int) -> tuple[tuple[int, int], ...]:
    """Return up to `most` levels of a side (0: all) as prices and sizes, best first."""
    step = int(books.step[m])
    there = books.size[m, side]
    found = np.flatnonzero(there[1 : 10_000 // step]) + 1
    found = found[::-1] if side == BID else found
    if most:
        found = found[:most]
    return tuple(zip((found * step).tolist(), there[found].tolist(), strict=True))


@_part
def _moved_prices(books: Any, most: Int, last: Any, levels: Any, out: Any) -> Int:
    """Find the dirty markets whose first `most` prices a side differ from the last told ones.

    Writes them to `out` and their levels as [found, price or size, side, rank] (0 where there is no level); returns how
    many moved.
    """
    found = 0
    for m in range(len(books.dirty)):
        if books.dirty[m] == 0:
            continue
        books.dirty[m] = 0
        changed = False
        step = books.step[m]
        end = 10_000 // step
        for side in range(2):
            there = books.size[m, side]
            k = books.best[m, side] // step
            for rank in range(most):
                while 0 < k < end and there[k] == 0:
                    k += -1 if side == 0 else 1
                inside = 0 < k < end
                now = k * step if inside else 0
                levels[found, 0, side, rank] = now
                levels[found, 1, side, rank] = there[k] if inside else 0
                if last[m, side, rank] != now:
                    last[m, side, rank] = now
                    changed = True
                if inside:
                    k += -1 if side == 0 else 1
        if changed:
            out[found] = m
            found += 1
    return found


# Handing thirty arrays to a compiled function costs 30 µs whenever something else ran in between: each is taken apart
# and counted. So a session hands them over once, as addresses in a column of its own, and calls with plain numbers.


@intrinsic
def _pointer_to(context: Any, address: Any, like: Any) -> Any:
    """Turn an address into a pointer to what `like` is."""

    def build(target: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], target.get_value_type(signature.return_type))

    return types.CPointer(like)(address, like), build  # type: ignore[no-untyped-call]


_pointer: Any = _pointer_to  # as compiled code calls it, without the context


@_part
def _books_at(s: Any) -> Any:
    markets, depth, i64 = s[MARKETS], s[DEPTH], np.int64(0)
    shape = (markets, 2, depth)
    return Books(
        carray(_pointer(s[AT], i64), shape),
        carray(_pointer(s[AT + 1], i64), shape),
        carray(_pointer(s[AT + 2], i64), (markets, 2)),
        carray(_pointer(s[AT + 3], i64), (markets,)),
        carray(_pointer(s[AT + 4], i64), (markets,)),
        carray(_pointer(s[AT + 5], np.uint8(0)), (markets,)),
        carray(_pointer(s[AT + 6], i64), (2, depth)),
    )


@_entry
def _run(session: Int, moves: Int, count: Int, start: Int, until: Int, delay: Int) -> Int:
    """Let orders come and go as `moves` says, then advance: the one call of a moment; returns how many fills."""
    i64 = np.int64(0)
    s = carray(_pointer(session, i64), (FIELDS,))
    markets, rows = s[MARKETS], (s[ROWS],)
    books = _books_at(s)
    queues = Queues(
        carray(_pointer(s[AT + 7], i64), (s[CAPACITY], ORDER_FIELDS)),
        carray(_pointer(s[AT + 8], i64), (markets, 2, SLOTS)),
        carray(_pointer(s[AT + 9], i64), (markets, 2)),
    )
    feed = Rows(
        carray(_pointer(s[AT + 10], i64), rows),
        carray(_pointer(s[AT + 11], i64), rows),
        carray(_pointer(s[AT + 12], i64), rows),
        carray(_pointer(s[AT + 13], np.int32(0)), rows),
        carray(_pointer(s[AT + 14], np.uint8(0)), rows),
        carray(_pointer(s[AT + 15], np.uint8(0)), rows),
        carray(_pointer(s[AT + 16], np.int32(0)), rows),
        carray(_pointer(s[AT + 17], i64), rows),
    )
    room = (s[ROOM],)
    fills = Fills(
        carray(_pointer(s[AT + 18], i64), room),
        carray(_pointer(s[AT + 19], i64), room),
        carray(_pointer(s[AT + 20], i64), room),
        carray(_pointer(s[AT + 21], i64), room),
    )
    rules = carray(_pointer(s[AT + 22], i64), (RULES,))
    move = carray(_pointer(moves, i64), (count,))
    for i in range(0, count, MOVE_FIELDS):
        queue, price, size = move[i + 1] >> PRICE_BITS, move[i + 1] & (PRICE_ROOM - 1), move[i + 2]
        if size > 0:
            join(books, queues, move[i], queue >> 1, queue & 1, price, size)
        else:
            leave(queues, move[i])
    s[NEXT], filled = advance(books, queues, feed, start, until, delay, rules, fills)
    return filled


@_entry
def _moved(session: Int, most: Int) -> Int:
    """Find moved prices; see `_moved_prices`."""
    i64 = np.int64(0)
    s = carray(_pointer(session, i64), (FIELDS,))
    markets = s[MARKETS]
    last = carray(_pointer(s[AT + 23], i64), (markets, 2, most))
    levels = carray(_pointer(s[AT + 24], i64), (markets, 2, 2, most))
    return _moved_prices(_books_at(s), most, last, levels, carray(_pointer(s[AT + 25], i64), (markets,)))


class Session:
    """The arrays of one run of an exchange, handed to the compiled code once."""

    def __init__(self, books: Books, queues: Queues, rows: Rows, fills: Fills, rules: Ints, most: int) -> None:
        """Take the arrays; `most` is how many levels a side `moved_prices` looks at."""
        markets = len(books.dirty)
        self.last = np.zeros((markets, 2, most), np.int64)
        self.levels = np.zeros((markets, 2, 2, most), np.int64)
        self.moved = np.zeros(markets, np.int64)
        self.numbers = self.levels.reshape(-1)  # prices and then sizes of each market, by side and rank
        rows = _declared(rows)
        self._first_column = len(books) + len(queues)
        self._arrays: list[Any] = [*books, *queues, *rows, *fills, rules, self.last, self.levels, self.moved]
        self._most = most
        self._fields = np.zeros(FIELDS, np.int64)
        self._fields[:AT] = (markets, books.size.shape[2], len(queues.order), len(rows.at), len(fills.slot), 0)
        self._fields[AT:] = [each.ctypes.data for each in self._arrays]
        self._at = self._fields.ctypes.data

    def grow(self, order: Ints) -> None:
        """Take more room for orders."""
        self._arrays[7] = order
        self._fields[CAPACITY], self._fields[AT + 7] = len(order), order.ctypes.data

    def load(self, rows: Rows) -> None:
        """Take other rows in the place of those before."""
        rows = _declared(rows)
        self._arrays[self._first_column : self._first_column + len(rows)] = rows
        self._fields[AT:] = [each.ctypes.data for each in self._arrays]
        self._fields[ROWS] = len(rows.at)

    def run(self, moves: "array[int]", start: int, until: int, delay: int) -> tuple[int, int]:
        """Let orders come and go, and forget the moves, then advance; returns the next row and the number of fills.

        A move is three numbers: a slot, a queue and a price in it, and a size, which is 0 for an order that leaves.
        """
        filled = _run(self._at, *moves.buffer_info(), start, until, delay)
        del moves[:]
        return self._fields.item(NEXT), filled

    def moved_prices(self) -> int:
        """Find the markets whose first prices are not as told last, as `moved` and `levels`; return how many."""
        found: int = _moved(self._at, self._most)
        return found


def _declared(rows: Rows) -> Rows:
    """Give the columns their types: behind an address nothing is checked any more."""
    return Rows(*(np.ascontiguousarray(column, kind) for column, kind in zip(rows, ROW_TYPES, strict=True)))


def warm_up() -> None:
    """Compile, or load what was compiled before, so that a first run does not do it on its way."""
    books, queues, fills = new_books(np.array([100], np.int64)), new_queues(1), new_fills()
    column = np.zeros(0, np.int64)
    small = np.zeros(0, np.int32)
    byte = np.zeros(0, np.uint8)
    rows = Rows(column, column, column, small, byte, byte, small, column)
    session = Session(books, queues, rows, fills, np.zeros(RULES, np.int64), 1)
    session.run(array("q"), 0, 0, 0)
    session.moved_prices()
