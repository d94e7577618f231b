"""Reading by REST what is everybody's: books and prices (reference 4)."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from pmrun.plugins.exchanges.embedded.numbers_out import half_number, price_number
from pmrun.plugins.exchanges.embedded.replies import CallRefused, decode, epoch_seconds, one
from pmrun.plugins.exchanges.embedded.terms import Request
from pmrun.plugins.exchanges.embedded.wire_out import Reporter
from pmrun.runner.facts import MarketStatus
from pmrun.runner.market import Market, Outcome, TokenId
from pmrun.runner.units import (
    ONE,
    SECOND,
    HalfPrice,
    Micros,
    Price,
    Side,
    complement,
    format_price,
)

LARGEST_READ = 500  # tokens in one call about many

NO_BOOK = "No orderbook exists for the requested token id"


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

    def __init__(self, engine: Engine, reporter: Reporter, geoblocked: bool = False, country: str = "ZZ") -> None:
        """Take the parts; `geoblocked` and `country` are what the caller is told of where it calls from."""
        self._engine = engine
        self._reporter = reporter
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
        return {"mid": self.mid(*self._asked(request))}

    def midpoints(self, request: Request, clock: Micros, at: Micros) -> dict[str, str]:
        """`POST /midpoints`."""
        return {asked.token_id: self.mid(number, outcome) for asked, number, outcome in self._many(request)}

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

    def _touch(self, number: int, outcome: Outcome) -> tuple[Price, Price]:
        book = self._reporter.standings[number].book.seen_by(outcome)
        return book.best_bid or Price(0), book.best_ask or ONE

    def mid(self, number: int, outcome: Outcome) -> str:
        """Return the middle of the touch as it is written."""
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


def _seen(price: Price, outcome: Outcome) -> Price:
    return price if outcome is Outcome.YES else complement(price)
