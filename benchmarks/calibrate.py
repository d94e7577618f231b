"""Recomputes what the simulated markets are calibrated on, from recorded data, as quantile tables.

    python benchmarks/calibrate.py [--data ../shared/data] [--write | --table SEED]

Prints the statistics, or writes them to plugins/feeds/sim/calibration.json; or prints those of simulated markets beside
them. Only quantiles, shares and counts leave the
recordings: no record of theirs can be told from them.
"""

import argparse
import gzip
import json
import math
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import numpy as np

from pmrun.plugins.feeds.sim.sim import Simulated
from pmrun.plugins.feeds.sim.table import compare, markdown, moves

PROBABILITIES = (0, 0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99, 1)
RANKS = 8
OUT = Path(__file__).resolve().parent.parent / "plugins" / "feeds" / "sim" / "calibration.json"
FAR = ("7–30d", ">30d", "no end")  # ends in a week or later

Side = list[tuple[float, float]]


def table(values: list[float]) -> list[float]:
    """Return the quantiles at PROBABILITIES, to six digits."""
    return [float(f"{value:.6g}") for value in np.quantile(np.array(values, float), PROBABILITIES)]


def lines(path: Path) -> Iterator[dict]:
    """Read a compressed file of one JSON object a line."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def loaded(path: Path) -> object:
    """Read a compressed JSON file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return json.load(file)


def sides(book: dict) -> tuple[Side, Side]:
    """Return bids and asks, best first."""
    bids = sorted(((float(x["price"]), float(x["size"])) for x in book["bids"]), reverse=True)
    return bids, sorted((float(x["price"]), float(x["size"])) for x in book["asks"])


class Shapes:
    """Collects what books look like."""

    def __init__(self) -> None:
        self.spread: list[float] = []
        self.size: dict[int, list[float]] = defaultdict(list)
        self.gap: dict[int, list[float]] = defaultdict(list)

    def add(self, bids: Side, asks: Side, tick: float) -> None:
        """Take one book; spreads are in cents, gaps in ticks."""
        self.spread.append(round(100 * (asks[0][0] - bids[0][0]), 4))
        for levels in (bids, asks):
            for rank, (price, size) in enumerate(levels[:RANKS]):
                self.size[rank].append(size)
                if rank:
                    self.gap[rank].append(round(abs(price - levels[rank - 1][0]) / tick, 4))

    def tables(self, source: str) -> dict:
        """Return the quantiles of all."""
        return {
            "source": source,
            "books": len(self.spread),
            "spread_cents": table(self.spread),
            "size": [table(self.size[rank]) for rank in range(RANKS)],
            "gap_ticks": [table(self.gap[rank]) for rank in range(1, RANKS)],
        }


def taped(folder: Path) -> tuple[dict, dict[str, list[tuple[int, float]]]]:
    """Return the books of a tape's YES tokens, how their levels change, and the prints of each market."""
    yes = {json.loads(market["clobTokenIds"])[0] for market in json.loads((folder / "markets.json").read_text())}
    shapes, changed = Shapes(), defaultdict(list)
    before: dict[str, tuple[int, Side, Side]] = {}
    moved, waited, prints, mids = [], [], defaultdict(list), defaultdict(list)
    for line in lines(folder / "frames.jsonl.gz"):
        frame = line["m"]
        if frame["event_type"] == "last_trade_price":
            prints[frame["market"]].append((int(frame["timestamp"]), float(frame["size"])))
        if frame["event_type"] != "book" or frame["asset_id"] not in yes:
            continue
        bids, asks = sides(frame)
        if not bids or not asks:
            continue
        shapes.add(bids, asks, 0.01)
        token = frame["asset_id"]
        mids[token].append((line["t"] / 1000, 50 * (bids[0][0] + asks[0][0])))
        if token in before:
            then, old_bids, old_asks = before[token]
            waited.append((line["t"] - then) / 1000)
            moved.append(bids[0][0] + asks[0][0] != old_bids[0][0] + old_asks[0][0])
            for old, new in ((old_bids, bids), (old_asks, asks)):
                for rank in range(min(RANKS, len(old), len(new))):
                    changed[rank].append(old[rank] != new[rank])
        before[token] = (line["t"], bids, asks)
    found = shapes.tables(f"tapes/{folder.name}")
    found["changed"] = [round(float(np.mean(changed[rank])), 4) for rank in range(RANKS)]
    found["mid_moved"] = round(float(np.mean(moved)), 4)
    found["half_hour_cents"] = round(float(np.std(half_hours(mids.values()))), 4)
    found["seconds_between"] = round(float(np.median(waited)), 3)
    return found, prints


