"""The account's file in line with what happens, where an order's id is known only once it is answered (O2, O8)."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from pmrun.plugins.exchanges.common import accounting as common
from pmrun.plugins.exchanges.common.order_record import Record
from pmrun.plugins.exchanges.common.reckoning import Reckoning
from pmrun.plugins.exchanges.common.starting import cost_of
from pmrun.plugins.exchanges.satori.life import CLOCKS, OrderLife
from pmrun.plugins.exchanges.satori.news import FillSeen
from pmrun.plugins.exchanges.satori.rest import Rest
from pmrun.plugins.exchanges.satori.start import record_of
from pmrun.runner.account_file import AccountFile
from pmrun.runner.account_records import OrderRecord
from pmrun.runner.facts import Fact, Filled, FundsSeen, HoldingSeen, OrderNews, Settled
from pmrun.runner.market import Market, TokenId
from pmrun.runner.ports import LiveSetup
from pmrun.runner.units import Cash, Micros, Side, Size


class _Balance(msgspec.Struct, frozen=True):
    balance: int


class _Balances:
    """What the exchange says of the account, as it is compared: one number for each token, and one for cash."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._shares: dict[TokenId, int] = {}

    async def balance(self, token: TokenId | None = None) -> _Balance:
        """Ask for cash, and shares with it: those of tokens are of the same moment."""
        if token is None:
            cash = (await self._rest.wallet()).total
            self._shares = await self._rest.positions()
            return _Balance(int(cash))
        return _Balance(self._shares.get(token, 0))


class _Taken(NamedTuple):
    """Shares that were taken over without a fill that explains them, signed, and when."""

    shares: int
    at: Micros


class Accounting(common.Accounting):
    """Names orders in the file as soon as they have an id."""

    def __init__(
        self,
        setup: LiveSetup,
        account: AccountFile,
        reckoning: Reckoning,
        life: OrderLife,
        rest: Rest,
        markets: Sequence[Market],
    ) -> None:
        """Start from what the exchange said at the start."""
        super().__init__(setup, account, reckoning, life, _Balances(rest), markets)
        self._traded_at = life.traded_at
        self._taken: dict[TokenId, _Taken] = {}

    def keep(self, fact: Fact) -> None:
        """Write a fact down; an order that ended without an id gets one of ours, which no exchange gives."""
        if isinstance(fact, OrderNews):
            record = self._life.records[fact.order]
            if not record.order_id and not record.in_play:
                self._account.name(self._client_id(record), f"none:{self._client_id(record)}")
                self._account.state(
                    f"none:{self._client_id(record)}", common.ENDS[fact.news], Size(record.filled), fact.at, fact.reason
                )
                return
            if not record.order_id:
                return
        super().keep(fact)

    def named(self, records: Sequence[Record]) -> None:
        """Write the ids of orders; raises DataError when the disk refuses."""
        for record in records:
            self._account.name(self._client_id(record), record.order_id)

    def arrived(self, order: OrderRecord, order_id: str) -> None:
        """Write the id of an earlier session's order that arrived only now; what it moved is compared."""
        self._account.name(order.client_order_id, order_id)
        self.moved(order.token)

    def fill_of_before(self, fill: FillSeen) -> bool:
        """Write a fill of an earlier session's order, for what it cost; False where it is none, or known.

        The desk knows no such order: the balances say what it moved, if they did not at the start.
        """
        order = None if fill.order_id in self._life.by_id else self._account.order(fill.order_id)
        if order is None or not self._account.fill(record_of(fill, order.side)):
            return False
        self.moved(order.token)
        return True

    # Fills that the balances showed long before they were told.

    def netted(self, facts: Sequence[Fact]) -> list[Fact]:
        """Undo the taking over of what turns out to be a fill of ours, so that it counts once."""
        found: list[Fact] = []
        after: list[Fact] = []  # once the fill is settled, as the desk takes no holding while one is not
        for fact in facts:
            found.append(fact)
            if isinstance(fact, Settled):
                found, after = [*found, *after], []
            elif isinstance(fact, Filled):
                first, after = self._given_back(fact)
                found[-1:] = [*first, fact]
        return found

    def _given_back(self, fact: Filled) -> tuple[list[Fact], list[Fact]]:
        """Return what the desk has to hear before and after a fill that was taken over; nothing may fall below 0."""
        record = self._life.records[fact.order]
        token, buys = record.token, record.place.side is Side.BUY
        shares = int(fact.size) if buys else -int(fact.size)
        traded_at = self._traded_at.pop(fact.trade, fact.at)
        taken = self._taken.get(token)
        if taken is None or traded_at > taken.at + CLOCKS or taken.shares * shares <= 0:
            return [], []
        if abs(shares) > abs(taken.shares):
            return [], []
        self.counts["fills_taken_over_before"] += 1
        self._taken[token] = _Taken(taken.shares - shares, taken.at)
        reckoning, place = self._reckoning, self._tokens[token]
        held, cash = Size(reckoning.shares.get(token, 0)), Cash(reckoning.cash)
        moved = fact.fee + (int(fact.cash) if buys else -int(fact.cash))  # less cash, with the sign of a purchase
        reckoning.shares[token] = held - shares
        reckoning.cash = cash + moved
        before: list[Fact] = [FundsSeen(fact.at, Cash(reckoning.cash))]
        after: list[Fact] = [HoldingSeen(fact.at, *place, held, cost_of(self._account, token, held))]
        if not buys:
            more = Size(held - shares)
            before = [HoldingSeen(fact.at, *place, more, cost_of(self._account, token, more))]
            after = [FundsSeen(fact.at, cash)]
        return before, after

    def _take_over(self, found: Mapping[TokenId | None, int]) -> list[Fact]:
        """Believe the exchange, and remember for which shares that stood: a fill of ours may explain them yet."""
        now = self._setup.now()
        for token, difference in found.items():
            if token is not None:
                before = self._taken.get(token)
                self._taken[token] = _Taken(difference + (0 if before is None else before.shares), now)
        return super()._take_over(found)

    def _order_record(self, record: Record) -> OrderRecord:
        return msgspec.structs.replace(super()._order_record(record), exchange_order_id=None)
