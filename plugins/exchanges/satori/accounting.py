"""The account's file in line with what happens, where an order's id is known only once it is answered (O2, O8)."""

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from pmrun.plugins.exchanges.polymarket.accounting import ENDS
from pmrun.plugins.exchanges.polymarket.accounting import Accounting as ByHash
from pmrun.plugins.exchanges.polymarket.order_record import Record
from pmrun.plugins.exchanges.polymarket.reckoning import Reckoning
from pmrun.plugins.exchanges.satori.life import OrderLife
from pmrun.plugins.exchanges.satori.rest import Rest
from pmrun.runner.account_file import AccountFile
from pmrun.runner.account_records import OrderRecord
from pmrun.runner.facts import Fact, OrderNews
from pmrun.runner.market import Market, TokenId
from pmrun.runner.ports import LiveSetup


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


class Accounting(ByHash):
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
        super().__init__(setup, account, reckoning, cast(Any, life), cast(Any, _Balances(rest)), markets)

    def keep(self, fact: Fact) -> None:
        """Write a fact down; an order that ended without an id gets one of ours, which no exchange gives."""
        if isinstance(fact, OrderNews):
            record = self._life.records[fact.order]
            if not record.order_id and not record.in_play:
                self._account.name(self._client_id(record), f"none:{self._client_id(record)}")
                self._account.state(
                    f"none:{self._client_id(record)}", ENDS[fact.news], cast(Any, record.filled), fact.at, fact.reason
                )
                return
            if not record.order_id:
                return
        super().keep(fact)

    def named(self, records: Sequence[Record]) -> None:
        """Write the ids of orders; raises DataError when the disk refuses."""
        for record in records:
            self._account.name(self._client_id(record), record.order_id)

    def _client_id(self, record: Record) -> str:
        return f"{self._setup.name}-{record.no}"

    def _order_record(self, record: Record) -> OrderRecord:
        return msgspec.structs.replace(super()._order_record(record), exchange_order_id=None)
