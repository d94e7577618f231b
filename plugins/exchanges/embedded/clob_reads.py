"""Reading by REST what is everybody's: books, prices and the markets as the CLOB lists them (reference 4)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from pmrun.plugins.exchanges.embedded.replies import CallRefused, decode, epoch_seconds, one, page
from pmrun.plugins.exchanges.embedded.terms import Request
from pmrun.plugins.exchanges.embedded.wire_out import Reporter
from pmrun.runner.facts import MarketStatus
from pmrun.runner.market import Market, Outcome, RewardTerms, TokenId
from pmrun.runner.units import (
    ONE,
    SECOND,
    HalfPrice,
    Micros,
    Price,
    Side,
    complement,
    format_cash,
    format_price,
    format_size,
)

LARGEST_READ = 500  # tokens in one call about many
NO_BOOK = "No orderbook exists for the requested token id"
COLLATERAL_ADDRESS = "0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB"

_PRICES_PER_CENT = 100
_INTERVALS = {"1m": 30 * 86_400, "1w": 7 * 86_400, "1d": 86_400, "6h": 21_600, "1h": 3_600}


class Engine(Protocol):
    """What reads need of the engine."""

    @property
    def markets(self) -> Sequence[Market]:
        """The current terms."""

    def where(self, token: TokenId) -> tuple[int, Outcome] | None:
        """Find a token."""

    def status(self, market: int) -> MarketStatus:
        """Return whether a market takes orders."""


class _Token(msgspec.Struct):
    token_id: TokenId
    side: str = ""


class MarketReads:
    """What everybody may read (L0)."""

    def __init__(
        self, engine: Engine, reporter: Reporter, page_size: int, geoblocked: bool = False, country: str = "ZZ"
    ) -> None:
        """Take the parts; `geoblocked` and `country` are what the caller is told of where it calls from."""
        self._engine = engine
        self._reporter = reporter
        self._page_size = page_size
        self._geoblocked = geoblocked
        self._country = country

    def alive(self, request: Request, clock: Micros, at: Micros) -> str:
        """`GET /ok`."""
        return "OK"

    def time(self, request: Request, clock: Micros, at: Micros) -> int:
        """`GET /time`: whole seconds."""
        return clock // SECOND

    def version(self, request: Request, clock: Micros, at: Micros) -> dict[str, int]:
        """`GET /version`: the generation that orders of CTF tokens are signed for."""
        return {"version": 2}

    def geoblock(self, request: Request, clock: Micros, at: Micros) -> dict[str, Any]:
        """`GET /api/geoblock` (reference 4.5)."""
        return {"blocked": self._geoblocked, "ip": "127.0.0.1", "country": self._country, "region": ""}

    def book(self, request: Request, clock: Micros, at: Micros) -> dict[str, Any]:
        """`GET /book` (reference 4.1)."""
        return self._reporter.book(*self._asked(request))

    def books(self, request: Request, clock: Micros, at: Micros) -> list[dict[str, Any]]:
        """`POST /books`: tokens that are not listed are left out."""
        return [self._reporter.book(number, outcome) for _, number, outcome in self._many(request)]

    def midpoint(self, request: Request, clock: Micros, at: Micros) -> dict[str, str]:
        """`GET /midpoint`."""
        return {"mid": self._mid(*self._asked(request))}

    def midpoints(self, request: Request, clock: Micros, at: Micros) -> dict[str, str]:
        """`POST /midpoints`."""
        return {asked.token_id: self._mid(number, outcome) for asked, number, outcome in self._many(request)}

    def price(self, request: Request, clock: Micros, at: Micros) -> dict[str, str]:
        """`GET /price`: BUY is what a buyer pays, as the prose guide has it (reference 4)."""
        return {"price": self._price(*self._asked(request), one(request, "side"))}

    def prices(self, request: Request, clock: Micros, at: Micros) -> dict[str, dict[str, str]]:
        """`POST /prices`."""
        found: dict[str, dict[str, str]] = {}
        for asked, number, outcome in self._many(request):
            found.setdefault(asked.token_id, {})[asked.side] = self._price(number, outcome, asked.side)
        return found

    def spread(self, request: Request, clock: Micros, at: Micros) -> dict[str, str]:
        """`GET /spread`."""
        return {"spread": self._spread(*self._asked(request))}

    def spreads(self, request: Request, clock: Micros, at: Micros) -> dict[str, str]:
        """`POST /spreads`."""
        return {asked.token_id: self._spread(number, outcome) for asked, number, outcome in self._many(request)}

    def last_trade(self, request: Request, clock: Micros, at: Micros) -> dict[str, str]:
        """`GET /last-trade-price`: price 0.5 and no side where nobody ever traded."""
        return self._last(*self._asked(request)) or {"price": "0.5", "side": ""}

    def last_trades(self, request: Request, clock: Micros, at: Micros) -> list[dict[str, str]]:
        """`POST /last-trades-prices`: tokens that never traded are left out."""
        return [
            {"token_id": asked.token_id, **last}
            for asked, number, outcome in self._many(request)
            if (last := self._last(number, outcome)) is not None
        ]

    def tick_size(self, request: Request, clock: Micros, at: Micros) -> dict[str, Decimal]:
        """`GET /tick-size` and `/tick-size/{token}`: a number."""
        return {"minimum_tick_size": price_number(self._terms(request).tick)}

    def neg_risk(self, request: Request, clock: Micros, at: Micros) -> dict[str, bool]:
        """`GET /neg-risk`."""
        return {"neg_risk": self._terms(request).neg_risk}

    def fee_rate(self, request: Request, clock: Micros, at: Micros) -> dict[str, int]:
        """`GET /fee-rate`: legacy, and zero; the fee is in `/clob-markets` (reference 4)."""
        self._terms(request)
        return {"base_fee": 0}

    def builder_fees(self, request: Request, clock: Micros, at: Micros) -> dict[str, int]:
        """`GET /fees/builder-fees/{code}`."""
        return {"builder_maker_fee_rate_bps": 0, "builder_taker_fee_rate_bps": 0}

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

    def history(self, request: Request, clock: Micros, at: Micros) -> dict[str, Any]:
        """`GET /prices-history`: the trades since the exchange began; `market` is a token (reference 4)."""
        found = self._engine.where(TokenId(one(request, "market")))
        if found is None:
            raise CallRefused(404, NO_BOOK)
        number, outcome = found
        begin = epoch_seconds(one(request, "startTs"))
        end = epoch_seconds(one(request, "endTs"))
        span = _INTERVALS.get(one(request, "interval"))
        if begin is None and span is not None:
            begin = Micros(at - span * SECOND)
        points = [
            {"t": done.at // SECOND, "p": price_number(_seen(done.price, outcome))}
            for done in self._reporter.standings[number].prints
            if (begin is None or done.at >= begin) and (end is None or done.at <= end)
        ]
        return {"history": points}

    def _asked(self, request: Request) -> tuple[int, Outcome]:
        found = self._engine.where(TokenId(one(request, "token_id")))
        if found is None:
            raise CallRefused(404, NO_BOOK)
        return found

    def _many(self, request: Request) -> list[tuple[_Token, int, Outcome]]:
        asked = decode(list[_Token], request.body, "Invalid payload")
        if len(asked) > LARGEST_READ:
            raise CallRefused(400, "Payload exceeds the limit")
        found = [(each, self._engine.where(each.token_id)) for each in asked]
        return [(each, *place) for each, place in found if place is not None]

    def _terms(self, request: Request) -> Market:
        """Return the market of a token that stands in the query or in the path."""
        token = one(request, "token_id") or request.path.rpartition("/")[2]
        found = self._engine.where(TokenId(token))
        if found is None:
            raise CallRefused(404, "market not found")
        return self._engine.markets[found[0]]

    def _condition(self, request: Request) -> tuple[int, Market]:
        wanted = request.path.rpartition("/")[2]
        for number, market in enumerate(self._engine.markets):
            if market.condition == wanted:
                return number, market
        raise CallRefused(404, "market not found")

    def _touch(self, number: int, outcome: Outcome) -> tuple[Price, Price]:
        book = self._reporter.standings[number].book.seen_by(outcome)
        return book.best_bid or Price(0), book.best_ask or ONE

    def _mid(self, number: int, outcome: Outcome) -> str:
        return half_number(HalfPrice(sum(self._touch(number, outcome))))

    def _spread(self, number: int, outcome: Outcome) -> str:
        bid, ask = self._touch(number, outcome)
        return format_price(Price(ask - bid))

    def _price(self, number: int, outcome: Outcome, side: str) -> str:
        if side not in (Side.BUY, Side.SELL):
            raise CallRefused(400, "Invalid side")
        bid, ask = self._touch(number, outcome)
        return format_price(ask if side == Side.BUY else bid)

    def _last(self, number: int, outcome: Outcome) -> dict[str, str] | None:
        standing = self._reporter.standings[number]
        if standing.last_trade is None or standing.last_side is None:
            return None
        side = standing.last_side if outcome is Outcome.YES else standing.last_side.opposite
        return {"price": format_price(_seen(standing.last_trade, outcome)), "side": side}

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


def price_number(price: Price) -> Decimal:
    """Return a price as an exact JSON number."""
    return Decimal(format_price(price))


def half_number(doubled: HalfPrice) -> str:
    """Write a midpoint, which may fall on half a 1/10,000."""
    return format((Decimal(doubled) / (2 * ONE)).normalize(), "f")


def ppm(millionths: int) -> Decimal:
    """Return a rate in millionths as an exact JSON number."""
    return Decimal(millionths).scaleb(-6).normalize() + 0


def shares(rewards: RewardTerms) -> Decimal:
    """Return the smallest rewarded size in shares."""
    return Decimal(format_size(rewards.min_size))


def cents(rewards: RewardTerms) -> Decimal:
    """Return the largest rewarded distance from the mid in cents."""
    return Decimal(rewards.max_spread) / _PRICES_PER_CENT


def iso(at: Micros) -> str:
    """Write a moment as the listings do."""
    whole = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)
    return whole.isoformat().replace("+00:00", "Z")


def _rewards(rewards: RewardTerms | None) -> dict[str, Any]:
    if rewards is None:
        return {"rates": None, "min_size": 0, "max_spread": 0}
    daily = Decimal(format_cash(rewards.daily_rate)) + Decimal(format_cash(rewards.sponsored_rate))
    return {
        "rates": [{"asset_address": COLLATERAL_ADDRESS, "rewards_daily_rate": daily}],
        "min_size": shares(rewards),
        "max_spread": cents(rewards),
    }


def _seen(price: Price, outcome: Outcome) -> Price:
    return price if outcome is Outcome.YES else complement(price)
