"""Finds the markets to run on: Gamma's listing, what they pay, and whether they have a book (C1; reference 6)."""

import re
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from itertools import islice
from typing import Protocol

import msgspec

from pmrun.plugins.exchanges.common.market_news import BookSeen
from pmrun.plugins.exchanges.polymarket.transport import Answer, Call, Urls
from pmrun.plugins.exchanges.polymarket.wire_fields import decode
from pmrun.plugins.exchanges.polymarket.wire_gamma import parse_gamma_markets
from pmrun.plugins.exchanges.polymarket.wire_markets import MarketRewards
from pmrun.plugins.exchanges.polymarket.wire_pages import Page, open_page
from pmrun.runner.errors import DataError, ProtocolViolation
from pmrun.runner.market import Market, RewardTerms, TokenId
from pmrun.runner.units import Micros

_PAGE = 100  # rows, the most that Gamma gives (reference 6.1)
_MOST_PAGES = 100
_NAMED_AT_ONCE = 50  # in one address
_VERSIONS = ("v1", "v2")
# "Person A", "Other": names that augmented groups keep for whoever turns up (reference 8).
_PLACEHOLDER = re.compile(r"other|[\w'-]+ ([A-Z]{1,2}|[0-9]{1,3})", re.IGNORECASE | re.ASCII)

Query = list[tuple[str, str]]

NAMELESS = "a placeholder of an augmented group"
NOT_TRADABLE = "does not take orders"
NO_BOOK = "has no book"
UNPAID = "pays no rewards"
ENDED = "its end has passed"


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Which markets are wanted: the `top` most liquid, or the best paid where only rewarded ones are; or named ones."""

    top: int = 50
    slugs: Sequence[str] = ()
    condition_ids: Sequence[str] = ()
    rewarded_only: bool = False

    @property
    def named(self) -> bool:
        """Whether markets are named: then each of them has to be there."""
        return bool(self.slugs or self.condition_ids)


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The markets, each with its Gamma object as it was received, and why others were left out."""

    markets: tuple[Market, ...]
    rows: tuple[bytes, ...]
    left_out: dict[str, int]


class Reader(Protocol):
    """Carries a call."""

    async def read(self, call: Call) -> Answer:
        """Return its answer; raises CallFailed."""


class Source(Protocol):
    """What the catalogue asks of REST."""

    @property
    def transport(self) -> Reader:
        """How a call is made."""

    @property
    def urls(self) -> Urls:
        """Where Gamma is."""

    async def rewards(self) -> tuple[MarketRewards, ...]:
        """Return what every market pays."""

    async def books(self, tokens: Sequence[TokenId]) -> tuple[BookSeen, ...]:
        """Return whole books."""


class _Event(msgspec.Struct, rename="camel"):
    enable_neg_risk: bool | None = None
    neg_risk_augmented: bool | None = None


class _Row(msgspec.Struct, rename="camel"):
    condition_id: str = ""
    slug: str = ""
    version: str | None = None
    group_item_title: str | None = None
    neg_risk_other: bool | None = None
    events: list[_Event] | None = None


_ROW = msgspec.json.Decoder(_Row)


async def find_markets(source: Source, choice: Choice, at: Micros) -> tuple[Market, ...]:
    """Return the wanted markets that can be traded; raises DataError when there are none, or a named one is not."""
    return (await find(source, choice, at)).markets


async def find(source: Source, choice: Choice, at: Micros) -> Found:
    """Return the wanted markets, and how the exchange listed them.

    Raises DataError naming what the exchange answered; CallFailed or ProtocolViolation when it did not.
    """
    paid = {row.condition: row.rewards for row in await source.rewards() if row.rewards is not None}
    search = _Search(source, choice, {str(condition): terms for condition, terms in paid.items()}, at)
    if choice.named:
        return await search.named()
    return await search.best()


