"""Reading by REST what is the caller's own: orders, trades, balances, scoring (reference 3.4-3.8)."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pmrun.plugins.exchanges.embedded.identity import WALLET_KINDS, ApiKey, Identity, Wallets
from pmrun.plugins.exchanges.embedded.replies import CallRefused, decode, epoch_seconds, one, page
from pmrun.plugins.exchanges.embedded.signed_orders import (
    EXCHANGE_V2,
    EXCHANGE_V3,
    NEG_RISK_EXCHANGE_V2,
    is_position,
)
from pmrun.plugins.exchanges.embedded.terms import OrderView, Reply, Request, TradeView
from pmrun.plugins.exchanges.embedded.wire_out import Reporter
from pmrun.plugins.exchanges.embedded.wire_own import order_row, sides_of, trade_row
from pmrun.runner.market import Outcome, TokenId
from pmrun.runner.units import Cash, Micros

_UNLIMITED = 2**256 - 1
_SPENDERS = (EXCHANGE_V2, NEG_RISK_EXCHANGE_V2, EXCHANGE_V3)


class Engine(Protocol):
    """What a caller's own reads need of the engine."""

    def where(self, token: TokenId) -> tuple[int, Outcome] | None:
        """Find a token."""

    def order(self, order_id: str) -> OrderView | None:
        """Return an order, ended or not."""

    def open_orders(self, api_key: str) -> list[OrderView]:
        """Return what rests of a key."""

    def trades(self, api_key: str) -> list[TradeView]:
        """Return the trades of a key, oldest first."""

    def balance(self, wallet: str, token: TokenId | None) -> int:
        """Return what a wallet has on chain, in base units."""


def _nothing(address: str, kind: int) -> Cash:
    return Cash(0)


