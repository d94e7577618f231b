"""Writes a simulated session as a tape: markets as Gamma lists them, frames as the market channel sends them."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pmrun.plugins.executors.kernel import LEVEL, PRINT, SNAPSHOT
from pmrun.runner.errors import ConfigError, DataError
from pmrun.runner.facts import Fact, StatusChanged, TickChanged
from pmrun.runner.market import Market
from pmrun.runner.ports import FeedData
from pmrun.runner.units import ONE, Micros, Price, Size, format_cash, format_price, format_size

MARK = "simulated.json"
SIDES = ("BUY", "SELL")

Row = tuple[int, int, int, int, int]  # kind, side, price, size, market


def check_folder(key: str, path: Path) -> None:
    """Refuse to write where something else is."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())) and not (path / MARK).is_file():
        raise ConfigError(key, str(path), "is not empty; a tape is written into a new or an empty folder")


def write_tape(data: FeedData, folder: Path) -> None:
    """Write markets.json, frames.jsonl.gz and the mark of a simulated tape; the same tape is left alone.

    Raises DataError where another tape is, or the folder cannot be written.
    """
    mark = {"simulated": True, "made_by": "pmrun", "source": data.info.source, "data_hash": data.info.data_hash}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            if _mark_of(folder) == mark:
                return
            raise DataError(f"{folder}: holds something else; a tape is written into a new or an empty folder")
        (folder / "markets.json").write_text(
            json.dumps([_gamma(market) for market in data.markets], indent=1, ensure_ascii=False), encoding="utf-8"
        )
        with (folder / "frames.jsonl.gz").open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as file:
            file.writelines(line.encode() for line in _lines(data))
        (folder / MARK).write_text(json.dumps(mark), encoding="utf-8")
    except OSError as error:
        raise DataError(f"{folder}: the tape cannot be written: {error}") from None


def _mark_of(folder: Path) -> Any:
    try:
        return json.loads((folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _gamma(market: Market) -> dict[str, Any]:
    """Return a market as Gamma lists it (reference 6.2), marked as simulated."""
    fees, rewards, ends = market.fees, market.rewards, market.ends_at
    return {
        "_simulated": True,
        "conditionId": market.condition,
        "version": "v1",
        "question": market.question,
        "slug": market.slug,
        "outcomes": json.dumps(market.outcomes),
        "clobTokenIds": json.dumps([market.yes, market.no]),
        "active": True,
        "closed": False,
        "archived": False,
        "acceptingOrders": market.accepting_orders,
        "enableOrderBook": True,
        "negRisk": market.neg_risk,
        "orderPriceMinTickSize": format_price(market.tick),
        "orderMinSize": format_size(market.min_order_size),
        "endDate": None if ends is None else datetime.fromtimestamp(ends / 1_000_000, UTC).isoformat(),
        "volume24hr": None if market.volume_24h is None else float(format_cash(market.volume_24h)),
        "liquidityNum": None if market.liquidity is None else float(format_cash(market.liquidity)),
        "feesEnabled": fees.rate_ppm > 0,
        "feeSchedule": {
            "rate": fees.rate_ppm / 1_000_000,
            "exponent": fees.exponent,
            "takerOnly": fees.taker_only,
            "rebateRate": fees.rebate_ppm / 1_000_000,
        },
        "rewardsMinSize": float(format_size(rewards.min_size)) if rewards else 0,
        "rewardsMaxSpread": rewards.max_spread / 100 if rewards else 0,
        "clobRewards": [{"rewardsDailyRate": float(format_cash(rewards.daily_rate))}] if rewards else [],
        "events": [{"slug": market.event}] if market.event else [],
    }


def _lines(data: FeedData) -> Iterator[str]:
    """Write every frame and note, in order of time; a note comes before the rows of its moment that it explains."""
    notes = sorted(data.notes, key=lambda note: (note.at, isinstance(note, StatusChanged)))
    for at, number, rows in _frames(data):
        while notes and (notes[0].at < at or (notes[0].at == at and _explains(notes[0], rows))):
            yield _line(notes[0].at, _note(notes.pop(0), data.markets))
        yield _line(Micros(at), _frame(at, number, rows, data.markets))
    for note in notes:
        yield _line(note.at, _note(note, data.markets))


def _explains(note: Fact, rows: list[Row]) -> bool:
    """Whether a frame is the book that follows a change of tick (reference 5.2)."""
    return isinstance(note, TickChanged) and rows[0][0] == SNAPSHOT and rows[0][4] == note.market


def _frames(data: FeedData) -> Iterator[tuple[int, int, list[Row]]]:
    """Return the rows of each frame: when, its number, and what it says."""
    columns = data.rows
    rows = zip(
        columns.at.tolist(), columns.frame.tolist(), columns.kind.tolist(), columns.side.tolist(),
        columns.price.tolist(), columns.size.tolist(), columns.market.tolist(), strict=True,
    )  # fmt: skip
    when, number, held = 0, 0, list[Row]()
    for at, frame, kind, side, price, size, market in rows:
        if frame != number and held:
            yield when, number, held
            held = []
        when, number = at, frame
        held.append((kind, side, price, size, market))
    if held:
        yield when, number, held


def _line(at: Micros, frame: dict[str, Any]) -> str:
    ms = at // 1_000
    return json.dumps({"t": ms, "m": {**frame, "timestamp": str(ms)}}, separators=(",", ":")) + "\n"


def _frame(at: int, number: int, rows: list[Row], markets: tuple[Market, ...]) -> dict[str, Any]:
    kind, side, price, size, market = rows[0]
    terms = markets[market]
    if kind == PRINT:
        return {
            "event_type": "last_trade_price",
            "market": terms.condition,
            "asset_id": terms.yes,
            "price": format_price(Price(price)),
            "size": format_size(Size(size)),
            "side": SIDES[side],
            "transaction_hash": f"simulated-{number}",  # two prints of a moment that look alike are two
        }
    if kind == LEVEL:
        changes = [{"asset_id": terms.yes, **_level(row), "side": SIDES[row[1]]} for row in rows]
        return {"event_type": "price_change", "market": terms.condition, "price_changes": changes}
    return {
        "event_type": "book",
        "market": terms.condition,
        "asset_id": terms.yes,
        "bids": [_level(row) for row in rows[:0:-1] if row[1] == 0],
        "asks": [_level(row) for row in rows[:0:-1] if row[1] == 1],
    }


def _level(row: Row) -> dict[str, str]:
    return {"price": format_price(Price(row[2])), "size": format_size(Size(row[3]))}


def _note(note: Fact, markets: tuple[Market, ...]) -> dict[str, Any]:
    if isinstance(note, TickChanged):
        terms = markets[note.market]
        return {
            "event_type": "tick_size_change",
            "market": terms.condition,
            "asset_id": terms.yes,
            "new_tick_size": format_price(note.tick),
        }
    if not isinstance(note, StatusChanged):
        raise DataError(f"a tape has no frame for {type(note).__name__}")
    terms = markets[note.market]
    won = 0 if note.settled_yes == ONE else 1
    return {
        "event_type": "market_resolved",
        "market": terms.condition,
        "assets_ids": [terms.yes, terms.no],
        "winning_asset_id": (terms.yes, terms.no)[won],
        "winning_outcome": terms.outcomes[won],
    }
