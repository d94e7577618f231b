"""What anybody may ask the exchange: books, terms, listings, holdings (reference 4, 6)."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from pmrun.plugins.exchanges.common.market_news import BookSeen
from pmrun.plugins.exchanges.polymarket.listing import read_pages
from pmrun.plugins.exchanges.polymarket.transport import Call, Transport, Urls
from pmrun.plugins.exchanges.polymarket.wire_account import Position, parse_positions
from pmrun.plugins.exchanges.polymarket.wire_gamma import parse_gamma_page
from pmrun.plugins.exchanges.polymarket.wire_markets import (
    MarketRewards,
    MarketTerms,
    RewardedMarket,
    parse_clob_page,
    parse_market_terms,
    parse_rewards_page,
    parse_simplified_page,
)
from pmrun.plugins.exchanges.polymarket.wire_pages import Page
from pmrun.plugins.exchanges.polymarket.wire_prices import parse_books, parse_neg_risk, parse_tick_size
from pmrun.plugins.exchanges.polymarket.wire_rest import Geoblock, parse_geoblock, parse_time, parse_version
from pmrun.runner.errors import ProtocolViolation
from pmrun.runner.market import ConditionId, Market, TokenId
from pmrun.runner.units import Micros, Price

T = TypeVar("T")

_MOST_BOOKS = 500
_GAMMA_PAGE = "100"
_POSITIONS_PAGE = 500
_MOST_POSITIONS = 100_000


class Listing(msgspec.Struct, frozen=True):
    """Markets as a service lists them, and what was wrong with those that could not be read."""

    markets: tuple[Market, ...]
    unreadable: tuple[str, ...]


class PublicReads:
    """Reads that need no credentials; each raises CallFailed or ProtocolViolation."""

    def __init__(self, transport: Transport, urls: Urls) -> None:
        """Read by a transport from these services."""
        self.transport = transport
        self.urls = urls

    async def time(self) -> Micros:
        """Return the exchange's clock, in whole seconds."""
        return await self._get("/time", parse_time)

    async def version(self) -> int:
        """Return the generation of orders that the exchange takes (reference 1.4)."""
        return await self._get("/version", parse_version)

    async def tick_size(self, token: TokenId) -> Price:
        """Return a token's tick."""
        return await self._get("/tick-size", parse_tick_size, token_id=token)

    async def neg_risk(self, token: TokenId) -> bool:
        """Return whether a token is signed for the neg-risk exchange (reference 8)."""
        return await self._get("/neg-risk", parse_neg_risk, token_id=token)

    async def clob_market(self, condition: ConditionId) -> MarketTerms:
        """Return what orders are signed and sized by (reference 4.2)."""
        terms = await self._get(f"/clob-markets/{condition}", parse_market_terms)
        if len(terms) != 1 or terms[0].condition not in (None, condition):
            raise ProtocolViolation(f"GET /clob-markets/{condition}: the answer is not about this market alone")
        return terms[0]

    async def books(self, tokens: Sequence[TokenId]) -> tuple[BookSeen, ...]:
        """Return whole books; tokens that the exchange does not know are missing from them (reference 4.1)."""
        found: list[BookSeen] = []
        for start in range(0, len(tokens), _MOST_BOOKS):
            body = msgspec.json.encode([{"token_id": token} for token in tokens[start : start + _MOST_BOOKS]])
            call = Call(service=self.urls.clob, path="/books", method="POST", body=body)
            found += parse_books((await self.transport.read(call)).body)
        return tuple(found)

    async def gamma_markets(self, filters: Mapping[str, str | Sequence[str]] | None = None) -> Listing:
        """Return all of Gamma's markets that pass its filters (reference 6.1)."""
        query = [("limit", _GAMMA_PAGE)]
        for name, value in (filters or {}).items():
            query += [(name, each) for each in ([value] if isinstance(value, str) else value)]
        call = Call(service=self.urls.gamma, path="/markets/keyset", query=tuple(query))
        return _listing(await read_pages(self.transport, call, partial(parse_gamma_page, lenient=True), "after_cursor"))

    async def sampling_markets(self) -> Listing:
        """Return the markets with rewards, with their terms (reference 4.3)."""
        return _listing(await self._pages("/sampling-markets", partial(parse_clob_page, lenient=True)))

    async def rewarded_markets(self) -> tuple[RewardedMarket, ...]:
        """Return the markets with rewards, in short; rows that cannot be read are left out."""
        return _rows(await self._pages("/sampling-simplified-markets", partial(parse_simplified_page, lenient=True)))

    async def rewards(self) -> tuple[MarketRewards, ...]:
        """Return what every market pays now (reference 7.3); rows that cannot be read are left out."""
        return _rows(await self._pages("/rewards/markets/current", partial(parse_rewards_page, lenient=True)))

    async def positions(self, user: str) -> tuple[Position, ...]:
        """Return a wallet's holdings as indexed from the chain, dust included: late (reference 6.3)."""
        found: list[Position] = []
        for offset in range(0, _MOST_POSITIONS, _POSITIONS_PAGE):
            page = await self._get(
                "/positions",
                parse_positions,
                self.urls.data,
                user=user,
                sizeThreshold="0",
                limit=str(_POSITIONS_PAGE),
                offset=str(offset),
            )
            found += page
            if len(page) < _POSITIONS_PAGE:
                return tuple(found)
        raise ProtocolViolation(f"GET /positions: more than {_MOST_POSITIONS:,} rows")

    async def geoblock(self) -> Geoblock:
        """Return whether orders from here would be refused (reference 4.5)."""
        return await self._get("/api/geoblock", parse_geoblock, self.urls.geoblock)

    async def _get(self, path: str, parse: Callable[[bytes], T], service: str | None = None, **query: str) -> T:
        call = Call(service=service or self.urls.clob, path=path, query=tuple(query.items()))
        return parse((await self.transport.read(call)).body)

    async def _pages(self, path: str, parse: Callable[[bytes], Page[T]]) -> list[Page[T]]:
        return await read_pages(self.transport, Call(service=self.urls.clob, path=path), parse)


def _rows(pages: list[Page[T]]) -> tuple[T, ...]:
    return tuple(row for page in pages for row in page.rows)


def _listing(pages: list[Page[Market]]) -> Listing:
    return Listing(_rows(pages), tuple(wrong for page in pages for wrong in page.unreadable))
