"""The listings of the embedded exchange: markets and events as Gamma writes them (reference 6.1, 6.2)."""

import base64
import binascii
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from pmrun.plugins.exchanges.embedded.clob_listings import COLLATERAL_ADDRESS
from pmrun.plugins.exchanges.embedded.numbers_out import cents, half_number, iso, ppm, price_number, shares
from pmrun.plugins.exchanges.embedded.replies import CallRefused, encode, one
from pmrun.plugins.exchanges.embedded.signed_orders import is_position
from pmrun.plugins.exchanges.embedded.terms import Request
from pmrun.plugins.exchanges.embedded.wire_out import Reporter, gamma_id
from pmrun.runner.facts import MarketStatus
from pmrun.runner.market import FeeTerms, Market
from pmrun.runner.units import ONE, Micros, Price, complement, format_cash, format_price, format_size

LARGEST_MARKETS, LARGEST_EVENTS, USUAL = 100, 500, 20


class Engine(Protocol):
    """What the listings need of the engine."""

    @property
    def markets(self) -> Sequence[Market]:
        """The current terms."""

    def status(self, market: int) -> MarketStatus:
        """Return whether a market takes orders."""


class Gamma:
    """Markets and events as Gamma lists them, with what the book says now."""

    def __init__(self, engine: Engine, reporter: Reporter) -> None:
        """Take the parts."""
        self._engine = engine
        self._reporter = reporter

    def keyset(self, request: Request, clock: Micros, at: Micros) -> dict[str, Any]:
        """`GET /markets/keyset`: open markets unless `closed` says otherwise; no cursor on the last page."""
        return _keyset("markets", self._chosen(request, closed="false"), request, LARGEST_MARKETS)

    def markets(self, request: Request, clock: Micros, at: Micros) -> list[dict[str, Any]]:
        """`GET /markets`: the legacy list by limit and offset."""
        start = count_of(one(request, "offset") or "0", "offset")
        size = min(count_of(one(request, "limit") or str(USUAL), "limit"), LARGEST_EVENTS)
        return self._chosen(request, closed="")[start : start + size]

    def market(self, request: Request, clock: Micros, at: Micros) -> dict[str, Any]:
        """`GET /markets/{id}` and `/markets/slug/{slug}`."""
        wanted = request.path.rpartition("/")[2]
        by_slug = "/slug/" in request.path
        for number, market in enumerate(self._engine.markets):
            if wanted == (market.slug if by_slug else gamma_id(number)):
                return self._row(number)
        raise CallRefused(404, "market not found")

    def events_keyset(self, request: Request, clock: Micros, at: Micros) -> dict[str, Any]:
        """`GET /events/keyset`."""
        return _keyset("events", self._events(request), request, LARGEST_EVENTS)

    def events(self, request: Request, clock: Micros, at: Micros) -> list[dict[str, Any]]:
        """`GET /events`: the legacy list by limit and offset."""
        start = count_of(one(request, "offset") or "0", "offset")
        size = min(count_of(one(request, "limit") or str(USUAL), "limit"), LARGEST_EVENTS)
        return self._events(request)[start : start + size]

    def _events(self, request: Request) -> list[dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        slugs = set(request.query.get("slug", ()))
        for row in self._chosen(Request(method="GET", path="", query=_only(request, "closed")), closed="false"):
            for event in row["events"]:
                if not slugs or event["slug"] in slugs:
                    found.setdefault(event["slug"], {**event, "markets": []})["markets"].append(row)
        return list(found.values())

    def _chosen(self, request: Request, closed: str) -> list[dict[str, Any]]:
        tests = _tests(request, one(request, "closed") or closed)
        listed = [self._row(number) for number in range(len(self._engine.markets))]
        rows = [row for row in listed if all(test(row) for test in tests)]
        field = one(request, "order").partition(",")[0]
        if not field:
            return rows
        if rows and field not in rows[0]:
            raise CallRefused(422, "order fields are not valid")
        falling = one(request, "ascending").lower() != "true"
        return sorted(rows, key=lambda row: (row[field] is not None, row[field]), reverse=falling)

    def _row(self, number: int) -> dict[str, Any]:
        market, status = self._engine.markets[number], self._engine.status(number)
        over = status in (MarketStatus.CLOSED, MarketStatus.RESOLVED)
        return {
            "id": gamma_id(number),
            "conditionId": market.condition,
            "questionID": market.condition,
            "slug": market.slug,
            "question": market.question,
            "description": "",
            "groupItemTitle": "",
            **_tokens(market),
            **self._prices(number),
            "active": True,
            "closed": over,
            "archived": False,
            "acceptingOrders": status is MarketStatus.TRADING,
            "enableOrderBook": True,
            "restricted": False,
            "negRisk": market.neg_risk,
            "endDate": None if market.ends_at is None else iso(market.ends_at),
            "volume24hr": _reported(market.volume_24h),
            "volumeNum": _reported(market.volume_24h),
            "volume": str(_reported(market.volume_24h) or 0),
            "liquidityNum": _reported(market.liquidity),
            "liquidity": str(_reported(market.liquidity) or 0),
            "orderPriceMinTickSize": price_number(market.tick),
            "orderMinSize": Decimal(format_size(market.min_order_size)),
            **_fees(market),
            **_rewards(market),
            "secondsDelay": 0,
            "umaResolutionStatus": "resolved" if status is MarketStatus.RESOLVED else "",
            "resolutionStatus": "resolved" if status is MarketStatus.RESOLVED else "active",
            "events": [{"id": f"{1 + number}", "slug": market.event, "title": market.event}] if market.event else [],
            **_settlement(market),
            "_assumed": list(market.assumed),
            "_simulated": market.simulated,
        }

    def _prices(self, number: int) -> dict[str, Any]:
        market, standing = self._engine.markets[number], self._reporter.standings[number]
        bid, ask = standing.book.best_bid or Price(0), standing.book.best_ask or ONE
        yes = half_number(standing.book.mark_half)
        if market.settled_yes is not None:
            yes = format_price(market.settled_yes)
        last = standing.last_trade
        return {
            "outcomePrices": _listed([yes, format((1 - Decimal(yes)).normalize() + 0, "f")]),
            "bestBid": price_number(bid),
            "bestAsk": price_number(ask),
            "spread": price_number(Price(ask - bid)),
            "lastTradePrice": None if last is None else price_number(last),
        }


Test = Callable[[dict[str, Any]], bool]


def _tests(request: Request, closed: str) -> list[Test]:
    """Return the filters that the query asks for; a field may be asked for several times (reference 6.1)."""
    tests: list[Test] = []
    if closed.lower() in ("true", "false"):
        tests.append(lambda row: row["closed"] is (closed.lower() == "true"))
    for parameter, field in (("id", "id"), ("slug", "slug"), ("condition_ids", "conditionId"), ("version", "version")):
        wanted = set(request.query.get(parameter, ()))
        if wanted:
            tests.append(lambda row, wanted=wanted, field=field: row[field] in wanted)  # type: ignore[misc]
    for parameter in ("clob_token_ids", "position_ids"):
        tokens = set(request.query.get(parameter, ()))
        if tokens:
            tests.append(lambda row, tokens=tokens: not tokens.isdisjoint(_ids(row)))  # type: ignore[misc]
    return tests


def _ids(row: dict[str, Any]) -> list[str]:
    return list(row.get("positionIds") or msgspec.json.decode(row["clobTokenIds"]))


def _only(request: Request, name: str) -> dict[str, list[str]]:
    return {name: request.query[name]} if name in request.query else {}


def _tokens(market: Market) -> dict[str, Any]:
    """Return the trading ids in the field of their generation (reference 1.4), and the outcomes in the same order."""
    ids = [market.yes, market.no]
    found: dict[str, Any] = {"outcomes": _listed(list(market.outcomes))}
    if is_position(market.yes):
        return {**found, "version": "v2", "positionIds": ids}
    return {**found, "version": "v1", "clobTokenIds": _listed(ids)}


def _listed(values: Sequence[str]) -> str:
    """Write an array as a string that holds JSON (reference 6.2)."""
    return encode(list(values)).decode()


def _fees(market: Market) -> dict[str, Any]:
    if market.fees == FeeTerms():
        return {"feesEnabled": False, "feeSchedule": None}
    fees = market.fees
    schedule = {
        "rate": ppm(fees.rate_ppm),
        "exponent": fees.exponent,
        "takerOnly": fees.taker_only,
        "rebateRate": ppm(fees.rebate_ppm),
    }
    return {"feesEnabled": True, "feeSchedule": schedule}


def _rewards(market: Market) -> dict[str, Any]:
    """Return the rewards; like Gamma's, the listing does not say who pays which rate."""
    rewards = market.rewards
    if rewards is None:
        return {"rewardsMinSize": 0, "rewardsMaxSpread": 0, "clobRewards": []}
    rates = [rate for rate in (rewards.daily_rate, rewards.sponsored_rate) if rate]
    return {
        "rewardsMinSize": shares(rewards),
        "rewardsMaxSpread": cents(rewards),
        "clobRewards": [
            {
                "id": str(number),
                "conditionId": market.condition,
                "assetAddress": COLLATERAL_ADDRESS,
                "rewardsAmount": 0,
                "rewardsDailyRate": Decimal(format_cash(rate)),
                "startDate": "2026-01-01",
                "endDate": None,
            }
            for number, rate in enumerate(rates, start=1)
        ],
    }


def _settlement(market: Market) -> dict[str, Any]:
    """Return what was paid out, under the name that tapes give it; absent while nobody can know."""
    if market.settled_yes is None:
        return {}
    first, second = market.outcomes
    paid = {
        "outcome_up": first,
        "outcome_down": second,
        "payout_up": format_price(market.settled_yes),
        "payout_down": format_price(complement(market.settled_yes)),
    }
    return {"_settlement": paid}


def _reported(amount: int | None) -> Decimal | None:
    return None if amount is None else Decimal(amount).scaleb(-6)


def _keyset(name: str, rows: Sequence[dict[str, Any]], request: Request, largest: int) -> dict[str, Any]:
    if "offset" in request.query:
        raise CallRefused(422, "offset is not supported, use after_cursor")
    size = min(count_of(one(request, "limit") or str(USUAL), "limit"), largest)
    start = start_of(one(request, "after_cursor"))
    found = list(rows[start : start + size])
    following = {"next_cursor": cursor_at(start + len(found))} if start + len(found) < len(rows) else {}
    return {name: found, **following}


def cursor_at(offset: int) -> str:
    """Write an opaque cursor."""
    return base64.urlsafe_b64encode(f"after:{offset}".encode()).decode()


def start_of(cursor: str) -> int:
    """Read a cursor; CallRefused with 422 when it is none of ours."""
    if not cursor:
        return 0
    try:
        word, _, offset = base64.urlsafe_b64decode(cursor.encode()).decode("ascii").partition(":")
    except (binascii.Error, ValueError):
        word, offset = "", ""
    if word != "after":
        raise CallRefused(422, "cursor is not valid")
    return count_of(offset, "cursor")


def count_of(text: str, name: str) -> int:
    """Read a whole number of a query; CallRefused with 422 names the parameter."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise CallRefused(422, f"{name} is not valid")
    return int(text)
