"""The markets as the CLOB lists them: terms, rows and their short forms (reference 4.2, 4.3)."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from pmrun.plugins.exchanges.embedded.clob_reads import Engine
from pmrun.plugins.exchanges.embedded.numbers_out import cents, iso, ppm, price_number, shares
from pmrun.plugins.exchanges.embedded.replies import CallRefused, page
from pmrun.plugins.exchanges.embedded.terms import Request
from pmrun.runner.facts import MarketStatus
from pmrun.runner.market import Market, Outcome, RewardTerms, TokenId
from pmrun.runner.units import (
    ONE,
    Micros,
    format_cash,
    format_size,
)

COLLATERAL_ADDRESS = "0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB"


class MarketListings:
    """What everybody may read of all markets (L0)."""

    def __init__(self, engine: Engine, page_size: int, mid: Callable[[int, Outcome], str]) -> None:
        """Take the engine; `mid` writes the middle of a market's touch."""
        self._engine = engine
        self._page_size = page_size
        self._mid = mid

    def by_token(self, request: Request, clock: Micros, at: Micros) -> dict[str, str]:
        """`GET /markets-by-token/{token}`."""
        found = self._engine.where(TokenId(request.path.rpartition("/")[2]))
        if found is None:
            raise CallRefused(404, "market not found")
        market = self._engine.markets[found[0]]
        return {
            "condition_id": market.condition,
            "primary_token_id": market.yes,
            "secondary_token_id": market.no,
        }

    def compact(self, request: Request, clock: Micros, at: Micros) -> dict[str, Any]:
        """`GET /clob-markets/{condition}` (reference 4.2)."""
        number, market = self._condition(request)
        rewards, fees = market.rewards, market.fees
        found: dict[str, Any] = {
            "c": market.condition,
            "t": [{"t": market.yes, "o": market.outcomes[0]}, {"t": market.no, "o": market.outcomes[1]}],
            "mts": price_number(market.tick),
            "mos": Decimal(format_size(market.min_order_size)),
            "mbf": 0,
            "tbf": 0,
            "fd": {"r": ppm(fees.rate_ppm), "e": fees.exponent, "to": fees.taker_only} if fees.rate_ppm else None,
            "r": None if rewards is None else {"mi": shares(rewards), "ma": cents(rewards), "moas": 0},
            "gst": None,
            "cbos": False,
            "sd": 0,
            "ao": self._accepting(number),
            "itode": False,
            "ibce": False,
            "rfqe": False,
        }
        if market.neg_risk:
            found["nr"] = True
        return found

    def market(self, request: Request, clock: Micros, at: Micros) -> dict[str, Any]:
        """`GET /markets/{condition}` (reference 4.3)."""
        return self._row(self._condition(request)[0])

    def markets(self, request: Request, clock: Micros, at: Micros) -> dict[str, Any]:
        """`GET /markets`."""
        return page([self._row(number) for number in range(len(self._engine.markets))], request, self._page_size)

    def simplified(self, request: Request, clock: Micros, at: Micros) -> dict[str, Any]:
        """`GET /simplified-markets`."""
        return page([self._short(number) for number in range(len(self._engine.markets))], request, self._page_size)

    def sampling(self, request: Request, clock: Micros, at: Micros) -> dict[str, Any]:
        """`GET /sampling-markets`: those with rewards."""
        return page([self._row(number) for number in self._rewarded()], request, self._page_size)

    def sampling_simplified(self, request: Request, clock: Micros, at: Micros) -> dict[str, Any]:
        """`GET /sampling-simplified-markets`."""
        return page([self._short(number) for number in self._rewarded()], request, self._page_size)

    def _condition(self, request: Request) -> tuple[int, Market]:
        wanted = request.path.rpartition("/")[2]
        for number, market in enumerate(self._engine.markets):
            if market.condition == wanted:
                return number, market
        raise CallRefused(404, "market not found")

    def _accepting(self, number: int) -> bool:
        return self._engine.status(number) is MarketStatus.TRADING

    def _rewarded(self) -> list[int]:
        return [number for number, market in enumerate(self._engine.markets) if market.rewards is not None]

    def _short(self, number: int) -> dict[str, Any]:
        market = self._engine.markets[number]
        closed = self._engine.status(number) in (MarketStatus.CLOSED, MarketStatus.RESOLVED)
        return {
            "condition_id": market.condition,
            "rewards": _rewards(market.rewards),
            "tokens": [self._token(number, outcome) for outcome in Outcome],
            "active": True,
            "closed": closed,
            "archived": False,
            "accepting_orders": self._accepting(number),
        }

    def _token(self, number: int, outcome: Outcome) -> dict[str, Any]:
        market = self._engine.markets[number]
        won = market.settled_yes == (ONE if outcome is Outcome.YES else 0)
        return {
            "token_id": market.token(outcome),
            "outcome": market.outcomes[0 if outcome is Outcome.YES else 1],
            "price": Decimal(self._mid(number, outcome)),
            "winner": market.settled_yes is not None and won,
        }

    def _row(self, number: int) -> dict[str, Any]:
        market = self._engine.markets[number]
        return {
            **self._short(number),
            "enable_order_book": True,
            "accepting_order_timestamp": None,
            "minimum_order_size": Decimal(format_size(market.min_order_size)),
            "minimum_tick_size": price_number(market.tick),
            "question_id": market.condition,
            "question": market.question,
            "description": "",
            "market_slug": market.slug,
            "end_date_iso": None if market.ends_at is None else iso(market.ends_at),
            "game_start_time": None,
            "seconds_delay": 0,
            "fpmm": "",
            "maker_base_fee": 0,
            "taker_base_fee": 0,
            "notifications_enabled": False,
            "neg_risk": market.neg_risk,
            "neg_risk_market_id": "",
            "neg_risk_request_id": "",
            "icon": "",
            "image": "",
            "is_50_50_outcome": False,
            "tags": [],
        }


def _rewards(rewards: RewardTerms | None) -> dict[str, Any]:
    if rewards is None:
        return {"rates": None, "min_size": 0, "max_spread": 0}
    daily = Decimal(format_cash(rewards.daily_rate)) + Decimal(format_cash(rewards.sponsored_rate))
    return {
        "rates": [{"asset_address": COLLATERAL_ADDRESS, "rewards_daily_rate": daily}],
        "min_size": shares(rewards),
        "max_spread": cents(rewards),
    }
