"""The life of our orders at Polymarket: what is said of them, by whom, and what may be believed (O3-O7)."""

from pmrun.plugins.exchanges.common import words
from pmrun.plugins.exchanges.common.debts import Debts
from pmrun.plugins.exchanges.common.known_orders import AGAIN, SURE, KnownOrders
from pmrun.plugins.exchanges.common.order_record import Record, Standing
from pmrun.plugins.exchanges.polymarket.fills import OwnPart, own_parts
from pmrun.plugins.exchanges.polymarket.news import OrderKind, OrderSeen, OrderStatus, TradeSeen, TradeStatus
from pmrun.plugins.exchanges.polymarket.snapshot import Judged, Snapshot
from pmrun.plugins.exchanges.polymarket.wire_orders import CancelAnswer, OpenOrder, OrderAnswer, Verdict
from pmrun.runner.facts import Fact, Filled, OrderNews, Settled
from pmrun.runner.market import FeeTerms, TokenId
from pmrun.runner.orders import News, OrderNo, Settlement, TradeId, settles
from pmrun.runner.units import SECOND, Micros, Size

SETTLEMENTS = {
    TradeStatus.MATCHED_NOT_BROADCASTED: Settlement.MATCHED,
    TradeStatus.MATCHED: Settlement.MATCHED,
    TradeStatus.MINED: Settlement.MINED,
    TradeStatus.RETRYING: Settlement.RETRYING,
    TradeStatus.CONFIRMED: Settlement.CONFIRMED,
    TradeStatus.FAILED: Settlement.FAILED,
}
ENDS = {OrderStatus.CANCELED: News.CANCELED, OrderStatus.EXPIRED: News.EXPIRED}
ON_THE_BOOK = (OrderStatus.LIVE, OrderStatus.MATCHED)


