"""One paper session: the books of a feed, our orders in their queues, and what is under way between us."""

from array import array
from collections import deque
from collections.abc import Sequence
from itertools import count
from random import Random
from struct import Struct
from typing import Any, Final

import msgspec
import numpy as np

from pmrun.plugins.executors import chance, kernel
from pmrun.plugins.executors.chance import Hits
from pmrun.plugins.executors.fill import FillModel
from pmrun.plugins.executors.paced import Paced, orders
from pmrun.plugins.executors.paper_terms import PaperTerms
from pmrun.plugins.executors.told import Told
from pmrun.runner.facts import (
    BookChanged,
    Fact,
    Filled,
    FundsSeen,
    Listed,
    MarketStatus,
    Merged,
    OrderNews,
    Printed,
    Settled,
    StatusChanged,
    TickChanged,
)
from pmrun.runner.grid import Grid
from pmrun.runner.hooks import Depth
from pmrun.runner.intents import Cancel, CancelAll, Intent, Merge, Place
from pmrun.runner.market import MarketNo, Outcome
from pmrun.runner.orders import News, OrderNo, Settlement, TradeId
from pmrun.runner.ports import FeedData
from pmrun.runner.units import (
    ONE,
    SECOND,
    SIZE_SCALE,
    Cash,
    Micros,
    Price,
    Side,
    Size,
    cash_paid,
    cash_received,
    complement,
    format_cash,
    format_price,
    format_size,
)
from pmrun.runner.unsent import BOOK_UNKNOWN, WOULD_TAKE

YES: Final = Outcome.YES  # looking a member up in its class costs more than the comparison
BUY: Final = Side.BUY
RESTING: Final = News.RESTING
CANCELED: Final = News.CANCELED
REJECTED: Final = News.REJECTED
BID: Final = kernel.BID
ASK: Final = kernel.ASK
SLOTS: Final = kernel.SLOTS
PRICE_ROOM: Final = kernel.PRICE_ROOM
MOVE: Final = Struct("=3q").pack  # a move of kernel.Session.run: an array takes single numbers far more slowly
FIELDS: Final = msgspec.structs.astuple  # one call for all fields, where reading one by one is several look-ups
BOOK_CHANGED: Final = BookChanged  # compiled, what is imported is looked up at each use and a constant is not
CANCEL: Final = Cancel
ORDER_NEWS: Final = OrderNews
PLACE: Final = Place
SENT: Final = frozenset({Place, Cancel, CancelAll, Merge})
CROSSES: Final = "invalid post-only order: order crosses book"
NOT_TRADING: Final = "the market is not yet ready to process new orders"
MARKET_RESOLVED: Final = "market resolved"
REHEARSED: Final = "simulated rejection: not enough balance / allowance"
TAKEN: Final = "simulated: what is displayed at this price was taken by an earlier order of ours"


class _Resting:
    """An order as the exchange knows it; prices are those of YES."""

    __slots__ = (
        "hits",
        "market",
        "number",
        "place",
        "post_only",
        "queue",
        "side",
        "size",
        "slot",
        "where",
        "yes_price",
    )

    def __init__(self, place: Place) -> None:
        self.place = place
        self.slot = -1
        self.hits: Hits | None = None
        number: OrderNo
        market: MarketNo
        price: Price
        size: Size
        post_only: bool
        _, number, market, outcome, side, price, size, _, post_only, _ = FIELDS(place)
        yes = outcome is YES
        bids = (side is BUY) == yes
        self.number, self.market, self.size, self.post_only = number, market, size, post_only
        self.yes_price: int = price if yes else ONE - price
        self.side: int = BID if bids else ASK
        self.queue: int = 2 * market + self.side
        self.where: int = self.queue * PRICE_ROOM + self.yes_price


def _one_by_one(numbers: Any) -> Any:
    """Return numbers as they are read one by one: a third of what it costs through numpy."""
    flat: Any = np.ascontiguousarray(numbers, np.int64).reshape(-1)
    return memoryview(flat)


