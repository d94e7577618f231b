"""Rewards by REST: what markets pay, which orders score, what was earned (simulated: nothing) (reference 7.3)."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Protocol

from pmrun.plugins.exchanges.embedded.clob_listings import COLLATERAL_ADDRESS
from pmrun.plugins.exchanges.embedded.identity import Identity
from pmrun.plugins.exchanges.embedded.numbers_out import cents, half_number, price_number, shares
from pmrun.plugins.exchanges.embedded.replies import CallRefused, one, page
from pmrun.plugins.exchanges.embedded.terms import OrderView, Request
from pmrun.plugins.exchanges.embedded.wire_out import Reporter, gamma_id
from pmrun.runner.facts import MarketStatus
from pmrun.runner.market import Market, Outcome, RewardTerms
from pmrun.runner.units import ONE, HalfPrice, Micros, Price, format_cash

_CURRENT_PAGE, _MARKET_PAGE, _LARGEST_PAGE = 500, 100, 500
_BEGAN, _NEVER_ENDS = "2026-01-01", "2500-12-31"


class Engine(Protocol):
    """What rewards need of the engine."""

    @property
    def markets(self) -> Sequence[Market]:
        """The current terms."""

    def status(self, market: int) -> MarketStatus:
        """Return whether a market takes orders."""


class Rewards:
    """The reward calls; an order scores when it is large and close enough, whatever its age."""

    def __init__(self, engine: Engine, reporter: Reporter, identity: Identity) -> None:
        """Take the parts."""
        self._engine = engine
        self._reporter = reporter
        self._identity = identity

    def scores(self, order: OrderView, at: Micros) -> bool:
        """Whether an order earns rewards now (reference 3.7, 7.3)."""
        for number, market in enumerate(self._engine.markets):
            if market.condition == order.condition:
                return self._scores(number, order, market.rewards)
        return False

    def _scores(self, number: int, order: OrderView, rewards: RewardTerms | None) -> bool:
        if rewards is None or order.status != "LIVE" or order.size - order.matched < rewards.min_size:
            return False
        own = order.outcome is Outcome.YES
        price = order.price if own else ONE - order.price
        return abs(2 * price - self._mid(number, rewards)) < 2 * rewards.max_spread

    def _mid(self, number: int, rewards: RewardTerms) -> HalfPrice:
        """Return twice the mid of what is large enough to count (reference 7.3)."""
        book = self._reporter.standings[number].book
        bid = next((price for price, size in book.bids if size >= rewards.min_size), Price(0))
        ask = next((price for price, size in book.asks if size >= rewards.min_size), ONE)
        return HalfPrice(bid + ask)

    def current(self, request: Request, clock: Micros, at: Micros) -> dict[str, Any]:
        """`GET /rewards/markets/current`; `sponsored=true` only those that others pay for."""
        sponsored = one(request, "sponsored").lower() == "true"
        rows = [
            self._terms(number, market, rewards)
            for number, market, rewards in self._rewarded()
            if rewards.sponsored_rate or not sponsored
        ]
        return page(rows, request, _CURRENT_PAGE)

    def of_market(self, request: Request, clock: Micros, at: Micros) -> dict[str, Any]:
        """`GET /rewards/markets/{condition}`."""
        wanted = request.path.rpartition("/")[2]
        rows = [
            self._detailed(number, market, rewards)
            for number, market, rewards in self._rewarded()
            if market.condition == wanted
        ]
        return page(rows, request, _MARKET_PAGE)

    def multi(self, request: Request, clock: Micros, at: Micros) -> dict[str, Any]:
        """`GET /rewards/markets/multi`: by words, and ordered by one of the fields."""
        words = one(request, "q").lower()
        rows = [
            self._listed(number, market, rewards)
            for number, market, rewards in self._rewarded()
            if words in market.question.lower()
        ]
        field = _ORDERS.get(one(request, "order_by") or "rate_per_day")
        if field is None:
            raise CallRefused(400, "invalid order_by")
        rows.sort(key=lambda row: row[field] or 0, reverse=one(request, "position").upper() != "ASC")
        size = one(request, "page_size") or str(_MARKET_PAGE)
        if not (size.isascii() and size.isdigit() and 0 < int(size) <= _LARGEST_PAGE):
            raise CallRefused(400, "invalid page_size")
        return page(rows, request, int(size))

    def earned(self, request: Request, clock: Micros, at: Micros) -> dict[str, Any]:
        """`GET /rewards/user`: the embedded exchange pays no rewards."""
        key = self._identity.level_two(request, clock)
        rows = [
            {
                "date": one(request, "date"),
                "condition_id": market.condition,
                "asset_address": COLLATERAL_ADDRESS,
                "maker_address": key.address,
                "earnings": 0,
                "asset_rate": 1,
            }
            for _, market, _ in self._rewarded()
        ]
        return page(rows, request, _MARKET_PAGE)

    def earned_in_all(self, request: Request, clock: Micros, at: Micros) -> list[dict[str, Any]]:
        """`GET /rewards/user/total`."""
        key = self._identity.level_two(request, clock)
        return [
            {
                "date": one(request, "date"),
                "asset_address": COLLATERAL_ADDRESS,
                "maker_address": key.address,
                "earnings": 0,
                "asset_rate": 1,
                "native_earnings": 0,
                "sponsored_earnings": 0,
            }
        ]

    def percentages(self, request: Request, clock: Micros, at: Micros) -> dict[str, float]:
        """`GET /rewards/user/percentages`."""
        self._identity.level_two(request, clock)
        return {market.condition: 0.0 for _, market, _ in self._rewarded()}

    def earned_by_market(self, request: Request, clock: Micros, at: Micros) -> dict[str, Any]:
        """`GET /rewards/user/markets`."""
        self._identity.level_two(request, clock)
        none = {"asset_address": COLLATERAL_ADDRESS, "earnings": 0, "asset_rate": 1}
        rows = [
            {**self._listed(number, market, rewards), "earning_percentage": 0.0, "earnings": [none]}
            for number, market, rewards in self._rewarded()
        ]
        return {**page(rows, request, _MARKET_PAGE), "total_count": len(rows)}

    def rebates(self, request: Request, clock: Micros, at: Micros) -> list[Any]:
        """`GET /rebates/current`: the embedded exchange pays none."""
        return []

    def _rewarded(self) -> list[tuple[int, Market, RewardTerms]]:
        over = (MarketStatus.CLOSED, MarketStatus.RESOLVED)
        return [
            (number, market, market.rewards)
            for number, market in enumerate(self._engine.markets)
            if market.rewards is not None and self._engine.status(number) not in over
        ]

    def _terms(self, number: int, market: Market, rewards: RewardTerms) -> dict[str, Any]:
        native = Decimal(format_cash(rewards.daily_rate))
        sponsored = Decimal(format_cash(rewards.sponsored_rate))
        config = {
            "id": number + 1,
            "asset_address": COLLATERAL_ADDRESS,
            "start_date": _BEGAN,
            "end_date": _NEVER_ENDS,
            "rate_per_day": native,
            "total_rewards": 0,
        }
        return {
            "condition_id": market.condition,
            "rewards_max_spread": cents(rewards),
            "rewards_min_size": shares(rewards),
            "rewards_config": [config],
            "native_daily_rate": native,
            "sponsored_daily_rate": sponsored,
            "total_daily_rate": native + sponsored,
            "sponsors_count": 1 if sponsored else 0,
        }

    def _detailed(self, number: int, market: Market, rewards: RewardTerms) -> dict[str, Any]:
        book = self._reporter.standings[number].book
        tokens = [
            {
                "token_id": market.token(outcome),
                "outcome": name,
                "price": Decimal(half_number(book.seen_by(outcome).mark_half)),
            }
            for outcome, name in zip(Outcome, market.outcomes, strict=True)
        ]
        return {
            **self._terms(number, market, rewards),
            "question": market.question,
            "market_slug": market.slug,
            "event_slug": market.event or "",
            "market_competitiveness": self._competition(number, rewards),
            "tokens": tokens,
        }

    def _listed(self, number: int, market: Market, rewards: RewardTerms) -> dict[str, Any]:
        book = self._reporter.standings[number].book
        bid, ask = book.best_bid or Price(0), book.best_ask or ONE
        return {
            **self._detailed(number, market, rewards),
            "market_id": gamma_id(number),
            "event_id": "",
            "image": "",
            "spread": price_number(Price(ask - bid)),
            "volume_24hr": Decimal(format_cash(market.volume_24h)) if market.volume_24h is not None else 0,
            "one_day_price_change": 0,
            "created_at": _BEGAN,
            "end_date": _NEVER_ENDS,
            "group_item_title": "",
        }

    def _competition(self, number: int, rewards: RewardTerms) -> float:
        """Return how much rests where rewards are paid, by the score of 7.3: an estimate to order markets by."""
        book, mid = self._reporter.standings[number].book, self._mid(number, rewards)
        reach = 2 * rewards.max_spread
        near = [(abs(2 * price - mid), size) for price, size in (*book.bids, *book.asks)]
        return sum((1 - gap / reach) ** 2 * size for gap, size in near if gap < reach) / 1_000_000


_ORDERS = {
    "rate_per_day": "total_daily_rate",
    "competitiveness": "market_competitiveness",
    "volume_24hr": "volume_24hr",
    "spread": "spread",
    "min_size": "rewards_min_size",
    "max_spread": "rewards_max_spread",
    "end_date": "end_date",
}
