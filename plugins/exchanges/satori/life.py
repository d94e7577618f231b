"""The life of our orders at SatoriEx: what is said of them before, with and after the answer that names them (V1, V2).

An order has no id before its answer comes, and may be filled by then: what is said of an id that nobody knows is kept
until an order of ours is known by it. Where the answer is lost, the order is found among the account's by its terms.
"""

from collections.abc import Sequence

from pmrun.plugins.exchanges.common.known_orders import SURE, KnownOrders
from pmrun.plugins.exchanges.common.order_record import Record, Standing
from pmrun.plugins.exchanges.satori.news import Cause, FillSeen, OrderSeen, OrderStatus
from pmrun.runner.account_records import OrderRecord
from pmrun.runner.facts import Fact, Filled, OrderNews, Settled
from pmrun.runner.orders import News, Settlement, TradeId
from pmrun.runner.units import SECOND, Micros, Side, cash_paid, cash_received

CLOCKS = Micros(2 * SECOND)  # what the exchange's clock may be behind ours
MOST_UNCLAIMED = 1_000
ARRIVES = Micros(120 * SECOND)  # that a request may be under way when the session that sent it is killed
WHY = {
    Cause.ADMIN: "cancelled by the exchange (admin)",
    Cause.VALIDATION: "the exchange did not validate it",
    Cause.RESOLVED: "market resolved",
    Cause.UNSAID: "cancelled, the exchange does not say why",
}


class _Unclaimed:
    """What was said of an order that none of ours is known by."""

    __slots__ = ("fills", "first_at", "seen")

    def __init__(self, at: Micros) -> None:
        self.first_at = at
        self.seen: OrderSeen | None = None
        self.fills: list[FillSeen] = []