class _Search:
    """One search."""

    def __init__(self, source: Source, choice: Choice, paid: dict[str, RewardTerms], at: Micros) -> None:
        self._source = source
        self._choice = choice
        self._paid = paid
        self._at = at
        self._left_out: Counter[str] = Counter()
        self._unreadable = ""  # the first that was wrong with a row

    async def named(self) -> Found:
        """Find what is named; nothing of it may be left out silently."""
        chosen: dict[str, tuple[Market, bytes]] = {}
        wrong: dict[str, str] = {}  # why not, by slug and by condition
        async with aclosing(self._pages(self._named())) as pages:
            async for page in pages:
                for row, raw in page:
                    market = self._judge(row, raw, named=True)
                    if isinstance(market, str):
                        wrong[row.slug] = wrong[row.condition_id] = market
                    else:
                        chosen[market.condition] = market, raw
        listed = {name for market, _ in chosen.values() for name in (market.slug, market.condition)}
        for name in (*self._choice.slugs, *self._choice.condition_ids):
            if name not in listed:
                raise DataError(f"market {name}: {wrong.get(name, 'the exchange lists no open market of this name')}")
        found = await self._with_books(list(chosen.values()))
        there = {market.condition for market in found.markets}
        for market, _ in chosen.values():
            if market.condition not in there:
                raise DataError(f"market {market.slug}: {NO_BOOK}: the exchange left it out of its answer to /books")
        return found

    async def best(self) -> Found:
        """Find the first so many that can be traded."""
        found, seen = Found(markets=(), rows=(), left_out={}), 0
        async with aclosing(self._pages(self._best())) as pages:
            async for page in pages:
                seen += len(page)
                found = await self._add(found, page)
                if len(found.markets) >= self._choice.top:
                    break
        if not found.markets:
            raise DataError(self._nothing(seen))
        return msgspec.structs.replace(found, left_out=dict(+self._left_out))

    async def _add(self, found: Found, page: list[tuple[_Row, bytes]]) -> Found:
        """Add the tradable markets of a page; those without a book make room for the next."""
        left = iter(page)
        while wanted := self._choice.top - len(found.markets):
            batch = list(islice(self._tradable(left), wanted))
            if not batch:
                break
            more = await self._with_books(batch)
            found = Found(markets=found.markets + more.markets, rows=found.rows + more.rows, left_out={})
        return found

    def _tradable(self, page: Iterator[tuple[_Row, bytes]]) -> Iterator[tuple[Market, bytes]]:
        for row, raw in page:
            market = self._judge(row, raw)
            if isinstance(market, str):
                self._left_out[market] += 1
            else:
                yield market, raw

    def _nothing(self, seen: int) -> str:
        if not seen:
            return "the exchange lists no open market"
        reasons = ", ".join(f"{count} {why}" for why, count in self._left_out.most_common())
        first = f" (the first: {self._unreadable})" if self._unreadable else ""
        return f"none of the {seen} markets that the exchange lists can be traded: {reasons}{first}"

    def _named(self) -> list[Query]:
        slugs, conditions = self._choice.slugs, self._choice.condition_ids
        return [[("slug", name) for name in part] for part in _parts(slugs)] + _by_condition(conditions)

    def _best(self) -> list[Query]:
        if not self._choice.rewarded_only:
            return [[("order", "liquidityNum"), ("ascending", "false")]]
        return _by_condition(sorted(self._paid, key=lambda name: (-self._rate(name), name)))

    def _rate(self, condition: str) -> int:
        terms = self._paid.get(condition)
        return 0 if terms is None else terms.daily_rate + terms.sponsored_rate

    async def _pages(self, queries: list[Query]) -> AsyncGenerator[list[tuple[_Row, bytes]]]:
        """Read Gamma's pages as far as they are wanted, the best paid first where rewards are (reference 6.1)."""
        for query in queries:
            cursor: str | None = None
            for _ in range(_MOST_PAGES):
                page = await self._page(query, cursor)
                rows = [(decode(_ROW, raw, "gamma market"), raw) for raw in page.rows]
                if self._choice.rewarded_only:
                    rows.sort(key=lambda each: -self._rate(each[0].condition_id))
                yield rows
                if page.next_cursor is None:
                    break
                cursor = page.next_cursor

    async def _page(self, query: Query, cursor: str | None) -> Page[bytes]:
        after = [] if cursor is None else [("after_cursor", cursor)]
        asked = ("limit", str(_PAGE)), ("closed", "false"), *query, *after
        call = Call(service=self._source.urls.gamma, path="/markets/keyset", query=asked)
        page = open_page((await self._source.transport.read(call)).body, str(call))
        if page.next_cursor is not None and page.next_cursor == cursor:
            raise ProtocolViolation(f"{call}: its cursor {cursor!r} leads to itself")
        return page

    def _judge(self, row: _Row, raw: bytes, named: bool = False) -> Market | str:
        """Return the market, or why it is no market to run on; fail closed where its kind is not known."""
        if row.version not in _VERSIONS:
            return f"version {row.version!r} is neither {' nor '.join(_VERSIONS)}"
        if _is_placeholder(row):
            return NAMELESS
        try:
            (market,) = parse_gamma_markets(raw)
        except ProtocolViolation as violation:
            self._unreadable = self._unreadable or str(violation)
            return f"unreadable: {violation}" if named else "unreadable"
        terms = self._paid.get(market.condition, market.rewards)
        if not market.accepting_orders:
            return NOT_TRADABLE
        if self._choice.rewarded_only and terms is None:
            return UNPAID
        if not named and market.ends_at is not None and market.ends_at <= self._at:
            return ENDED
        return msgspec.structs.replace(market, rewards=terms)

    async def _with_books(self, chosen: list[tuple[Market, bytes]]) -> Found:
        """Take tick, minimum size and kind from the books: Gamma's are cached (reference 6.2)."""
        books = {book.token: book for book in await self._source.books([market.yes for market, _ in chosen])}
        there = [(market, raw) for market, raw in chosen if market.yes in books]
        self._left_out[NO_BOOK] += len(chosen) - len(there)
        return Found(
            markets=tuple(_as_in_book(market, books[market.yes]) for market, _ in there),
            rows=tuple(raw for _, raw in there),
            left_out=dict(+self._left_out),
        )


def _as_in_book(market: Market, book: BookSeen) -> Market:
    return msgspec.structs.replace(
        market,
        tick=market.tick if book.tick is None else book.tick,
        min_order_size=market.min_order_size if book.min_order_size is None else book.min_order_size,
        neg_risk=market.neg_risk if book.neg_risk is None else book.neg_risk,
    )


def _is_placeholder(row: _Row) -> bool:
    """Whether a market stands for nobody yet; only augmented groups have such (reference 8)."""
    augmented = any(event.enable_neg_risk and event.neg_risk_augmented for event in row.events or ())
    title = (row.group_item_title or "").strip()
    return augmented and (bool(row.neg_risk_other) or not title or bool(_PLACEHOLDER.fullmatch(title)))


def _by_condition(conditions: Iterable[str]) -> list[Query]:
    return [[("condition_ids", name) for name in part] for part in _parts(conditions)]


def _parts(names: Iterable[str]) -> list[list[str]]:
    every = list(dict.fromkeys(names))
    return [every[start : start + _NAMED_AT_ONCE] for start in range(0, len(every), _NAMED_AT_ONCE)]
