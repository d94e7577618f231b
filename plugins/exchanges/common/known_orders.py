"""The orders of a session, in play and ended: what is the same in their lives everywhere (O3-O7)."""

from collections import Counter
from collections.abc import Container

from pmrun.plugins.exchanges.common.order_record import Record, Standing
from pmrun.runner.facts import Fact, OrderNews
from pmrun.runner.orders import News, OrderNo
from pmrun.runner.units import SECOND, Micros

AGAIN = Micros(1 * SECOND)  # between two looks for an order that was not found
SURE = Micros(10 * SECOND)  # what REST has not shown by then, it is not about to show (O7)
MISSES = 2  # complete looks in a row that have to lack an order before it counts as gone


class KnownOrders:
    """Keeps the orders, and moves them on; what the exchange says of them is read by its adapter."""

    undead: Container[str]  # orders that rest although they were said to have ended

    def __init__(self) -> None:
        """Know no order yet."""
        self._in_play: dict[OrderNo, Record] = {}
        self._ended: dict[OrderNo, Record] = {}  # oldest first
        self.records: dict[OrderNo, Record] = {}
        self.by_id: dict[str, Record] = {}
        self.counts: Counter[str] = Counter()

    def in_play(self) -> list[Record]:
        """Return the orders that may rest."""
        return list(self._in_play.values())

    # What we do.

    def send(self, record: Record) -> None:
        """Remember an order before its request leaves; it may have no id yet."""
        self.records[record.no] = self._in_play[record.no] = record
        if record.order_id:
            self.by_id[record.order_id] = record

    def adopt(self, record: Record, filled: int) -> None:
        """Take over an order that an earlier session left resting; what was filled before is no news."""
        record.standing, record.shown = Standing.TAKEN, True
        record.filled = record.matched = filled
        record.checks = []
        self.send(record)

    def never_left(self, record: Record, at: Micros, why: str, news: News = News.REJECTED) -> list[Fact]:
        """Give up an order whose request was not sent."""
        record.given_up = True
        return self._end(record, news, at, why)

    # What the exchange does not say.

    def _lost(self, record: Record, why: str, at: Micros) -> list[Fact]:
        """Note that nobody can say whether an order arrived (O7): it is looked up, and never sent again."""
        self.counts["answers_lost"] += 1
        if not record.in_play:
            return []
        record.look_at(at)
        if record.standing is not Standing.SENT:
            return []
        record.standing = Standing.UNKNOWN
        return [OrderNews(at, record.no, News.UNKNOWN, why, record.order_id or None)]

    def missing(self, record: Record, at: Micros) -> list[Fact]:
        """Take it that a complete look did not show an order of ours.

        One that stays unknown is over. It counts as cancelled, even where no answer ever proved that it arrived:
        should a fill of it come yet, it is a fill.
        """
        if not record.in_play:
            return []
        record.missing += 1
        if record.missing < MISSES or at < record.sent_at + SURE:
            wait_until = record.sent_at + SURE if record.missing >= MISSES else 0
            record.look_at(Micros(max(at + AGAIN, wait_until)))
            return []
        if record.standing is Standing.TAKEN:
            return self._end(record, News.CANCELED, at, "" if record.cancel_asked else "gone from the exchange")
        record.given_up = True
        return self._end(record, News.CANCELED, at, "it never arrived at the exchange")

    # What is to be looked at.

    def next_check(self) -> Micros | None:
        """Return when the next order wants to be looked up."""
        return min((record.checks[0] for record in self._in_play.values() if record.checks), default=None)

    def take_due(self, at: Micros) -> bool:
        """Say whether a look is due now, and strike off what it will answer."""
        due = False
        for record in self._in_play.values():
            while record.checks and record.checks[0] <= at:
                record.checks.pop(0)
                due = True
        return due

    # How an order ends.

    def _end(self, record: Record, news: News, at: Micros, why: str, said: str = "") -> list[Fact]:
        if not record.in_play:
            return []
        record.given_up = record.given_up or news is News.REJECTED
        self._out_of_play(record, at)
        return [OrderNews(at, record.no, news, why, record.order_id or None, ws=said or None)]

    def _out_of_play(self, record: Record, at: Micros) -> None:
        record.end(at)
        del self._in_play[record.no]
        self._ended[record.no] = record

    def forget(self, before: Micros) -> list[Record]:
        """Forget the orders that ended before a time, and that nothing more can come of; return them."""
        gone: list[Record] = []
        for record in self._ended.values():
            if record.ended_at is None or record.ended_at >= before:
                break
            if self._settled(record):
                gone.append(record)
        for record in gone:
            del self.records[record.no], self._ended[record.no]
            if record.order_id:
                del self.by_id[record.order_id]
            self._forget(record)
        return gone

    def _settled(self, record: Record) -> bool:
        """Whether all that an order did is known, and final."""
        return not record.owed

    def _forget(self, record: Record) -> None:
        """Forget what else is known of an order."""