class OwnReads:
    """What a caller may read of itself (L2)."""

    def __init__(
        self,
        engine: Engine,
        reporter: Reporter,
        identity: Identity,
        wallets: Wallets,
        scores: Callable[[OrderView, Micros], bool],
        page_size: int,
        allowances: Mapping[str, int],
        promised: Callable[[str, int], Cash] = _nothing,
    ) -> None:
        """Take the parts; `scores` says whether an order earns rewards, `allowances` which contracts are limited.

        `promised` says what a signer's wallet of a kind will hold that has not shown itself yet.
        """
        self._promised = promised
        self._engine = engine
        self._reporter = reporter
        self._identity = identity
        self._wallets = wallets
        self._scores = scores
        self._page_size = page_size
        self._allowances = {spender: str(allowances.get(spender, _UNLIMITED)) for spender in _SPENDERS}

    def order(self, request: Request, clock: Micros, at: Micros) -> dict[str, Any]:
        """`GET /data/order/{id}`: an order that has ended is not readable (reference 3.4)."""
        key = self._identity.level_two(request, clock)
        order = self._engine.order(request.path.rpartition("/")[2])
        if order is None or order.api_key != key.key or order.status != "LIVE":
            raise CallRefused(404, "Order not found")
        return order_row(order, self._reporter.market_of(order.condition))

    def orders(self, request: Request, clock: Micros, at: Micros) -> dict[str, Any]:
        """`GET /data/orders`."""
        key = self._identity.level_two(request, clock)
        market, token, wanted = (one(request, name) for name in ("market", "asset_id", "id"))
        rows = [
            order_row(order, self._reporter.market_of(order.condition))
            for order in self._engine.open_orders(key.key)
            if market in ("", order.condition) and token in ("", order.token) and wanted in ("", order.order_id)
        ]
        return page(rows, request, self._page_size)

    def trades(self, request: Request, clock: Micros, at: Micros) -> dict[str, Any]:
        """`GET /data/trades`: the latest first, each as the caller took part in it."""
        key = self._identity.level_two(request, clock)
        before, after = epoch_seconds(one(request, "before")), epoch_seconds(one(request, "after"))
        rows = [
            row
            for trade in reversed(self._engine.trades(key.key))
            if (before is None or trade.matched_at < before) and (after is None or trade.matched_at >= after)
            for row in self._trade_rows(trade, key)
            if _selected(row, request)
        ]
        return page(rows, request, self._page_size)

    def _trade_rows(self, trade: TradeView, key: ApiKey) -> list[dict[str, Any]]:
        market = self._reporter.market_of(trade.condition)
        return [trade_row(trade, market, owner, side) for owner, side in sides_of(trade) if owner == key.key]

    def balance(self, request: Request, clock: Micros, at: Micros) -> dict[str, Any]:
        """`GET /balance-allowance` (reference 3.5): what is on chain, in base units."""
        key = self._identity.level_two(request, clock)
        token = self._asset(request)
        kind = one(request, "signature_type") or "0"
        if kind not in {str(known) for known in WALLET_KINDS}:
            raise CallRefused(400, "Invalid signature_type")
        wallet = self._wallets.of(key.address, int(kind))
        if wallet is not None:
            balance = self._engine.balance(wallet, token)
        else:
            balance = self._promised(key.address, int(kind)) if token is None else 0
        return {"balance": str(balance), "allowances": self._allowances}

    def update_balance(self, request: Request, clock: Micros, at: Micros) -> Reply:
        """`GET /balance-allowance/update`: our balances are never stale, so there is nothing to do."""
        self.balance(request, clock, at)
        return Reply(headers={"content-type": "application/json"})

    def _asset(self, request: Request) -> TokenId | None:
        kind, token = one(request, "asset_type"), one(request, "token_id")
        if kind == "COLLATERAL":
            return None
        if kind not in ("CONDITIONAL", "CONDITIONAL-V2"):
            raise CallRefused(400, "Invalid asset type")
        found = TokenId(token)
        if self._engine.where(found) is None or is_position(token) != (kind == "CONDITIONAL-V2"):
            raise CallRefused(400, "Invalid token id")
        return found

    def scoring(self, request: Request, clock: Micros, at: Micros) -> dict[str, bool]:
        """`GET /order-scoring` (reference 3.7)."""
        key = self._identity.level_two(request, clock)
        order = self._engine.order(one(request, "order_id"))
        if order is None or order.api_key != key.key:
            raise CallRefused(404, "market not found")
        return {"scoring": self._scores(order, at)}

    def scorings(self, request: Request, clock: Micros, at: Micros) -> dict[str, bool]:
        """`POST /orders-scoring`."""
        key = self._identity.level_two(request, clock)
        found = {}
        for order_id in decode(list[str], request.body, "invalid order params payload"):
            order = self._engine.order(order_id)
            found[order_id] = order is not None and order.api_key == key.key and self._scores(order, at)
        return found

    def notifications(self, request: Request, clock: Micros, at: Micros) -> list[Any]:
        """`GET /notifications`: none are kept (reference 3.8)."""
        self._identity.level_two(request, clock)
        return []

    def drop_notifications(self, request: Request, clock: Micros, at: Micros) -> str:
        """`DELETE /notifications`."""
        self._identity.level_two(request, clock)
        return "OK"

    def nothing(self, request: Request, clock: Micros, at: Micros) -> dict[str, Any]:
        """`GET /data/pre-migration-orders`, `/builder/trades`: an empty page."""
        return page([], request, self._page_size)


def _selected(row: dict[str, Any], request: Request) -> bool:
    """Whether a trade is asked for; a maker finds its trade by its own token too, which may be the complement."""
    wanted, market, token, maker = (one(request, name) for name in ("id", "market", "asset_id", "maker_address"))
    tokens = {row["asset_id"], *(part["asset_id"] for part in row["maker_orders"])}
    wallets = {row["maker_address"].lower(), *(part["maker_address"].lower() for part in row["maker_orders"])}
    return (
        wanted in ("", row["id"])
        and market in ("", row["market"])
        and (not token or token in tokens)
        and (not maker or maker.lower() in wallets)
    )