class PaperExchange:
    """One paper session: the books of a feed, our orders in their queues, and what is under way between us."""

    def __init__(self, settings: PaperTerms, data: FeedData, fill: FillModel, depth: Depth, everything: bool) -> None:
        """Start with empty books."""
        self._settings = settings
        self._submit_latency, self._answer_latency = settings.submit_latency, settings.answer_latency
        self._data = data
        self._take_rows(data.rows)
        self._books = kernel.new_books(np.array(data.steps, np.int64))
        self._queues = kernel.new_queues(len(data.markets))
        self._fills = kernel.new_fills()
        self._fill_model = fill
        self._rules = fill.rules(data.info.prints > 0)
        self._chance = fill.chance(data.info.prints > 0)
        self._best = _one_by_one(self._books.best)
        self._grids = [Grid(market.tick) for market in data.markets]
        self._knows_post_only = [market.post_only for market in data.markets]
        self._least = [int(market.min_order_size) for market in data.markets]
        self._trading = [True] * len(data.markets)
        self._resolved: set[MarketNo] = set()
        self._merged = False
        self._resting: dict[OrderNo, _Resting] = {}
        self._by_slot: list[_Resting] = []  # the last order in each slot that was ever used
        self._free = list(range(len(self._queues.order) - 1, -1, -1))
        # Latencies are constant, so each of these is in order of time by itself.
        self._arrivals: deque[tuple[Micros, list[Intent]]] = deque()
        self._answers: deque[Fact] = deque()
        self._settlements: deque[Fact] = deque()
        self._retries: deque[Fact] = deque()
        self._merges: deque[Fact] = deque()
        self._notes: deque[Fact] = deque(data.notes)
        self._later = (self._retries, self._settlements, self._merges, self._notes)
        self._told_due = (self._answers, self._retries, self._settlements, self._merges)
        self._trades = count(1)
        self._orders, self._reject_every = 0, settings.reject_every
        # By market, side and price: what a level showed when we took from it, and how much of that we took.
        self._used: dict[tuple[int, int, int], tuple[tuple[int, int], int]] = {}
        self._matched: dict[tuple[OrderNo, Price], Size] = {}
        self._changed_since: Micros | None = None
        self._mine = [0] * (2 * len(data.markets))  # orders of ours a side of a market
        self._moves = array("q")  # orders that came and went since the last row: see kernel.Session.run
        self._session = kernel.Session(
            self._books, self._queues, self._rows, self._fills, self._rules, max(1, depth.levels)
        )
        self._told = Told(self._books, depth, everything, self._session)
        self._paced = None if data.order_calls is None else Paced(data.order_calls)
        self._untold: dict[OrderNo, int] = {}  # parts of shares that were filled, where only whole ones trade
        self._in_play: dict[OrderNo, Side] = {}  # sent and not over, where order calls are few
        self._under_way: set[OrderNo] = set()  # of these, what has not arrived
        self._late = 0  # orders that were to rest and took, the book having moved on the way
        self._tells_prints = depth.prints
        self._seen = 0  # rows whose prints are collected
        self._prints: deque[Printed] = deque()

    # What the clock asks.

    def opening(self) -> list[Fact]:
        """Return the markets and the funds."""
        at = self._data.info.first_at
        listed: list[Fact] = [Listed(at, MarketNo(number), market) for number, market in enumerate(self._data.markets)]
        return [FundsSeen(at, self._settings.funds), *listed]

    def next_row(self) -> Micros | None:
        """Return when the next row comes."""
        return self._next_at

    def _row_at(self, row: int) -> Micros | None:
        return Micros(self._times[row]) if row < self._count else None

    def _take_rows(self, rows: kernel.Rows) -> None:
        """Begin with the first of some rows."""
        self._rows = rows
        self._times, self._frames = _one_by_one(rows.at), _one_by_one(rows.frame)
        self._next, self._count = 0, len(rows.at)
        self._next_at = self._row_at(0)

    def next_due(self) -> Micros | None:
        """Return when the next arrival, answer or note is due."""
        first = self._arrivals[0][0] if self._arrivals else None
        if self._answers and (first is None or self._answers[0].at < first):
            first = self._answers[0].at
        for queue in self._later:
            if queue and (first is None or queue[0].at < first):
                first = queue[0].at
        if self._paced is not None:
            turn = self._paced.next_at(len(self._in_play))
            first = turn if first is None or (turn is not None and turn < first) else first
        return first

    def changed_since(self) -> Micros | None:
        """Return when the first book changed that the desk was not told of."""
        return self._changed_since

    def extend(self, rows: kernel.Rows) -> None:
        """Take more rows of the feed, after those that are left."""
        if self._tells_prints:
            self._collect_prints()
            self._seen = 0
        pairs: Any = zip((column[self._next :] for column in self._rows), rows, strict=True)
        self._take_rows(kernel.Rows(*(np.concatenate(pair) for pair in pairs)))
        self._session.load(self._rows)

    def note(self, fact: StatusChanged | TickChanged) -> None:
        """Take news of a market, to be told when its time has come."""
        self._notes.append(fact)

    def advance(self, until: Micros) -> None:
        """Apply rows up to a time, or up to a fill that will be answered before it."""
        if self._chance is not None:
            self._advance_by_chance(until)
        elif self._next_at is not None and self._next_at <= until:
            self._apply_rows(until)

    def _apply_rows(self, until: Micros) -> None:
        first = self._next_at
        self._next, filled = self._session.run(self._moves, self._next, until, self._answer_latency)
        self._next_at = self._row_at(self._next)
        if self._changed_since is None:
            self._changed_since = first
        if filled:
            self._take_fills(filled)

    def _queue_up(self) -> None:
        """Let our orders come and go in the queues now, before any row."""
        self._session.run(self._moves, self._next, -1, 0)

    def _take_fills(self, filled: int) -> None:
        for index in range(filled):
            self._filled(index)
        for slot in set(self._fills.slot[:filled].tolist()):
            if not self._queues.order[slot, kernel.ALIVE]:
                order = self._by_slot[slot]
                del self._resting[order.number]
                self._release(order)

    def _advance_by_chance(self, until: Micros) -> None:
        """Apply rows and hits in order of time; at one moment rows come first, and a print hits at once."""
        assert self._chance is not None
        while True:
            row = self.next_row()
            order, at = self._next_hit()
            if row is not None and row <= min(until, at):
                self._apply_rows(Micros(min(until, at)))
                last = self._next - 1
                told = Micros(int(self._rows.at[last]))
                if not self._chance.by_prints:
                    self._follow(int(self._rows.market[last]), told)
                elif self._rows.kind[last] == kernel.PRINT and self._strike(last, told):
                    until = Micros(min(until, told + self._answer_latency))
            elif order is not None and at <= until:
                self._hit(order, at)
                until = Micros(min(until, at + self._answer_latency))
            else:
                return

    def _next_hit(self) -> tuple[_Resting | None, Micros]:
        first, at = None, chance.NEVER
        for order in self._resting.values():
            if order.hits is not None and order.hits.at < at:
                first, at = order, order.hits.at
        return first, Micros(at)

    def _follow(self, market: int, at: int) -> None:
        """Tell the hits of a market's orders where the touch is."""
        for order in self._resting.values():
            if order.market == market and self._chance is not None and order.hits is not None:
                bid, ask = self._books.best[market].tolist()
                rate = self._chance.rate_of(order.yes_price, bid, ask, order.side == BID)
                self._chance.follow(order.hits, rate, at)

    def _hit(self, order: _Resting, at: Micros) -> None:
        assert self._chance is not None and order.hits is not None
        self._queue_up()
        market, left = order.market, self._left(order)
        best = int(self._books.best[market, order.side])
        displayed = int(self._books.size[market, order.side, best // self._data.steps[market]])
        self._draw_fill(order, self._chance.hit(order.hits, left, displayed if self._trading[market] else 0), at)

    def _strike(self, row: int, at: Micros) -> bool:
        """Let a print hit our orders that it reaches, best price first; whether it filled any."""
        market, side = int(self._rows.market[row]), 1 - int(self._rows.side[row])
        price, printed = int(self._rows.price[row]), int(self._rows.size[row])
        bid, ask = self._books.best[market].tolist()
        unused = printed if self._trading[market] else 0
        filled = False
        for slot in self._queues.mine[market, side, : self._queues.count[market, side]].tolist():
            order, buys = self._by_slot[slot], side == BID
            if price > order.yes_price if buys else price < order.yes_price:
                break
            assert self._chance is not None and order.hits is not None
            left = self._left(order)
            size = self._chance.strike(order.hits, order.yes_price, bid, ask, buys, left, printed, unused)
            self._draw_fill(order, size, at)
            unused -= size
            filled = filled or size > 0
        return filled

    def _left(self, order: _Resting) -> int:
        return int(self._queues.order[order.slot, kernel.LEFT])

    def _draw_fill(self, order: _Resting, size: int, at: Micros) -> None:
        """Fill so much of an order as was drawn."""
        if not size:
            return
        self._report_fill(order.place, order.place.price, Size(size), at, maker=True)
        left = self._queues.order[order.slot, kernel.LEFT] = self._left(order) - size
        if not left:
            self._remove(order)

    def due(self, at: Micros) -> list[Fact]:
        """Do what is due at a time: news of markets, requests that arrive, answers that return, settlements."""
        facts: list[Fact] = []
        if self._tells_prints:
            self._collect_prints()
            while self._prints and self._prints[0].at <= at:
                facts.append(self._prints.popleft())
        while self._notes and self._notes[0].at <= at:
            note = self._notes.popleft()
            self._happen(note)
            facts.append(note)
        arrivals = self._arrivals
        if self._paced is not None and (sent := self._have_turn(self._paced, at)):
            arrivals.append((Micros(at + self._submit_latency), sent))
        while arrivals and arrivals[0][0] <= at:
            when, intents = arrivals.popleft()
            self._carry_out(intents, when)
        for queue in self._told_due:
            if queue and queue[-1].at <= at:
                facts.extend(queue)
                queue.clear()
            while queue and queue[0].at <= at:
                facts.append(queue.popleft())
        return facts

    def _collect_prints(self) -> None:
        """Keep the prints among the rows that were applied since the last time, to be told when somebody asks."""
        seen, self._seen = self._seen, self._next
        rows = self._rows
        for index in np.nonzero(rows.kind[seen : self._next] == kernel.PRINT)[0].tolist():
            row = seen + index
            side = BUY if int(rows.side[row]) == 0 else Side.SELL
            market, price, size = int(rows.market[row]), int(rows.price[row]), int(rows.size[row])
            self._prints.append(Printed(Micros(int(rows.at[row])), MarketNo(market), side, Price(price), Size(size)))

    def _carry_out(self, intents: list[Intent], at: Micros) -> None:
        """Take the requests that arrive at a moment."""
        for intent in intents:
            if type(intent) is PLACE:
                self._arrive(intent, at)
            elif type(intent) is CANCEL:
                self._withdraw(intent.order, at, "")
            elif type(intent) is CancelAll:
                for order in list(self._resting.values()):
                    if intent.side in (None, order.place.side):
                        self._withdraw(order.place.order, at, "")
            elif type(intent) is Merge:
                self._merge(intent, at)

    def books(self, at: Micros) -> list[BookChanged]:
        """Return the books that changed in what the desk looks at."""
        self._changed_since = None
        upto = self._frames[self._next - 1] if self._next else 0
        return [BOOK_CHANGED(at, MarketNo(market), upto, book) for market, book in self._told.changes()]

    def submit(self, intents: Sequence[Intent], at: Micros) -> None:
        """Send intents on their way."""
        sent = [intent for intent in intents if type(intent) in SENT]
        if self._paced is not None:
            sent = [*self._paced.submit(sent, at, self._in_play), *self._have_turn(self._paced, at)]
        if sent:
            self._arrivals.append((Micros(at + self._submit_latency), sent))

    def _have_turn(self, paced: Paced, at: Micros) -> list[Intent]:
        """Return the requests whose turn it is; one that would take is kept here, as nobody refuses it (V5)."""
        for number in [number for number in self._in_play if number not in self._resting]:
            if number not in self._under_way:
                del self._in_play[number]
        sent, refusals, dropped = paced.leaving(at, self._in_play, self._would_take)
        for place, why in refusals:
            self._news(at, place.order, REJECTED, why)
        for number, why in dropped:
            self._news(at, number, CANCELED, why)
        for intent in sent:
            if type(intent) is Place:
                self._in_play[intent.order] = intent.side
                self._under_way.add(intent.order)
        return sent

    def _would_take(self, place: Place) -> str:
        """Say why an order that must not take is not sent, by the book as it is now: as the live adapter does."""
        if not place.post_only:
            return ""
        if self._best[2 * place.market] == 0 and self._best[2 * place.market + 1] >= ONE:
            return BOOK_UNKNOWN
        return WOULD_TAKE if self._reached(_Resting(place)) else ""

    def remarks(self) -> list[str]:
        """Say how the fills were made."""
        said = self._fill_model.remarks(self._data.info.prints > 0)
        if self._paced is not None:
            said += self._paced.remarks()
        if self._late:
            said.append(
                f"{orders(self._late)} took on arrival: the book moved on the way, and no order is post-only here"
            )
        if self._settings.settlement_failure:
            said.append(f"{self._settings.settlement_failure:.2%} of the settlements fail at random (simulated)")
        if self._settings.reject_every:
            said.append(f"one order in {self._settings.reject_every} is rejected on purpose (simulated)")
        if self._merged:
            delay = self._settings.merge_delay / SECOND
            said.append(f"merges are simulated: pairs are cash {delay:g} s after the request, and it costs no gas")
        return said

    # What happens at the exchange.

    def _news(self, at: Micros, order: OrderNo, news: News, reason: str = "", name: str | None = None) -> None:
        self._answers.append(ORDER_NEWS(Micros(at + self._answer_latency), order, news, reason, name))

    def _arrive(self, place: Place, at: Micros) -> None:
        order = _Resting(place)
        number = order.number
        self._under_way.discard(number)
        self._orders += 1
        every = self._reject_every
        refusal = REHEARSED if every and self._orders % every == 0 else self._refusal(order)
        if refusal:
            self._news(at, number, REJECTED, refusal)
        elif not self._knows_post_only[order.market]:
            self._match(order, at)
        else:
            self._take_or_rest(order, at)

    def _match(self, order: _Resting, at: Micros) -> None:
        """Match an order that was accepted before (V1): it takes what is shown, meant to or not, and the rest rests."""
        left = self._take(order, at)
        if order.post_only and left < order.size:
            self._late += 1
        if left:
            self._rest(order, left, at)

    def _take_or_rest(self, order: _Resting, at: Micros) -> None:
        number, size = order.number, order.size
        left = size if order.post_only else self._take(order, at)
        if left and not order.post_only and self._reached(order):
            # Only what we took ourselves is displayed at this price: the order would rest in a crossed book.
            self._news(at, number, REJECTED if left == size else CANCELED, TAKEN)
        elif left:
            self._rest(order, left, at)

    def _refusal(self, order: _Resting) -> str:
        """Say why the exchange would not take an order, in its own words (reference 3.9)."""
        place, market = order.place, order.market
        if not self._trading[market]:
            return NOT_TRADING
        grid, least = self._grids[market], self._least[market]
        if not grid.holds(order.yes_price):  # a price is on the grid where its complement is
            said = format_price(place.price), format_price(grid.tick)
            return f"order is invalid. Price ({said[0]}) breaks minimum tick size rule: {said[1]}"
        if order.size < least:
            said = format_size(place.size), format_size(Size(least))
            return f"order is invalid. Size ({said[0]}) lower than the minimum: {said[1]}"
        if not self._reached(order) or not self._knows_post_only[market]:
            return ""  # without post-only orders, an order is accepted before anybody knows what it reaches
        if order.post_only:
            return CROSSES
        worth, least_take = cash_paid(place.price, place.size), self._data.markets[market].min_take
        if worth < least_take:
            taken = format_cash(worth), format_cash(least_take)
            return f"invalid amount for a marketable {place.side} order (${taken[0]}), min size: ${taken[1]}"
        return ""

    def _reached(self, order: _Resting) -> bool:
        """Whether the other side of the displayed book is at an order's price, or through it."""
        other: int = self._best[2 * order.market + 1 - order.side]
        return other <= order.yes_price if order.side == BID else other >= order.yes_price

    def _rest(self, order: _Resting, size: Size, at: Micros) -> None:
        number = order.number
        if self._mine[order.queue] == SLOTS:
            self._news(at, number, REJECTED, "too many open orders at the paper exchange in this market")
            return
        if not self._free:
            self._grow()
        order.slot = slot = self._free.pop()
        self._mine[order.queue] += 1
        self._moves.frombytes(MOVE(slot, order.where, size))
        self._resting[number] = order
        if slot == len(self._by_slot):  # slots are taken one after the other
            self._by_slot.append(order)
        else:
            self._by_slot[slot] = order
        if self._chance is not None:
            order.hits = self._chance.start(number, at)
            if not self._chance.by_prints:
                self._follow(order.market, at)
        self._news(at, number, RESTING, "", f"paper-{number}")

    def _merge(self, merge: Merge, at: Micros) -> None:
        """Turn pairs into a dollar each; what is resolved has been paid out already."""
        resolved = merge.market in self._resolved
        size, cash = (Size(0), Cash(0)) if resolved else (merge.size, cash_received(ONE, merge.size))
        self._merged = True
        told = Micros(at + self._settings.merge_delay + self._answer_latency)
        self._merges.append(Merged(told, merge.no, merge.market, size, cash, MARKET_RESOLVED if resolved else ""))

    def _grow(self) -> None:
        size = len(self._queues.order)
        more = np.concatenate([self._queues.order, np.zeros_like(self._queues.order)])
        self._queues = self._queues._replace(order=more)
        self._session.grow(more)
        self._free.extend(range(2 * size - 1, size - 1, -1))

    def _take(self, order: _Resting, at: Micros) -> Size:
        """Match a taking order against the displayed levels, best first; return what is left of it."""
        place = order.place
        left = int(place.size)
        for level, there in kernel.levels(self._books, order.market, 1 - order.side, 0):
            if not left or (level > order.yes_price if order.side == BID else level < order.yes_price):
                break
            matched = self._use(order, level, there, left)
            if not matched:
                continue
            left -= matched
            own = Price(level) if place.outcome is YES else complement(Price(level))
            self._report_fill(place, own, Size(matched), at, maker=False)
        return Size(left)

    def _use(self, order: _Resting, level: int, there: int, wanted: int) -> int:
        """Take from a level what no earlier order of ours took; its next update in the feed makes it whole again."""
        key = (order.market, 1 - order.side, level)
        when = int(self._books.when[key[0], key[1], level // self._data.steps[order.market]])
        seen, used = self._used.get(key, ((0, 0), 0))
        if seen != (when, there):
            used = 0
        matched = min(wanted, there - used)
        self._used[key] = ((when, there), used + matched)
        return matched

    def _withdraw(self, number: OrderNo, at: Micros, reason: str) -> None:
        order = self._resting.get(number)
        if order is None:
            return  # filled, or never taken: its own news says so
        self._remove(order)
        self._news(at, number, CANCELED, reason)

    def _remove(self, order: _Resting) -> None:
        del self._resting[order.number]
        self._moves.frombytes(MOVE(order.slot, order.where, 0))
        self._release(order)

    def _release(self, order: _Resting) -> None:
        self._free.append(order.slot)
        self._mine[order.queue] -= 1

    def _filled(self, index: int) -> None:
        slot, size, at = (int(column[index]) for column in (self._fills.slot, self._fills.size, self._fills.at))
        order = self._by_slot[slot]
        self._report_fill(order.place, order.place.price, Size(size), Micros(at), maker=True)

    def _whole(self, place: Place, size: Size) -> Size:
        """Return how much of a fill is told where orders trade in whole shares: the rest is told with the next part."""
        step = self._data.markets[place.market].size_step
        if step < SIZE_SCALE:
            return size
        total = self._untold.pop(place.order, 0) + size
        if total % step:
            self._untold[place.order] = total % step
        return Size(total - total % step)

    def _report_fill(self, place: Place, price: Price, size: Size, at: Micros, maker: bool) -> None:
        size = self._whole(place, size)
        if not size:
            return
        trade = TradeId(f"paper-{next(self._trades)}")
        cash = self._cash(place, price, size)
        fee = self._data.markets[place.market].fees.charged(place.side, price, size, maker)
        told = Micros(at + self._answer_latency)
        self._answers.append(Filled(told, place.order, trade, price, size, cash, fee, maker))
        self._settle(place.order, trade, told)

    def _settle(self, order: OrderNo, trade: TradeId, told: Micros) -> None:
        """Confirm a trade after the delay, or retry it half-way and let it fail."""
        delay, chance_of_failure = self._settings.settlement_delay, self._settings.settlement_failure
        end = Settlement.CONFIRMED
        if chance_of_failure and Random(f"settlement {self._settings.seed} {trade}").random() < chance_of_failure:
            self._retries.append(Settled(Micros(told + delay // 2), order, trade, Settlement.RETRYING))
            end = Settlement.FAILED
        self._settlements.append(Settled(Micros(told + delay), order, trade, end))

    def _cash(self, place: Place, price: Price, size: Size) -> Cash:
        """Return what a part of an order moves: all parts at one price together are rounded once."""
        rounded = cash_paid if place.side is BUY else cash_received
        before = self._matched.get((place.order, price), Size(0))
        after = self._matched[place.order, price] = Size(before + size)
        return Cash(rounded(price, after) - rounded(price, before))

    def _happen(self, note: Fact) -> None:
        match note:
            case TickChanged():
                self._grids[note.market] = Grid(note.tick)
            case StatusChanged():
                self._trading[note.market] = note.status is MarketStatus.TRADING
                if note.status is MarketStatus.RESOLVED:
                    self._resolved.add(note.market)
                if note.status in (MarketStatus.RESOLVED, MarketStatus.CLOSED):
                    for number, order in list(self._resting.items()):
                        if order.market == note.market:
                            self._withdraw(number, note.at, MARKET_RESOLVED)
            case _:
                pass