def half_hours(markets: Iterable[list[tuple[float, float]]]) -> list[float]:
    """Return how far each market's mid is from where it was half an hour before, in cents."""
    found = [0.0]
    for seen in markets:
        times = [at for at, _ in seen]
        for at, mid in seen:
            later = bisect_left(times, at + 1_800)
            if later < len(times) and times[later] < at + 2_100:
                found.append(seen[later][1] - mid)
    return found


def rest(folder: Path) -> dict:
    """Return the books of the REST answers that a maker could quote in: one of each market, a tick from the ends."""
    shapes, seen = Shapes(), set()
    for answer in lines(folder / "books_run_20260311T214149Z.jsonl.gz"):
        for book in answer["books"]:
            bids, asks = sides(book)
            if book["market"] in seen or not bids or not asks:
                continue
            seen.add(book["market"])
            if asks[0][0] - bids[0][0] <= 0.055 and 0.04 < (asks[0][0] + bids[0][0]) / 2 < 0.96:
                shapes.add(bids, asks, float(book["tick_size"]))
    return shapes.tables("rest-books/books_run, one book a market, spread up to 5 cents")


def gaps(prints: dict[str, list[tuple[int, float]]]) -> list[float]:
    """Return the seconds between the prints of each market."""
    return [gap for seen in prints.values() for gap in np.diff(sorted(at for at, _ in seen)) / 1000]


def shares(values: list) -> dict[str, float]:
    """Return how often each value comes."""
    return {str(value): round(count / len(values), 4) for value, count in sorted(Counter(values).items())}


def terms_of(rows: list[dict], what: str) -> dict:
    """Return the terms of rewarded markets."""
    return {
        "source": f"rewards-universe/rewards_snapshot, {what}",
        "rows": len(rows),
        "spread_cents": table([row["sp"] for row in rows]),
        "mid": table([row["mp"] for row in rows]),
        "min_size": shares([row["ms"] for row in rows]),
        "daily_rate": table([row["rw"] for row in rows]),
        "volume_24h": table([row["vn"] for row in rows]),
        "liquidity": table([row["lq"] for row in rows]),
        "ends_in": shares([row["rb"] for row in rows]),
    }


def rewarded(folder: Path) -> dict:
    """Return the terms of all rewarded markets with a book, and of those that trade and are a maker's choice."""
    snapshot = loaded(folder / "rewards_snapshot_20260703_half.json.gz")
    rows = [row for row in snapshot["markets"] if row["sp"] is not None and row["mp"] is not None]
    wanted = [row for row in rows if row["vn"] >= 10_000 and row["rw"] >= 5 and row["rb"] in FAR and row["sp"] <= 5]
    sampled = loaded(folder / "sampling_markets_500of1000.json.gz")["data"]
    spreads = [row["rewards"]["max_spread"] for row in sampled]
    small = [row["rewards"]["max_spread"] for row in sampled if row["rewards"]["min_size"] <= 20]
    return {
        "scanned": terms_of(rows, "all with a book"),
        "traded": terms_of(wanted, "$10,000 a day or more, a week or more to go, $5 a day, spread up to 5 cents"),
        "max_spread_cents": {
            "source": "rewards-universe/sampling_markets",
            "all": shares(spreads),
            "small": shares(small),
        },
    }


