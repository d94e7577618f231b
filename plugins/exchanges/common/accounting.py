"""The account's file in line with what happens, and what we expect held against what the exchange says (O2, O8)."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from loguru import logger

from pmrun.plugins.exchanges.common.known_orders import KnownOrders
from pmrun.plugins.exchanges.common.order_record import Record
from pmrun.plugins.exchanges.common.reckoning import Moved, Reckoning
from pmrun.runner.account_file import AccountFile
from pmrun.runner.account_records import FillRecord, FundsRecord, OrderRecord
from pmrun.runner.errors import ExchangeError, ProtocolViolation
from pmrun.runner.facts import Fact, Filled, FundsSeen, HoldingSeen, OrderNews, Settled
from pmrun.runner.market import Market, MarketNo, Outcome, TokenId
from pmrun.runner.orders import News, OrderNo, Settlement, State
from pmrun.runner.ports import LiveSetup
from pmrun.runner.units import Cash, Price, Side, Size, cash_paid, format_cash

log = logger.bind(module="orders")
ENDS = {News.CANCELED: State.CANCELED, News.REJECTED: State.REJECTED, News.EXPIRED: State.EXPIRED}
STANDS = {**ENDS, News.ACCEPTED: State.SUBMITTED, News.RESTING: State.LIVE}


class Balance(Protocol):
    """What the exchange says that there is of something, in base units."""

    @property
    def balance(self) -> int:
        """How much."""


class Balances(Protocol):
    """Who is asked what the account holds."""

    async def balance(self, token: TokenId | None = None) -> Balance:
        """Ask for the shares of a token; None: for cash, which is asked for first."""


class Accounting:
    """Writes what happens into the account's file, and compares balances when nothing is under way."""

    def __init__(
        self,
        setup: LiveSetup,
        account: AccountFile,
        reckoning: Reckoning,
        life: KnownOrders,
        rest: Balances,
        markets: Sequence[Market],
    ) -> None:
        """Start from what the exchange said at the start."""
        self._setup = setup
        self._account = account
        self._reckoning = reckoning
        self._life = life
        self._rest = rest
        self._markets = markets
        self._tokens = {
            market.token(outcome): (MarketNo(no), outcome) for no, market in enumerate(markets) for outcome in Outcome
        }
        self._ended: dict[OrderNo, Record] = {}  # orders whose funds are not reconciled yet
        self._suspected: dict[TokenId | None, int] = {}  # differences found once; None: cash
        self._looks = 0  # complete snapshots since they were
        self.counts: Counter[str] = Counter()

    # What happens.

    def written(self, records: Sequence[Record]) -> None:
        """Have orders on disk before their request leaves, with what limits have used by then (O2)."""
        self._account.intent([self._order_record(record) for record in records], self._setup.carried())

    def carry(self) -> None:
        """Have on disk what limits have used, whatever comes of it."""
        self._account.carry_all(self._setup.carried(), self._setup.now())

    def keep(self, fact: Fact) -> None:
        """Write a fact down."""
        if isinstance(fact, Filled):
            self._keep_fill(fact)
        elif isinstance(fact, Settled):
            self._keep_settlement(fact)
        elif isinstance(fact, OrderNews) and fact.news in STANDS:
            record = self._life.records[fact.order]
            self._account.state(record.order_id, STANDS[fact.news], Size(record.filled), fact.at, fact.reason)
            if fact.news in ENDS:
                self._ended[record.no] = record

    def _keep_fill(self, fact: Filled) -> None:
        record = self._life.records[fact.order]
        self._reckoning.fill(record, fact)
        self._account.fill(_fill_record(record, fact, Settlement.MATCHED))
        whole = record.filled >= record.place.size
        state = State.FILLED if whole else State.PARTIALLY_FILLED
        self._account.state(record.order_id, state, Size(record.filled), fact.at)
        if not record.in_play:
            self._ended[record.no] = record

    def _keep_settlement(self, fact: Settled) -> None:
        record, filled = self._reckoning.part(fact.trade, fact.order)
        if fact.status is Settlement.FAILED:
            self._reckoning.failed(fact.trade, fact.order)
        self._account.fill(_fill_record(record, filled, fact.status))

    def moved(self, token: TokenId) -> None:
        """Have a token compared: something that we do not count may have moved it."""
        if token in self._tokens:
            self._reckoning.touched.add(token)

    def resolved(self, market: MarketNo, settled_yes: Price) -> None:
        """Expect holders to be paid."""
        self._reckoning.resolved(self._markets[market], settled_yes)

    def looked(self) -> None:
        """Learn that a complete snapshot came: a fill that we did not know of would be known now."""
        self._looks += 1

    def forget(self, records: Sequence[Record]) -> None:
        """Forget orders that nothing more can come of; their funds are reconciled first."""
        for record in records:
            if record.no not in self._ended:
                self._reckoning.forget(record)

    def _order_record(self, record: Record) -> OrderRecord:
        place = record.place
        return OrderRecord(
            client_order_id=self._client_id(record),
            exchange_order_id=record.order_id,
            run=self._setup.name,
            market=self._markets[place.market].condition,
            token=record.token,
            side=place.side,
            price_e4=place.price,
            size_e6=place.size,
            purpose=place.purpose,
            sent_at_us=record.sent_at,
        )

    def _client_id(self, record: Record) -> str:
        """Return what an order is called by us."""
        return f"{self._setup.name}-{record.no}"

    def expected(self) -> dict[TokenId | None, int]:
        """Return what we expect the exchange to say of every balance; None: cash."""
        cash: dict[TokenId | None, int] = {None: self._reckoning.cash}
        return cash | {token: held for token, held in self._reckoning.shares.items()}  # noqa: C416 (other keys)

    # What the exchange says (O8).

    @property
    def moving(self) -> bool:
        """Whether there is anything to compare since the last time."""
        return bool(self._ended or self._suspected or self._reckoning.touched)

    @property
    def suspicious(self) -> bool:
        """Whether a difference was found that has not been looked into."""
        return bool(self._suspected)

    async def compare(
        self, busy: Callable[[], bool], tell: Callable[[Sequence[Fact]], None], look: Callable[[], None]
    ) -> None:
        """Hold what we expect against the exchange's balances.

        A difference may be a fill that nobody has told us of yet. So all is looked up first; what a complete snapshot
        does not explain, and is still there, is reported, told and taken over.
        """
        if busy():
            return
        moves = self._reckoning.moves
        try:
            found = await self._differences()
        except (ExchangeError, ProtocolViolation) as error:
            log.warning("funds cannot be compared: {}", error)
            return
        if busy() or self._reckoning.moves != moves:
            return  # something moved meanwhile
        if not found:
            self._suspected = {}
            self._reckoning.touched.clear()
            self._write_funds(Cash(0))
        elif found != self._suspected:
            self._suspected, self._looks = found, 0
            self._reckoning.touched |= self._tokens.keys()  # whatever it was may have moved any of them
            look()
        elif self._looks:
            self._suspected = {}
            tell(self._take_over(found))

    async def _differences(self) -> dict[TokenId | None, int]:
        """Return what the exchange says less what we say, where that is not zero."""
        found: dict[TokenId | None, int] = {None: (await self._rest.balance()).balance - self._reckoning.cash}
        for token in sorted(self._reckoning.touched):
            held = (await self._rest.balance(token)).balance
            found[token] = held - self._reckoning.shares.get(token, 0)
        return {token: difference for token, difference in found.items() if difference}

    def _take_over(self, found: Mapping[TokenId | None, int]) -> list[Fact]:
        """Believe the exchange; what shares cost that nobody saw coming is not known: a dollar each is the most."""
        now, facts = self._setup.now(), list[Fact]()
        self._reckoning.touched.clear()
        for token, difference in found.items():
            if token is None:
                log.warning("the exchange says {} dollars more cash than we expect", format_cash(Cash(difference)))
                self.counts["cash_differences"] += 1
                self._reckoning.cash += difference
                facts.append(FundsSeen(now, Cash(self._reckoning.cash)))
                continue
            expected = self._reckoning.shares.get(token, 0)
            held = Size(expected + difference)
            log.warning("the exchange says {} base units of token {}, we expect {}", held, token, expected)
            self.counts["share_differences"] += 1
            self._reckoning.shares[token] = held
            facts.append(HoldingSeen(now, *self._tokens[token], held, Cash(held)))
        self._write_funds(Cash(found.get(None, 0)))
        return facts

    def _write_funds(self, difference: Cash) -> None:
        """Leave a record for every order that ended; what is unexplained stands with the last of them."""
        ended, self._ended = self._ended, {}
        for number, record in enumerate(ended.values(), 1):
            moved = self._reckoning.orders.get(record.no, Moved())
            place = record.place
            self._account.funds(
                FundsRecord(
                    exchange_order_id=record.order_id,
                    at_us=self._setup.now(),
                    locked_before_e6=cash_paid(place.price, place.size) if place.side is Side.BUY else Cash(0),
                    locked_after_e6=Cash(0),
                    cash_moved_e6=Cash(moved.cash),
                    shares_moved_e6=moved.shares,
                    fee_e6=Cash(moved.fee),
                    difference_e6=difference if number == len(ended) else Cash(0),
                )
            )


def _fill_record(record: Record, fact: Filled, status: Settlement) -> FillRecord:
    return FillRecord(
        trade_id=fact.trade,
        exchange_order_id=record.order_id,
        price_e4=fact.price,
        size_e6=fact.size,
        cash_e6=fact.cash,
        fee_e6=fact.fee,
        status=status,
        at_us=fact.at,
    )
