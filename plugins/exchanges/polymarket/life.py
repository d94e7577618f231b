"""The life of our orders at Polymarket: what is said of them, by whom, and what may be believed (O3-O7)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import Enum, auto

import msgspec

from pmrun.plugins.exchanges.polymarket.fills import own_parts
from pmrun.plugins.exchanges.polymarket.news import OrderKind, OrderSeen, OrderStatus, TradeSeen, TradeStatus
from pmrun.plugins.exchanges.polymarket.wire_rest import CancelAnswer, OpenOrder, OrderAnswer, Verdict
from pmrun.runner.facts import Fact, Filled, OrderNews, Settled
from pmrun.runner.intents import Place
from pmrun.runner.market import FeeTerms, TokenId
from pmrun.runner.orders import News, OrderNo, Settlement, TradeId
from pmrun.runner.units import SECOND, Micros, Size

CHECKS = tuple(Micros(after * SECOND) for after in (1, 3, 10))  # after a request leaves (O5)
AGAIN = Micros(1 * SECOND)  # between two looks for an order that was not found
SURE = Micros(10 * SECOND)  # an answer that has not come by then is not awaited any more (O7)

SETTLEMENTS = {
    TradeStatus.MATCHED_NOT_BROADCASTED: Settlement.MATCHED,
    TradeStatus.MATCHED: Settlement.MATCHED,
    TradeStatus.MINED: Settlement.MINED,
    TradeStatus.RETRYING: Settlement.RETRYING,
    TradeStatus.CONFIRMED: Settlement.CONFIRMED,
    TradeStatus.FAILED: Settlement.FAILED,
}


class Standing(Enum):
    """What is known of an order at the exchange."""

    SENT = auto()  # the request is under way
    UNKNOWN = auto()  # its answer was lost
    TAKEN = auto()  # the exchange said that it has it
    ENDED = auto()


class Record:
    """One order of ours as the exchange knows it."""

    __slots__ = (
        "cancel_asked",
        "checks",
        "filled",
        "matched",
        "missing",
        "order_id",
        "place",
        "sent_at",
        "shown",
        "standing",
        "token",
    )

    def __init__(self, place: Place, order_id: str, token: TokenId, sent_at: Micros) -> None:
        """Take an order that is about to be sent."""
        self.place = place
        self.order_id = order_id
        self.token = token
        self.sent_at = sent_at
        self.standing = Standing.SENT
        self.shown = False  # whether it was seen on the book, by socket or REST (O3, layer B)
        self.filled = 0  # by trades: the only thing that counts
        self.matched = 0  # by what orders say of themselves: asks for trades that are missing
        self.missing = 0  # complete snapshots in a row that did not know it
        self.cancel_asked = False
        self.checks = [Micros(sent_at + after) for after in CHECKS]

    @property
    def no(self) -> OrderNo:
        """The desk's number."""
        return self.place.order

    @property
    def in_play(self) -> bool:
        """Whether it may rest."""
        return self.standing is not Standing.ENDED

    @property
    def owed(self) -> bool:
        """Whether the exchange spoke of a match whose trade we have not seen."""
        return self.matched > self.filled


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything REST said at one time: complete, or there is none (O5)."""

    started: Micros  # when the first page was asked for
    since: Micros  # from when on trades were asked for
    orders: tuple[OpenOrder, ...]
    trades: tuple[TradeSeen, ...]


class OrderLife:
    """Turns what the exchange says into facts, each once; decides nothing, and talks to nobody."""

    def __init__(self, fees: dict[TokenId, FeeTerms]) -> None:
        """Know no order yet; `fees` are those of each token's market."""
        self._fees = fees
        self.records: dict[OrderNo, Record] = {}
        self.by_id: dict[str, Record] = {}
        self.fills: dict[tuple[TradeId, OrderNo], Settlement] = {}
        self.counts: Counter[str] = Counter()
        self.strangers: set[str] = set()  # orders that rest and that this session did not place
        self.undead: set[str] = set()  # orders that rest although they were said to have ended
        self._matched_at: dict[str, Micros] = {}  # of every trade we know
        self._owed: set[str] = set()

    def in_play(self) -> list[Record]:
        """Return the orders that may rest."""
        return [record for record in self.records.values() if record.in_play]

    def unsettled(self) -> bool:
        """Whether a fill may still fail."""
        return any(not status.final for status in self.fills.values())

    def oldest_unsettled(self) -> Micros | None:
        """Return when the first fill that may still fail was matched."""
        open_trades = {trade for (trade, _), status in self.fills.items() if not status.final}
        return min((self._matched_at[trade] for trade in open_trades), default=None)

    # What we do.

    def send(self, record: Record) -> None:
        """Remember an order before its request leaves."""
        self.records[record.no] = self.by_id[record.order_id] = record

    def adopt(self, record: Record, filled: Size) -> None:
        """Take over an order that an earlier session left resting; what was filled before is no news."""
        record.standing, record.shown = Standing.TAKEN, True
        record.filled = record.matched = filled
        record.checks = []
        self.send(record)

    def never_left(self, record: Record, at: Micros, why: str) -> list[Fact]:
        """Give up an order whose request was not sent."""
        return self._end(record, News.REJECTED, at, why)

    # What the exchange answers.

    def answered(self, record: Record, answer: OrderAnswer, at: Micros) -> list[Fact]:
        """Take the answer to an order (O4): accepted, refused, or to be looked up."""
        if answer.verdict is Verdict.REJECTED:
            return self.refused(record, answer.reason, at)
        if answer.verdict is Verdict.UNSURE or answer.order_id != record.order_id:
            return self.lost(record, answer.reason or f"answered {answer.status_text or 'nothing'}", at)
        if answer.status is OrderStatus.MATCHED:
            self._owes(record)
        return self._taken(record, News.ACCEPTED, at)

    def refused(self, record: Record, why: str, at: Micros) -> list[Fact]:
        """Take a proof that the exchange did not take an order."""
        if record.standing is Standing.TAKEN:
            self.counts["refused_after_taken"] += 1
            return self.lost(record, why, at)
        return self._end(record, News.REJECTED, at, why)

    def lost(self, record: Record, why: str, at: Micros) -> list[Fact]:
        """Note that nobody can say whether an order arrived (O7): it is looked up, and never sent again."""
        self.counts["answers_lost"] += 1
        self._check_at(record, at)
        if record.standing is not Standing.SENT:
            return []
        record.standing = Standing.UNKNOWN
        return [OrderNews(at, record.no, News.UNKNOWN, why, record.order_id)]

    def cancelled(self, answer: CancelAnswer, at: Micros) -> list[Fact]:
        """Take the answer to a cancel (reference 3.3); what could not be cancelled is looked up."""
        facts: list[Fact] = []
        for order_id in answer.canceled:
            record = self.by_id.get(order_id)
            if record is not None:
                facts += self._end(record, News.CANCELED, at, "")
        for order_id, why in answer.not_canceled.items():
            record = self.by_id.get(order_id)
            if record is not None and record.in_play:
                if "matched" in why.lower():
                    self._owes(record)
                self._check_at(record, at)
        return facts

    # What the user socket says.

    def order_seen(self, seen: OrderSeen, at: Micros) -> list[Fact]:
        """Take an order message: it may put an order on the book or end it; fills count by their trades only."""
        record = self.by_id.get(seen.order_id)
        if record is None:
            return []
        self._says_matched(record, seen.size_matched)
        if seen.kind is OrderKind.CANCELLATION or seen.status in (OrderStatus.CANCELED, OrderStatus.EXPIRED):
            news = News.EXPIRED if seen.status is OrderStatus.EXPIRED else News.CANCELED
            return self._end(record, news, at, "" if record.cancel_asked else seen.status_text)
        if seen.status in (OrderStatus.LIVE, OrderStatus.MATCHED):
            return self._shown(record, at)
        self._check_at(record, at)
        return []

    def trade_seen(self, seen: TradeSeen, at: Micros) -> list[Fact]:
        """Take a trade at one stage: our parts are fills at MATCHED, final at CONFIRMED, undone at FAILED (O6)."""
        facts: list[Fact] = []
        status = SETTLEMENTS[seen.status]
        self._matched_at[seen.trade_id] = seen.matched_at
        for part in own_parts(seen, self.by_id.keys(), self._fees):
            record = self.by_id[part.order_id]
            key = (TradeId(seen.trade_id), record.no)
            known = self.fills.get(key)
            if known is None:
                facts += self._taken(record, News.ACCEPTED, at)
                facts.append(Filled(at, record.no, key[0], part.price, part.size, part.cash, part.fee, part.maker))
                record.filled += part.size
                self._settle_debt(record)
            if known is not status and (known is None or not known.final):
                if status is not Settlement.MATCHED:
                    facts.append(Settled(at, record.no, key[0], status))
                self.fills[key] = status
        return facts

    # What REST says.

    def snapshot(self, seen: Snapshot, at: Micros) -> tuple[list[Fact], list[Record]]:
        """Take a complete snapshot: it may add, never undo; returns the orders it does not know, to be asked for.

        One that shows an ended order, or lacks a trade that we know, is older than what we know: what it lacks says
        nothing (O5).
        """
        facts: list[Fact] = []
        listed = {order.order_id: order for order in seen.orders}
        known = listed.keys() & self.by_id.keys()
        self.strangers = listed.keys() - known
        self.undead = {order_id for order_id in known if not self.by_id[order_id].in_play}
        for order_id in known - self.undead:
            record = self.by_id[order_id]
            record.missing = 0
            self._says_matched(record, listed[order_id].size_matched)
            facts += self._shown(record, at)
        older = bool(self.undead) or self._lacks_a_trade(seen)
        for trade in seen.trades:
            facts += self.trade_seen(trade, at)
        absent = [each for each in self.in_play() if each.sent_at < seen.started and each.order_id not in listed]
        if older:
            self.counts["older_snapshots"] += 1
            for record in absent:
                self._check_at(record, Micros(at + AGAIN))
            return facts, []
        return facts, absent

    def _lacks_a_trade(self, seen: Snapshot) -> bool:
        there = {trade.trade_id for trade in seen.trades}
        return any(
            at > seen.since + SECOND and trade not in there and at < seen.started - SECOND
            for trade, at in self._matched_at.items()
        )

    def looked_up(self, record: Record, found: OpenOrder | None, at: Micros) -> list[Fact]:
        """Take what one order says of itself; None: the exchange does not know it (any more) (reference 3.4)."""
        if not record.in_play:
            return []
        if found is not None:
            record.missing = 0
            self._says_matched(record, found.size_matched)
            if found.status in (OrderStatus.CANCELED, OrderStatus.EXPIRED):
                news = News.EXPIRED if found.status is OrderStatus.EXPIRED else News.CANCELED
                return self._end(record, news, at, found.status_text)
            if found.status is OrderStatus.INVALID:
                return self._end(record, News.REJECTED if not record.shown else News.CANCELED, at, found.status_text)
            return self._shown(record, at)
        record.missing += 1
        if record.missing < 2 or (record.standing is not Standing.TAKEN and at < record.sent_at + SURE):
            self._check_at(record, Micros(at + AGAIN))
            return []
        if record.standing is Standing.TAKEN:
            return self._end(record, News.CANCELED, at, "" if record.cancel_asked else "gone from the exchange")
        return self._end(record, News.REJECTED, at, "it never arrived at the exchange")

    # What is to be looked at.

    def next_check(self) -> Micros | None:
        """Return when the next order wants to be looked up."""
        return min((record.checks[0] for record in self.in_play() if record.checks), default=None)

    def take_due(self, at: Micros) -> bool:
        """Say whether a snapshot is due now, and strike off what it will answer."""
        due = bool(self._owed)
        for record in self.in_play():
            while record.checks and record.checks[0] <= at:
                record.checks.pop(0)
                due = True
        return due

    @property
    def owed(self) -> bool:
        """Whether trades are missing."""
        return bool(self._owed)

    # How an order moves on; each step is told once.

    def _taken(self, record: Record, news: News, at: Micros) -> list[Fact]:
        if record.standing not in (Standing.SENT, Standing.UNKNOWN):
            return []
        record.standing = Standing.TAKEN
        return [OrderNews(at, record.no, news, "", record.order_id)]

    def _shown(self, record: Record, at: Micros) -> list[Fact]:
        if record.shown or not record.in_play:
            return []
        record.shown = True
        record.standing = Standing.TAKEN
        return [OrderNews(at, record.no, News.RESTING, "", record.order_id)]

    def _end(self, record: Record, news: News, at: Micros, why: str) -> list[Fact]:
        if not record.in_play:
            return []
        record.standing = Standing.ENDED
        record.checks = []
        return [OrderNews(at, record.no, news, why, record.order_id)]

    def _says_matched(self, record: Record, matched: int) -> None:
        record.matched = max(record.matched, matched)
        if record.owed:
            self._owes(record)

    def _owes(self, record: Record) -> None:
        self._owed.add(record.order_id)

    def _settle_debt(self, record: Record) -> None:
        if record.filled >= record.place.size:
            record.standing = Standing.ENDED
            record.checks = []
        if not record.owed:
            self._owed.discard(record.order_id)

    def pay(self, trades_until: Micros) -> None:
        """Forget debts that a complete list of trades did not bear out; an order that is matched is looked up again."""
        for order_id in list(self._owed):
            record = self.by_id[order_id]
            if not record.owed:
                self._owed.discard(order_id)
            elif record.in_play:
                self._check_at(record, Micros(trades_until + AGAIN))

    def _check_at(self, record: Record, at: Micros) -> None:
        record.checks = sorted({*record.checks, at})


def ids(records: Iterable[Record]) -> Sequence[str]:
    """Return the exchange's ids of some orders."""
    return [record.order_id for record in records]