def listed(folder: Path) -> dict:
    """Return volumes, ends and ticks of listed markets."""
    volumes, days, ticks = [], [], []
    for page in lines(folder / "gamma_pages.jsonl.gz"):
        now = datetime.fromisoformat(page["run_ts"])
        for market in page["markets"]:
            volumes.append(market.get("volume24hr") or 0)
            ticks.append(market["orderPriceMinTickSize"])
            if market.get("endDate"):
                end = datetime.fromisoformat(market["endDate"].replace("Z", "+00:00"))
                days.append((end - now).total_seconds() / 86_400)
    return {
        "source": "gamma-markets",
        "rows": len(volumes),
        "volume_24h": table(volumes),
        "days_to_end": table([day for day in days if day > 0]),
        "tick": shares(ticks),
    }


def traded(folder: Path) -> dict:
    """Return the sizes and the worth of the trades outside short-lived markets."""
    trades = loaded(folder / "data_api_trades_20260228_anon_half.json.gz")
    rows = [trade for trade in trades if "Up or Down" not in trade["title"]]
    worth = sorted(trade["size"] * trade["price"] for trade in rows)
    return {
        "source": "trades/data_api_trades, without up-or-down markets",
        "prints": len(rows),
        "size": table([trade["size"] for trade in rows]),
        "mean_dollars": round(float(np.mean(worth[: int(0.99 * len(worth))])), 4),  # without the largest hundredth
    }


def orders(folder: Path) -> dict:
    """Return how single orders change levels, where every change was recorded."""
    book: dict[tuple[str, str, str], float] = {}
    placed, cancelled = [], []
    for line in lines(folder / "frames.jsonl.gz"):
        for frame in line["m"] if isinstance(line["m"], list) else [line["m"]]:
            token = frame.get("asset_id")
            if frame["event_type"] == "book":
                for name, side in (("bids", "BUY"), ("asks", "SELL")):
                    book.update({(token, side, x["price"]): float(x["size"]) for x in frame[name]})
            for change in frame.get("price_changes", [])[:1]:  # the second is its mirror
                key = (change["asset_id"], change["side"], change["price"])
                size = float(change["size"]) - book.get(key, 0.0)
                book[key] = float(change["size"])
                if not math.isclose(size, 0, abs_tol=1e-9):
                    (placed if size > 0 else cancelled).append(abs(round(size, 6)))
    return {
        "source": f"tapes/{folder.name}",
        "placed": table(placed),
        "cancelled": table(cancelled),
        "cancel_share": round(len(cancelled) / (len(placed) + len(cancelled)), 4),
    }


def calibration(data: Path) -> dict:
    """Recompute everything."""
    deep, _ = taped(data / "tapes" / "mlb-pregame-1min")
    busy, prints = taped(data / "tapes" / "books-and-prints-updown")
    apart = gaps(prints)
    return {
        "note": "derived statistics of recordings: quantiles, shares, counts; simulated markets are drawn from them",
        "probabilities": list(PROBABILITIES),
        "books": {"deep": deep, "quiet": rest(data / "rest-books"), "busy": busy},
        "prints": {
            "quiet": traded(data / "trades"),
            "busy": {
                "source": "tapes/books-and-prints-updown",
                "prints": len(apart) + len(prints),
                "size": table([size for seen in prints.values() for _, size in seen]),
                "gap_seconds": table(apart),
                "gap_mean": round(float(np.mean(apart)), 4),
            },
        },
        "orders": orders(data / "tapes" / "raw-btc-5m"),
        "rewards": rewarded(data / "rewards-universe"),
        "listed": listed(data / "gamma-markets"),
    }


def main() -> None:
    """Print the statistics, or write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--write", action="store_true", help=f"write {OUT.name} instead of printing")
    parser.add_argument(
        "--table", type=int, metavar="SEED", help="compare simulated markets of a seed with the recorded"
    )
    given = parser.parse_args()
    if given.table is not None:
        print(markdown([*compare(Simulated(given.table)), *moves(range(given.table, given.table + 6))]))
        return
    text = dumped(calibration(given.data))
    if given.write:
        OUT.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


def dumped(found: dict) -> str:
    """Write with one list a line."""
    text = json.dumps(found, indent=1, ensure_ascii=False)
    return re.sub(r"\[\s+([-+\d.eE,\s]+?)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m[1]) + "]", text) + "\n"


if __name__ == "__main__":
    main()