class OrderLife(KnownOrders):
    """Turns what the exchange says into facts, each once; decides nothing, and talks to nobody."""

    def __init__(self, fees: dict[TokenId, FeeTerms], before: frozenset[str] = frozenset()) -> None:
        """Know no order yet; `fees` are those of each token's market, `before` are trades that are in the balances."""
        super().__init__()
        self._fees = fees
        self._before = before
        self._unsettled: dict[tuple[TradeId, OrderNo], Micros] = {}  # when each fill was matched that may still fail
        self._matched_at: dict[str, Micros] = {}  # of the trades of the orders we remember
        self.fills: dict[tuple[TradeId, OrderNo], Settlement] = {}
        self.debts = Debts()
        self.strangers: set[str] = set()  # orders that rest and that this session did not place
        self.undead: set[str] = set()  # orders that rest although they were said to have ended

    def unsettled(self) -> bool:
        """Whether a fill may still fail."""
        return bool(self._unsettled)

    def oldest_unsettled(self) -> Micros | None:
        """Return when the first fill that may still fail was matched."""
        return min(self._unsettled.values(), default=None)

    # What the exchange answers.

    def answered(self, record: Record, answer: OrderAnswer, at: Micros) -> list[Fact]:
        """Take the answer to an order (O4): accepted, refused, or to be looked up."""
        if answer.verdict is Verdict.REJECTED:
            return self.refused(record, answer.reason, at, answer.said)
        if answer.verdict is Verdict.UNSURE or answer.order_id != record.order_id:
            why = answer.reason or f"answered {answer.status_text or 'nothing'}"
            return self.lost(record, why, at, answer.said)
        if answer.status is OrderStatus.MATCHED:
            self.debts.hint(record, at)
        return words.answered(record, answer.said, self._taken(record, at), at)

    def refused(self, record: Record, why: str, at: Micros, said: str = "") -> list[Fact]:
        """Take a proof that the exchange did not take an order."""
        if record.standing is Standing.TAKEN:
            self.counts["refused_after_taken"] += 1
            return self.lost(record, why, at, said)
        return words.answered(record, said, self._end(record, News.REJECTED, at, why), at)

    def lost(self, record: Record, why: str, at: Micros, said: str = "") -> list[Fact]:
        """Note that nobody can say whether an order arrived (O7): it is looked up, and never sent again."""
        return words.answered(record, said, self._lost(record, why, at), at)

    def cancelled(self, answer: CancelAnswer, at: Micros) -> list[Fact]:
        """Take the answer to a cancel (reference 3.3); what could not be cancelled is looked up."""
        facts: list[Fact] = []
        for order_id in answer.canceled:
            record = self.by_id.get(order_id)
            if record is not None:
                facts += words.answered(record, answer.said, self._end(record, News.CANCELED, at, ""), at)
        for order_id, why in answer.not_canceled.items():
            record = self.by_id.get(order_id)
            if record is not None and record.in_play:
                if "matched" in why.lower():
                    self.debts.hint(record, at)
                record.look_at(at)
                facts += words.answered(record, answer.said, [], at)
        return facts

    # What the user socket says.

    def order_seen(self, seen: OrderSeen, at: Micros) -> list[Fact]:
        """Take an order message: it may put an order on the book or end it; fills count by their trades only."""
        record = self.by_id.get(seen.order_id)
        return [] if record is None else words.heard(record, seen.said, self._order_seen(record, seen, at), at)

    def _order_seen(self, record: Record, seen: OrderSeen, at: Micros) -> list[Fact]:
        self._says_matched(record, seen.size_matched, at)
        if seen.status in ENDS or seen.kind is OrderKind.CANCELLATION:
            news = ENDS.get(seen.status, News.CANCELED)
            return self._end(record, news, at, "" if record.cancel_asked else seen.status_text)
        return self._shown(record, seen.status, at)

    def trade_seen(self, seen: TradeSeen, at: Micros) -> list[Fact]:
        """Take a trade at one stage: our parts are fills at MATCHED, final at CONFIRMED, undone at FAILED (O6)."""
        return [fact for record, facts in self._parts(seen, at) for fact in words.heard(record, seen.said, facts, at)]

    def _trade_listed(self, seen: TradeSeen, at: Micros) -> list[Fact]:
        """Take a trade as REST lists it, again and again: its words are kept when they are news."""
        parts = [(record, facts) for record, facts in self._parts(seen, at) if facts]
        return [fact for record, facts in parts for fact in words.answered(record, seen.said, facts, at)]

    def _parts(self, seen: TradeSeen, at: Micros) -> list[tuple[Record, list[Fact]]]:
        """Return what a trade says of each order of ours in it."""
        if seen.trade_id in self._before:
            return []
        parts = own_parts(seen, self.by_id.keys(), self._fees)
        return [(self.by_id[part.order_id], self._part(seen, part, at)) for part in parts]

    def _part(self, seen: TradeSeen, part: OwnPart, at: Micros) -> list[Fact]:
        record, facts = self.by_id[part.order_id], list[Fact]()
        key = (TradeId(seen.trade_id), record.no)
        if key not in self.fills:
            facts += self._taken(record, at)
            facts.append(Filled(at, record.no, key[0], part.price, part.size, part.cash, part.fee, part.maker))
            self._fill(key, record, part.size, seen.matched_at, at)
        return [*facts, *self._settle(key, SETTLEMENTS[seen.status], at)]

    def _fill(self, key: tuple[TradeId, OrderNo], record: Record, size: Size, matched_at: Micros, at: Micros) -> None:
        self.fills[key] = Settlement.MATCHED
        self._unsettled[key] = self._matched_at[key[0]] = matched_at
        record.trades.append(key[0])
        record.filled += size
        if record.filled >= record.place.size and record.in_play:
            self._out_of_play(record, at)
        if not record.owed:
            self.debts.paid(record)

    def _settle(self, key: tuple[TradeId, OrderNo], status: Settlement, at: Micros) -> list[Fact]:
        """Move a fill's settlement on, forward only; what contradicts its end is counted."""
        moves = settles(self.fills[key], status)
        if moves is None:
            self.counts["impossible_settlements"] += 1
        if not moves:
            return []
        self.fills[key] = status
        if status.final:
            self._unsettled.pop(key, None)
        return [Settled(at, key[1], key[0], status)]

    # What REST says.

    def snapshot(self, seen: Snapshot, at: Micros) -> Judged:
        """Take a complete snapshot: it may add, never undo (O5).

        One that shows an order which ended a moment ago, or lacks a trade that we know, is older than what we know. An
        order that is shown long after its end, or after it was given up, does rest, and must not.
        """
        facts: list[Fact] = []
        listed = {order.order_id: order for order in seen.orders}
        older = self._lacks_a_trade(seen)
        self.strangers = listed.keys() - self.by_id.keys()
        self.undead = set()
        for order in seen.orders:
            record = self.by_id.get(order.order_id)
            if record is None:
                continue
            if record.in_play:
                record.missing = 0
                self._says_matched(record, order.size_matched, at)
                facts += words.looked_up(record, order.said, self._shown(record, order.status, at), at)
            elif self._ended_before(record, seen.started):
                self.undead.add(order.order_id)
            elif record.ended_at is not None and record.ended_at < seen.started:
                older = True
        for trade in seen.trades:
            facts += self._trade_listed(trade, at)
        absent = [each for each in self.in_play() if each.sent_at < seen.started and each.order_id not in listed]
        if older:
            self.counts["older_snapshots"] += 1
            return Judged(facts, [], older=True)
        return Judged(facts, absent, older=False)

    def _ended_before(self, record: Record, started: Micros) -> bool:
        """Whether an order ended so long before a look that REST knows of it; one that was given up may rest anyhow."""
        return record.given_up or record.ended_at is None or record.ended_at < started - SURE

    def _lacks_a_trade(self, seen: Snapshot) -> bool:
        there = {trade.trade_id for trade in seen.trades}
        return any(
            seen.since + SECOND < at < seen.started - SECOND and trade not in there
            for trade, at in self._matched_at.items()
        )

    def looked_up(self, record: Record, found: OpenOrder | None, at: Micros) -> list[Fact]:
        """Take what one order says of itself; None: the exchange does not know it (any more) (reference 3.4)."""
        if not record.in_play:
            return []
        if found is None:
            return self.missing(record, at)
        return words.looked_up(record, found.said, self._found(record, found, at), at)

    def _found(self, record: Record, found: OpenOrder, at: Micros) -> list[Fact]:
        record.missing = 0
        self._says_matched(record, found.size_matched, at)
        if found.status in ENDS:
            return self._end(record, ENDS[found.status], at, found.status_text)
        if found.status is OrderStatus.INVALID:
            ever = record.shown or record.filled
            return self._end(record, News.CANCELED if ever else News.REJECTED, at, found.status_text)
        return self._shown(record, found.status, at)

    # What is to be looked at.

    def next_check(self) -> Micros | None:
        """Return when the next order wants to be looked up."""
        moments = [each for each in (super().next_check(), self.debts.next_look()) if each is not None]
        return min(moments, default=None)

    def take_due(self, at: Micros) -> bool:
        """Say whether a snapshot is due now, and strike off what it will answer."""
        owed = self.debts.take_due(at)
        return super().take_due(at) or owed

    @property
    def owed(self) -> bool:
        """Whether trades are missing."""
        return bool(self.debts)

    # How an order moves on; each step is told once.

    def _taken(self, record: Record, at: Micros) -> list[Fact]:
        if record.standing not in (Standing.SENT, Standing.UNKNOWN):
            return []
        record.standing = Standing.TAKEN
        return [OrderNews(at, record.no, News.ACCEPTED, "", record.order_id)]

    def _shown(self, record: Record, status: OrderStatus, at: Micros) -> list[Fact]:
        """Take it that an order is there; a status that says neither where it stands nor its end is asked again."""
        if not record.in_play:
            return []
        if status not in ON_THE_BOOK:
            record.look_at(Micros(at + AGAIN))
            return self._taken(record, at)
        if record.shown:
            return []
        record.shown = True
        record.standing = Standing.TAKEN
        return [OrderNews(at, record.no, News.RESTING, "", record.order_id)]

    def _says_matched(self, record: Record, matched: int, at: Micros) -> None:
        record.matched = max(record.matched, matched)
        if record.owed:
            self.debts.owe(record, at)

    def _settled(self, record: Record) -> bool:
        return super()._settled(record) and all(self.fills[trade, record.no].final for trade in record.trades)

    def _forget(self, record: Record) -> None:
        for trade in record.trades:
            del self.fills[trade, record.no]
            self._matched_at.pop(trade, None)
