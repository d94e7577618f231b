"""The Data API of the embedded exchange: positions, their value, and everybody's trades (reference 6.3)."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Protocol

from pmrun.plugins.exchanges.embedded.gamma import count_of, cursor_at, start_of
from pmrun.plugins.exchanges.embedded.identity import checksum
from pmrun.plugins.exchanges.embedded.numbers_out import half_number, iso, price_number
from pmrun.plugins.exchanges.embedded.replies import CallRefused, one
from pmrun.plugins.exchanges.embedded.terms import Request
from pmrun.plugins.exchanges.embedded.wire_out import Reporter
from pmrun.plugins.exchanges.embedded.wire_own import outcome_name
from pmrun.runner.market import Market, Outcome, TokenId
from pmrun.runner.units import SECOND, Micros, Size, complement, format_size

DUST = Size(10_000)  # balances under 0.01 share are omitted from position lists (reference 6.3)


class Engine(Protocol):
    """What the Data API needs of the engine."""

    @property
    def markets(self) -> Sequence[Market]:
        """The current terms."""

    def balance(self, wallet: str, token: TokenId | None) -> int:
        """Return what a wallet has on chain, in base units."""


class DataApi:
    """Positions and trades as the Data API reports them; it knows no costs, only what is held and what it is worth."""

    def __init__(self, engine: Engine, reporter: Reporter) -> None:
        """Take the parts."""
        self._engine = engine
        self._reporter = reporter

    def positions(self, request: Request, clock: Micros, at: Micros) -> list[dict[str, Any]]:
        """`GET /positions` (reference 6.3): `sizeThreshold` is one share unless it is given."""
        least = _decimal(one(request, "sizeThreshold") or "1", "sizeThreshold")
        start = count_of(one(request, "offset") or "0", "offset")
        size = count_of(one(request, "limit") or "100", "limit")
        rows = [
            self._position(wallet, number, outcome, held)
            for wallet, number, outcome, held in self._held(request)
            if Decimal(format_size(held)) >= least
        ]
        return rows[start : start + size]

    def positions_v2(self, request: Request, clock: Micros, at: Micros) -> dict[str, Any]:
        """`GET /v2/positions`."""
        rows = [self._position_v2(*found) for found in self._held(request)]
        size = min(count_of(one(request, "limit") or "100", "limit"), 1_000)
        start = start_of(one(request, "cursor"))
        found = rows[start : start + size]
        more = start + len(found) < len(rows)
        pages = {
            "limit": size,
            "offset": start,
            "has_more": more,
            "next_cursor": cursor_at(start + len(found)) if more else None,
        }
        return {"data": found, "pagination": pages}

    def value(self, request: Request, clock: Micros, at: Micros) -> list[dict[str, Any]]:
        """`GET /value`: what the holdings are worth at the mid."""
        worth = sum(
            (self._worth(number, outcome, held) for _, number, outcome, held in self._held(request)), Decimal(0)
        )
        return [{"user": one(request, "user"), "value": worth}]

    def trades(self, request: Request, clock: Micros, at: Micros) -> list[dict[str, Any]]:
        """`GET /trades`: everybody's, the latest first; whose they were is not told."""
        wanted = set(request.query.get("market", ()))
        prints = [
            (done, market)
            for standing, market in zip(self._reporter.standings, self._engine.markets, strict=True)
            if not wanted or market.condition in wanted
            for done in standing.prints
        ]
        prints.sort(key=lambda found: found[0].at, reverse=True)
        start = count_of(one(request, "offset") or "0", "offset")
        size = count_of(one(request, "limit") or "100", "limit")
        return [
            {
                "proxyWallet": "",
                "side": done.side,
                "asset": market.yes,
                "conditionId": market.condition,
                "size": Decimal(format_size(done.size)),
                "price": price_number(done.price),
                "timestamp": done.at // SECOND,
                "title": market.question,
                "slug": market.slug,
                "eventSlug": market.event,
                "outcome": market.outcomes[0],
                "outcomeIndex": 0,
                "transactionHash": "",
            }
            for done, market in prints[start : start + size]
        ]

    def _held(self, request: Request) -> list[tuple[str, int, Outcome, Size]]:
        try:
            wallet = checksum(one(request, "user"))
        except ValueError:
            raise CallRefused(400, "required query param 'user' not provided") from None
        wanted = {*request.query.get("market", ()), *request.query.get("condition_id", ())}
        return [
            (wallet, number, outcome, Size(held))
            for number, market in enumerate(self._engine.markets)
            for outcome in Outcome
            if (not wanted or market.condition in wanted)
            and (held := self._engine.balance(wallet, market.token(outcome))) >= DUST
        ]

    def _price(self, number: int, outcome: Outcome) -> Decimal:
        settled = self._engine.markets[number].settled_yes
        if settled is not None:
            return price_number(settled if outcome is Outcome.YES else complement(settled))
        return Decimal(half_number(self._reporter.standings[number].book.seen_by(outcome).mark_half))

    def _worth(self, number: int, outcome: Outcome, held: Size) -> Decimal:
        return Decimal(format_size(held)) * self._price(number, outcome)

    def _position(self, wallet: str, number: int, outcome: Outcome, held: Size) -> dict[str, Any]:
        market = self._engine.markets[number]
        costs = (
            "avgPrice",
            "initialValue",
            "cashPnl",
            "percentPnl",
            "totalBought",
            "realizedPnl",
            "percentRealizedPnl",
        )
        return {
            "proxyWallet": wallet,
            "asset": market.token(outcome),
            "conditionId": market.condition,
            "size": Decimal(format_size(held)),
            **dict.fromkeys(costs, 0),
            "currentValue": self._worth(number, outcome, held),
            "curPrice": self._price(number, outcome),
            "redeemable": market.settled_yes is not None,
            "mergeable": False,
            "title": market.question,
            "slug": market.slug,
            "icon": "",
            "eventSlug": market.event or "",
            "outcome": outcome_name(market, outcome),
            "outcomeIndex": 0 if outcome is Outcome.YES else 1,
            "oppositeOutcome": outcome_name(market, outcome.other),
            "oppositeAsset": market.token(outcome.other),
            "endDate": "" if market.ends_at is None else iso(market.ends_at),
            "negativeRisk": market.neg_risk,
        }

    def _position_v2(self, wallet: str, number: int, outcome: Outcome, held: Size) -> dict[str, Any]:
        market = self._engine.markets[number]
        size, worth = Decimal(format_size(held)), self._worth(number, outcome, held)
        costs = ("avg_price", "entry_cost_usdc", "entry_fees_usdc", "total_cost_usdc", "realized_pnl", "unrealized_pnl")
        shares_of = ("total_pnl", "percent_pnl", "percent_realized_pnl")
        return {
            "proxy_wallet": wallet,
            "token_id": market.token(outcome),
            "condition_id": market.condition,
            "current_size": size,
            **dict.fromkeys((*costs, *shares_of), 0),
            "current_price": self._price(number, outcome),
            "current_value": worth,
            "total_size": size,
            "status": "OPEN" if market.settled_yes is None else "REDEEMABLE",
            "redeemable": market.settled_yes is not None,
            "mergeable": False,
            "negative_risk": market.neg_risk,
            "archived": False,
            "verified": False,
            "title": market.question,
            "slug": market.slug,
            "event_slug": market.event or "",
            "outcome": outcome_name(market, outcome),
            "outcome_index": 0 if outcome is Outcome.YES else 1,
            "opposite_token_id": market.token(outcome.other),
            "event_id": "",
            "end_date": None if market.ends_at is None else iso(market.ends_at)[:10],
            "last_event_at": None,
            "first_entry_at": None,
        }


def _decimal(text: str, name: str) -> Decimal:
    if not text.isascii() or not text.replace(".", "", 1).isdigit() or len(text) > 20:
        raise CallRefused(422, f"{name} is not valid")
    return Decimal(text)