class OrderLife(KnownOrders):
    """Turns what the exchange says into facts, each once; decides nothing, and talks to nobody."""

    def __init__(self, before: frozenset[str] = frozenset(), lost: Sequence[OrderRecord] = ()) -> None:
        """Know no order yet; `before` are trades that are in the balances already.

        `lost` are an earlier session's orders whose answer it did not live to see: they may arrive yet.
        """
        super().__init__()
        self._before = before
        self._may_arrive = list(lost)
        self._arrived: list[tuple[OrderRecord, str]] = []
        self.traded_at: dict[TradeId, Micros] = {}  # when the fills told last were matched, by the exchange's clock
        self._unclaimed: dict[str, _Unclaimed] = {}  # oldest first
        self._strange: set[str] = set()  # ids of orders that were there before this session
        self._named: list[Record] = []
        self.cancelled_at = Micros(0)  # when an order was cancelled last: a fill of it may still be told
        self.undead: dict[str, Record] = {}  # orders that rest although they were said to have ended

    @property
    def strangers(self) -> list[str]:
        """The ids of orders that rest and that none of ours is."""
        open_ones = (OrderStatus.PENDING, OrderStatus.OPEN, OrderStatus.PARTIAL)
        return [each for each, it in self._unclaimed.items() if it.seen is not None and it.seen.status in open_ones]

    @property
    def owed(self) -> list[Record]:
        """The orders that say they are filled by more than their trades."""
        return [record for record in self.records.values() if record.owed]

    def take_named(self) -> list[Record]:
        """Return the orders whose ids became known since this was asked last."""
        named, self._named = self._named, []
        return named

    # What we do.

    def known_before(self, order_id: str) -> None:
        """Learn of an order that is none of this session's."""
        self._strange.add(order_id)

    # What the exchange answers.

    def answered(self, record: Record, seen: OrderSeen, at: Micros) -> list[Fact]:
        """Take the answer to an order: it has an id, and what was said of that before counts now."""
        if not _same_terms(record, seen) or self.by_id.get(seen.order_id, record) is not record:
            self.counts["answers_contradicted"] += 1
            return self.lost(record, f"the answer is of another order: {seen.order_id}", at)
        if record.order_id:
            return self.order_seen(seen, at)
        return [*self._name(record, seen.order_id, at), *self.order_seen(seen, at)]

    def refused(self, record: Record, why: str, at: Micros) -> list[Fact]:
        """Take a proof that the exchange did not take an order."""
        if record.standing is Standing.TAKEN:
            self.counts["refused_after_taken"] += 1
            return self.lost(record, why, at)
        return [*self._end(record, News.REJECTED, at, why), *self._match(at)]

    def lost(self, record: Record, why: str, at: Micros) -> list[Fact]:
        """Note that nobody can say whether an order arrived (O7): it is looked up, and never sent again."""
        facts = self._lost(record, why, at)
        return [*facts, *self._match(at)] if facts else []

    # What the socket and REST say.

    def order_seen(self, seen: OrderSeen, at: Micros) -> list[Fact]:
        """Take what is said of an order: it may put one on the book or end it; fills count by their trades only."""
        record = self.by_id.get(seen.order_id)
        if record is None:
            if seen.order_id in self._strange:
                return []
            self._kept(seen.order_id, at).seen = seen
            return self._match(at)
        record.missing = 0
        record.matched = max(record.matched, seen.filled)
        if seen.status is OrderStatus.CANCELLED:
            return self._cancelled(record, seen, at)
        if not record.in_play:
            if seen.status is not OrderStatus.FILLED and seen.updated_at > (record.ended_at or at) + SURE:
                self.undead[seen.order_id] = record
            return []
        if seen.status is OrderStatus.FILLED or record.shown:
            return []
        if seen.status is OrderStatus.PENDING:
            return []
        record.shown = True
        return [OrderNews(at, record.no, News.RESTING, "", record.order_id, ws=seen.said)]

    def fill_seen(self, fill: FillSeen, at: Micros) -> list[Fact]:
        """Take a part of an order that was matched: it is settled with that, and counts once by its trade."""
        if fill.trade_id in self._before:
            return []
        record = self.by_id.get(fill.order_id)
        if record is None:
            if fill.order_id not in self._strange:
                self._kept(fill.order_id, at).fills.append(fill)
            return self._match(at)
        trade = TradeId(fill.trade_id)
        if trade in record.trades:
            return []
        cash = cash_paid if record.place.side is Side.BUY else cash_received
        record.trades.append(trade)
        self.traded_at[trade] = fill.at
        record.filled += fill.size
        if record.filled >= record.place.size and record.in_play:
            self._out_of_play(record, at)
        moved = cash(fill.price, fill.size)
        return [
            Filled(at, record.no, trade, fill.price, fill.size, moved, fill.fee, fill.maker),
            Settled(at, record.no, trade, Settlement.CONFIRMED),
        ]

    # Orders without an id.

    def _kept(self, order_id: str, at: Micros) -> _Unclaimed:
        kept = self._unclaimed.get(order_id)
        if kept is None:
            kept = self._unclaimed[order_id] = _Unclaimed(at)
            if len(self._unclaimed) > MOST_UNCLAIMED:
                gone = next(iter(self._unclaimed))
                del self._unclaimed[gone]
                self._strange.add(gone)
        return kept

    def _match(self, at: Micros) -> list[Fact]:
        """Find the orders whose answers were lost, once no answer can name the ones they might be any more."""
        nameless = [each for each in self.records.values() if not each.order_id and not _refused(each)]
        facts: list[Fact] = []
        for record in sorted(nameless, key=lambda each: each.sent_at):
            if record.standing is Standing.SENT:
                continue
            rivals = [each for each in nameless if each.standing is Standing.SENT and _alike(each, record)]
            found = None if rivals else self._first_like(record)
            if found is not None:
                self.counts["orders_matched"] += 1
                facts += self._name(record, found, at)
                if not record.in_play:
                    self.undead[found] = record
        self._find_lost([each for each in nameless if each.standing is Standing.SENT])
        return facts

    def _find_lost(self, rivals: Sequence[Record]) -> None:
        """Find what an earlier session sent and arrived only now; it stays none of this session's."""
        for lost in list(self._may_arrive):
            for order_id, kept in self._unclaimed.items():
                seen = kept.seen
                if seen is None or not can_be(lost, seen) or any(_same_terms(each, seen) for each in rivals):
                    continue
                self._may_arrive.remove(lost)
                del self._unclaimed[order_id]
                self._strange.add(order_id)
                self._arrived.append((lost, order_id))
                self.counts["orders_of_before"] += 1
                break

    def take_arrived(self) -> list[tuple[OrderRecord, str]]:
        """Return the orders of an earlier session that arrived since this was asked last, with their ids."""
        arrived, self._arrived = self._arrived, []
        return arrived

    def _first_like(self, record: Record) -> str | None:
        """Return the oldest order that it can be: its terms, not created before it was sent, nobody's yet."""
        like = [
            (kept.seen.created_at, order_id)
            for order_id, kept in self._unclaimed.items()
            if kept.seen is not None
            and kept.first_at >= record.sent_at
            and kept.seen.created_at >= record.sent_at - CLOCKS
            and _same_terms(record, kept.seen)
        ]
        return min(like)[1] if like else None

    def _name(self, record: Record, order_id: str, at: Micros) -> list[Fact]:
        """Know an order by its id from here on, and take what was said of that before."""
        record.order_id = order_id
        self.by_id[order_id] = record
        self._named.append(record)
        facts: list[Fact] = []
        if record.in_play:
            record.standing = Standing.TAKEN
            facts.append(OrderNews(at, record.no, News.ACCEPTED, "", order_id))
        kept = self._unclaimed.pop(order_id, None)
        if kept is not None:
            for fill in kept.fills:
                self.counts["fills_before_answers"] += 1
                facts += self.fill_seen(fill, at)
            if kept.seen is not None:
                facts += self.order_seen(kept.seen, at)
        return facts

    # How an order ends.

    def _cancelled(self, record: Record, seen: OrderSeen, at: Micros) -> list[Fact]:
        """End an order by its cause; one that did not pass validation has never been there (V2)."""
        ours = record.cancel_asked and seen.cause in (Cause.USER, Cause.UNSAID)
        why = "" if ours else WHY.get(seen.cause, "cancelled by hand")
        never = seen.cause is Cause.VALIDATION and not record.shown and not record.matched
        return self._end(record, News.REJECTED if never else News.CANCELED, at, why, seen.said)

    def _out_of_play(self, record: Record, at: Micros) -> None:
        super()._out_of_play(record, at)
        self.cancelled_at = at if record.filled < record.place.size else self.cancelled_at

    def _forget(self, record: Record) -> None:
        if record.order_id:
            self._strange.add(record.order_id)


def can_be(lost: OrderRecord, seen: OrderSeen) -> bool:
    """Whether an order is one that an earlier session sent without living to see its answer."""
    terms = (lost.token, lost.side, lost.price_e4, lost.size_e6)
    in_time = lost.sent_at_us - CLOCKS <= seen.created_at <= lost.sent_at_us + ARRIVES
    return in_time and terms == (seen.token, seen.side, seen.price, seen.size)


def _refused(record: Record) -> bool:
    """Whether it is proven that an order without an id was not taken, or never left."""
    return record.given_up and record.missing == 0


def _same_terms(record: Record, seen: OrderSeen) -> bool:
    place = record.place
    return (record.token, place.side, place.price, place.size) == (seen.token, seen.side, seen.price, seen.size)


def _alike(one: Record, other: Record) -> bool:
    return (one.token, one.place.side, one.place.price, one.place.size) == (
        other.token,
        other.place.side,
        other.place.price,
        other.place.size,
    )
