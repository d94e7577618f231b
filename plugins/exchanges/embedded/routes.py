"""Which call is whose: every path of the CLOB, Gamma, the Data API and the geoblock check on one host."""

from collections.abc import Callable
from typing import Any

import msgspec

from pmrun.plugins.exchanges.embedded.clob import Trading
from pmrun.plugins.exchanges.embedded.clob_listings import MarketListings
from pmrun.plugins.exchanges.embedded.clob_reads import MarketReads
from pmrun.plugins.exchanges.embedded.clob_rewards import Rewards
from pmrun.plugins.exchanges.embedded.data_api import DataApi
from pmrun.plugins.exchanges.embedded.gamma import Gamma
from pmrun.plugins.exchanges.embedded.identity import KeyCalls
from pmrun.plugins.exchanges.embedded.own_reads import OwnReads
from pmrun.plugins.exchanges.embedded.replies import CallRefused
from pmrun.plugins.exchanges.embedded.terms import Request
from pmrun.runner.units import Micros

Handler = Callable[[Request, Micros, Micros], Any]  # the request, the clock as shown, the time; a Reply or its JSON


class Services(msgspec.Struct, frozen=True):
    """All who answer calls."""

    keys: KeyCalls
    trading: Trading
    own: OwnReads
    reads: MarketReads
    listings: MarketListings
    rewards: Rewards
    gamma: Gamma
    data: DataApi


class Routes:
    """Finds who answers a call; where the CLOB and Gamma share a path, its shape or its query tells them apart."""

    def __init__(self, services: Services) -> None:
        """Take those who answer."""
        self._services = services
        self._exact: dict[tuple[str, str], Handler] = {
            **_keys(services.keys),
            **_trading(services.trading),
            **_own(services.own),
            **_reads(services.reads, services.listings),
            **_rewards(services.rewards),
            **_listings(services.gamma, services.data),
        }
        self._below = _below(services)

    def find(self, request: Request) -> Handler:
        """Return who answers; CallRefused with 404 when nobody does."""
        path = request.path.rstrip("/") or "/"
        if request.method == "GET" and path == "/markets":
            return self._markets(request)
        found = self._exact.get((request.method, path))
        if found is None:
            parent, _, last = path.rpartition("/")
            found = self._below.get((request.method, parent)) if last else None
        if found is None:
            raise CallRefused(404, "404 page not found")
        if found == self._services.listings.market and not path.rpartition("/")[2].startswith("0x"):
            return self._services.gamma.market
        return found

    def _markets(self, request: Request) -> Handler:
        """The CLOB's list knows only a cursor; whatever else is asked is asked of Gamma."""
        if set(request.query) <= {"next_cursor"}:
            return self._services.listings.markets
        return self._services.gamma.markets


def _keys(keys: KeyCalls) -> dict[tuple[str, str], Handler]:
    return {
        ("POST", "/auth/api-key"): keys.create,
        ("GET", "/auth/derive-api-key"): keys.derive,
        ("GET", "/auth/api-keys"): keys.keys,
        ("DELETE", "/auth/api-key"): keys.delete,
        ("GET", "/auth/ban-status/closed-only"): keys.closed_only,
        ("POST", "/auth/readonly-api-key"): keys.create_readonly,
        ("GET", "/auth/readonly-api-keys"): keys.readonly_keys,
        ("DELETE", "/auth/readonly-api-key"): keys.delete_readonly,
    }


def _trading(trading: Trading) -> dict[tuple[str, str], Handler]:
    return {
        ("POST", "/order"): trading.post_order,
        ("POST", "/orders"): trading.post_orders,
        ("DELETE", "/order"): trading.cancel_order,
        ("DELETE", "/orders"): trading.cancel_orders,
        ("DELETE", "/cancel-market-orders"): trading.cancel_market,
        ("DELETE", "/cancel-all"): trading.cancel_all,
        ("POST", "/v1/heartbeats"): trading.heartbeat,
        ("POST", "/heartbeats"): trading.legacy_heartbeat,
    }


