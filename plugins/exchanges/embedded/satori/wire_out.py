"""SatoriEx's words for markets, books and trades: every number a JSON integer."""

from datetime import UTC, datetime
from typing import Any

from pmrun.plugins.exchanges.embedded.satori.records import number_of
from pmrun.plugins.exchanges.embedded.satori.settings import SHARE, SatoriSettings
from pmrun.plugins.exchanges.embedded.terms import Levels, Printed
from pmrun.runner.book import Book
from pmrun.runner.facts import MarketStatus
from pmrun.runner.market import Market, Outcome
from pmrun.runner.units import ONE, SECOND, Cash, Micros

_STATUS = {
    MarketStatus.TRADING: "open",
    MarketStatus.HALTED: "halted",
    MarketStatus.CLOSED: "closed",
    MarketStatus.RESOLVED: "resolved",
}
STATUSES = tuple(_STATUS.values())
_BPS = 100  # millionths in a basis point


def outcome_id(market: Market, outcome: Outcome) -> str:
    """Return the id of an outcome."""
    return f"{market.condition}-{outcome.value.lower()}"


def status_word(status: MarketStatus) -> str:
    """Return how a market's status is written."""
    return _STATUS[status]


def market_row(market: Market, status: MarketStatus, settings: SatoriSettings) -> dict[str, Any]:
    """Return a market as it is listed."""
    return {
        "id": market.condition,
        "question": market.question,
        "slug": market.slug,
        "status": status_word(status),
        "outcomes": [
            {"id": outcome_id(market, outcome), "name": name}
            for outcome, name in zip(Outcome, market.outcomes, strict=True)
        ],
        "tick_bps": market.tick,
        "min_quantity": 1,
        "min_price": market.tick,
        "max_price": ONE - market.tick,
        "seller_fee_bps": settings.seller_fee_ppm // _BPS,
        "maker_rebate_bps": settings.maker_rebate_ppm // _BPS,
        "volume_24h": _cents(market.volume_24h),
        "liquidity": _cents(market.liquidity),
        "end_at": None if market.ends_at is None else _iso(market.ends_at),
        "event_id": market.event,
        "exclusive": market.neg_risk,
        "resolved_outcome_id": resolved_outcome(market),
    }


def resolved_outcome(market: Market) -> str | None:
    """Return the outcome that won; None before, and where both pay half."""
    if market.settled_yes == ONE:
        return outcome_id(market, Outcome.YES)
    return outcome_id(market, Outcome.NO) if market.settled_yes == 0 else None


def book_row(market: Market, outcome: Outcome, levels: tuple[Levels, Levels], sequence: int, at: Micros) -> Any:
    """Return the book of an outcome, best first."""
    book = Book(*levels).seen_by(outcome)
    return {
        "market_id": market.condition,
        "outcome_id": outcome_id(market, outcome),
        "bids": [[price, size // SHARE] for price, size in book.bids],
        "asks": [[price, size // SHARE] for price, size in book.asks],
        "sequence": sequence,
        "timestamp": at // 1_000,
    }


def print_row(market: Market, number: int, event: Printed) -> dict[str, Any]:
    """Return a trade as everybody sees it: told of the first outcome, with the taker's side."""
    return {
        "id": f"{market.condition}-{number}",
        "outcome_id": outcome_id(market, Outcome.YES),
        "side": number_of(event.side),
        "price": event.price,
        "quantity": event.size // SHARE,
        "timestamp": event.at // 1_000,
    }


def _cents(amount: Cash | None) -> int:
    return 0 if amount is None else amount // 10_000


def _iso(at: Micros) -> str:
    return datetime.fromtimestamp(at // SECOND, UTC).isoformat().replace("+00:00", "Z")
