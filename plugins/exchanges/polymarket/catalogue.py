"""Finds the markets to run on: Gamma's listing, what they pay, and whether they have a book (C1; reference 6)."""

import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Protocol

import msgspec

from pmrun.plugins.exchanges.polymarket.news import BookSeen
from pmrun.plugins.exchanges.polymarket.transport import Answer, Call, Urls
from pmrun.plugins.exchanges.polymarket.wire_fields import decode
from pmrun.plugins.exchanges.polymarket.wire_markets import MarketRewards, open_page, parse_gamma_markets
from pmrun.runner.errors import DataError, ProtocolViolation
from pmrun.runner.market import Market, RewardTerms, TokenId
from pmrun.runner.units import Micros

_PAGE = 100  # rows, the most that Gamma gives (reference 6.1)
_MOST_PAGES = 100
_NAMED_AT_ONCE = 50  # in one address
_VERSIONS = ("v1", "v2")
# "Person A", "Other": names that augmented groups keep for whoever turns up (reference 8).
_PLACEHOLDER = re.compile(r"other|[\w'-]+ ([A-Z]{1,2}|[0-9]{1,3})", re.IGNORECASE | re.ASCII)

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
        for field, names in (("slug", self._choice.slugs), ("condition_ids", self._choice.condition_ids)):
            for part in _parts(names):
                async for raw in self._rows([(field, name) for name in part]):
                    row = decode(_ROW, raw, "gamma market")
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
        for market, _ in chosen.values():
            if market.condition not in {one.condition for one in found.markets}:
                raise DataError(f"market {market.slug}: {NO_BOOK}: the exchange left it out of its answer to /books")
        return found

    async def best(self) -> Found:
        """Find the first so many that can be traded."""
        top, found, seen = self._choice.top, Found(markets=(), rows=(), left_out={}), 0
        batch: list[tuple[Market, bytes]] = []
        async for raw in self._candidates():
            seen += 1
            market = self._judge(decode(_ROW, raw, "gamma market"), raw)
            if isinstance(market, str):
                self._left_out[market] += 1
                continue
            batch.append((market, raw))
            if len(batch) >= top - len(found.markets):
                found, batch = _joined(found, await self._with_books(batch)), []
                if len(found.markets) >= top:
                    break
        found = _joined(found, await self._with_books(batch))
        if not found.markets:
            raise DataError(self._nothing(seen))
        return msgspec.structs.replace(found, left_out=dict(self._left_out))

    def _nothing(self, seen: int) -> str:
        if not seen:
            return "the exchange lists no open market"
        reasons = ", ".join(f"{count} {why}" for why, count in self._left_out.most_common())
        first = f" (the first: {self._unreadable})" if self._unreadable else ""
        return f"none of the {seen} markets that the exchange lists can be traded: {reasons}{first}"

    async def _candidates(self) -> AsyncIterator[bytes]:
        if not self._choice.rewarded_only:
            async for row in self._rows([("order", "liquidityNum"), ("ascending", "false")]):
                yield row
            return
        rates = {name: terms.daily_rate + terms.sponsored_rate for name, terms in self._paid.items()}
        for part in _parts(sorted(rates, key=lambda name: (-rates[name], name))):
            rows = [row async for row in self._rows([("condition_ids", name) for name in part])]
            rank = {name: number for number, name in enumerate(part)}
            for row in sorted(rows, key=lambda row: rank.get(_ROW.decode(row).condition_id, len(rank))):
                yield row

    async def _rows(self, query: list[tuple[str, str]]) -> AsyncIterator[bytes]:
        """Read Gamma's pages as far as they are wanted (reference 6.1)."""
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            asked = [("limit", str(_PAGE)), ("closed", "false"), *query]
            if cursor is not None:
                asked.append(("after_cursor", cursor))
            call = Call(service=self._source.urls.gamma, path="/markets/keyset", query=tuple(asked))
            page = open_page((await self._source.transport.read(call)).body, str(call))
            for row in page.rows:
                yield row
            if page.next_cursor is None:
                return
            if page.next_cursor == cursor:
                raise ProtocolViolation(f"{call}: its cursor {cursor!r} leads to itself")
            cursor = page.next_cursor

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


def _joined(left: Found, right: Found) -> Found:
    return Found(markets=left.markets + right.markets, rows=left.rows + right.rows, left_out=right.left_out)


def _parts(names: Iterable[str]) -> list[list[str]]:
    every = list(dict.fromkeys(names))
    return [every[start : start + _NAMED_AT_ONCE] for start in range(0, len(every), _NAMED_AT_ONCE)]