def _own(own: OwnReads) -> dict[tuple[str, str], Handler]:
    return {
        ("GET", "/data/orders"): own.orders,
        ("GET", "/data/trades"): own.trades,
        ("GET", "/data/pre-migration-orders"): own.nothing,
        ("GET", "/builder/trades"): own.nothing,
        ("GET", "/balance-allowance"): own.balance,
        ("GET", "/balance-allowance/update"): own.update_balance,
        ("GET", "/order-scoring"): own.scoring,
        ("POST", "/orders-scoring"): own.scorings,
        ("GET", "/notifications"): own.notifications,
        ("DELETE", "/notifications"): own.drop_notifications,
    }


def _reads(reads: MarketReads, listings: MarketListings) -> dict[tuple[str, str], Handler]:
    return {
        ("GET", "/"): reads.alive,
        ("GET", "/ok"): reads.alive,
        ("GET", "/time"): reads.time,
        ("GET", "/version"): reads.version,
        ("GET", "/api/geoblock"): reads.geoblock,
        ("GET", "/book"): reads.book,
        ("POST", "/books"): reads.books,
        ("GET", "/midpoint"): reads.midpoint,
        ("POST", "/midpoints"): reads.midpoints,
        ("GET", "/price"): reads.price,
        ("POST", "/prices"): reads.prices,
        ("GET", "/spread"): reads.spread,
        ("POST", "/spreads"): reads.spreads,
        ("GET", "/last-trade-price"): reads.last_trade,
        ("POST", "/last-trades-prices"): reads.last_trades,
        ("GET", "/tick-size"): reads.tick_size,
        ("GET", "/neg-risk"): reads.neg_risk,
        ("GET", "/fee-rate"): reads.fee_rate,
        ("GET", "/simplified-markets"): listings.simplified,
        ("GET", "/sampling-markets"): listings.sampling,
        ("GET", "/sampling-simplified-markets"): listings.sampling_simplified,
        ("GET", "/prices-history"): reads.history,
    }


def _rewards(rewards: Rewards) -> dict[tuple[str, str], Handler]:
    return {
        ("GET", "/rewards/markets/current"): rewards.current,
        ("GET", "/rewards/markets/multi"): rewards.multi,
        ("GET", "/rewards/user"): rewards.earned,
        ("GET", "/rewards/user/total"): rewards.earned_in_all,
        ("GET", "/rewards/user/percentages"): rewards.percentages,
        ("GET", "/rewards/user/markets"): rewards.earned_by_market,
        ("GET", "/rebates/current"): rewards.rebates,
    }


def _listings(gamma: Gamma, data: DataApi) -> dict[tuple[str, str], Handler]:
    return {
        ("GET", "/markets/keyset"): gamma.keyset,
        ("GET", "/events/keyset"): gamma.events_keyset,
        ("GET", "/events"): gamma.events,
        ("GET", "/positions"): data.positions,
        ("GET", "/v2/positions"): data.positions_v2,
        ("GET", "/trades"): data.trades,
        ("GET", "/value"): data.value,
    }


def _below(services: Services) -> dict[tuple[str, str], Handler]:
    """Return the calls whose last part is an id."""
    reads, listings = services.reads, services.listings
    return {
        ("GET", "/data/order"): services.own.order,
        ("GET", "/tick-size"): reads.tick_size,
        ("GET", "/neg-risk"): reads.neg_risk,
        ("GET", "/fee-rate"): reads.fee_rate,
        ("GET", "/markets-by-token"): listings.by_token,
        ("GET", "/clob-markets"): listings.compact,
        ("GET", "/fees/builder-fees"): reads.builder_fees,
        ("GET", "/rewards/markets"): services.rewards.of_market,
        ("GET", "/markets"): listings.market,
        ("GET", "/markets/slug"): services.gamma.market,
    }
