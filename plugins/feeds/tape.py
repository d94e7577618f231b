"""Replays a recorded tape: raw frames, through the parser that the live feed uses."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pmrun.plugins.exchanges.common.market_news import (
    BookSeen,
    LevelChange,
    LevelsSeen,
    MarketResolved,
    News,
    PrintSeen,
    TickSeen,
)
from pmrun.plugins.exchanges.polymarket.wire import parse_frame
from pmrun.plugins.exchanges.polymarket.wire_gamma import parse_gamma_markets
from pmrun.plugins.feeds.rows import RowBuilder
from pmrun.plugins.feeds.tape_lines import Line, decode_line, lines_to_the_cut, was_killed, whole_lines
from pmrun.runner.errors import ConfigError, DataError, ProtocolViolation
from pmrun.runner.facts import Fact, MarketStatus, StatusChanged, TickChanged
from pmrun.runner.grid import Grid
from pmrun.runner.market import Market, MarketNo, Outcome, TokenId
from pmrun.runner.packs import resource_path
from pmrun.runner.ports import FeedData, FeedInfo
from pmrun.runner.units import ONE, Micros, Price

FRAME_FILES = ("frames.jsonl.gz", "frames.jsonl")
MILLISECOND = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """A folder with `markets.json` (Gamma objects) and `frames.jsonl.gz` (one line a frame, in order of arrival).

    `path` is a folder, or `pkg://package.name/folder` for one that a package ships. A frame is taken to arrive when it
    was received, but never before the latest exchange time seen so far (a recording may have rounded its own clock).

    Where frames are marked as missing, the books of their markets are empty until the next snapshot. A recording that
    was killed is read up to where it is cut off.
    """

    path: str

    def __post_init__(self) -> None:
        """Refuse an empty path."""
        if not self.path:
            raise ValueError("path must name a tape folder")

    def check(self) -> None:
        """Refuse a folder that is no tape, before anything starts."""
        self._files()

    def _files(self) -> tuple[Path, Path]:
        folder = resource_path(self.path)
        if not folder.is_dir():
            raise ConfigError("feed.path", self.path, "no such folder; a tape is a folder with markets.json and frames")
        frames = next((folder / name for name in FRAME_FILES if (folder / name).is_file()), None)
        listing = folder / "markets.json"
        if frames is None or not listing.is_file():
            missing = "markets.json" if frames is not None else " or ".join(FRAME_FILES)
            raise ConfigError("feed.path", self.path, f"not a tape: {missing} is missing")
        return listing, frames

    def open(self) -> FeedData:
        """Read the whole tape; raises ConfigError when it is not there, DataError when it is damaged."""
        listing, frames = self._files()
        markets = _read_markets(listing)
        return _Compiler(self.path, markets).run(frames, _hash(listing, frames), _licence(listing.parent))


def _read_markets(path: Path) -> tuple[Market, ...]:
    try:
        markets = parse_gamma_markets(path.read_bytes())
    except (ProtocolViolation, msgspec.DecodeError, OSError, ValueError) as error:
        raise DataError(f"{path}: not a list of markets: {error}") from None
    if not markets:
        raise DataError(f"{path}: lists no market")
    return markets


def _hash(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _licence(folder: Path) -> str:
    path = folder / "LICENCE.txt"
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


class _Compiler:
    """Turns frames into rows, and what is neither book nor print into notes."""

    def __init__(self, source: str, markets: tuple[Market, ...]) -> None:
        self._source = source
        self._markets = markets
        self._tokens: dict[TokenId, tuple[int, Outcome]] = {}
        for number, market in enumerate(markets):
            for outcome in Outcome:
                self._tokens[market.token(outcome)] = (number, outcome)
        self._grids = [Grid(market.tick) for market in markets]
        self._last_seen: list[Micros | None] = [None] * len(markets)
        self._rows = RowBuilder()
        self._notes: list[Fact] = []
        self._stamps = [Micros(-(2**62))] * len(markets)  # the latest exchange time told of each book
        # Markets without a book since a gap, and the levels told of them meanwhile.
        self._missing: dict[int, list[tuple[Micros, Outcome, LevelChange]]] = {}
        self._seen_frames: set[bytes] = set()
        self._seen_prints: set[PrintSeen] = set()
        self._counts: Counter[str] = Counter()
        self._unknown: Counter[str] = Counter()
        self._now = Micros(0)
        self._latest = Micros(0)

    def run(self, path: Path, data_hash: str, licence: str) -> FeedData:
        """Read all frames; raises DataError naming the line that cannot be read."""
        killed = path.suffix == ".gz" and was_killed(path.parent)
        self._counts["killed"] = killed
        first: Micros | None = None
        for number, line in enumerate(lines_to_the_cut(path) if killed else whole_lines(path), 1):
            try:
                frame = decode_line(line)
                raw = bytes(frame.m)
                if not raw:
                    self._take_gap(frame, number)
                    continue
                parsed = parse_frame(raw)
            except (msgspec.DecodeError, ProtocolViolation) as error:
                raise DataError(f"{path}: line {number}: {error}") from None
            self._counts["frames"] += 1
            self._unknown.update(parsed.unknown)
            self._counts["duplicates"] += self._is_duplicate(raw)
            stamps = [news.at for news in parsed.news]
            self._counts["late"] += bool(stamps) and max(stamps) < self._latest
            self._latest = max([self._latest, *stamps])
            self._now = max(self._now, self._latest, Micros(frame.t * MILLISECOND))
            first = self._now if first is None else first
            for news in parsed.news:
                self._take(news, number)
        if first is None:
            raise DataError(f"{path}: holds no frame")
        return self._finish(first, data_hash, licence)

    def _take_gap(self, line: Line, number: int) -> None:
        """Empty the books of the markets whose frames are missing, until the next snapshot of each.

        The row carries the latest time told of its book, so that it wipes out every level and no later snapshot.
        """
        if line.gap is None:
            raise msgspec.ValidationError("a line holds a frame `m` or a `gap`")
        self._now = max(self._now, Micros(line.t * MILLISECOND))
        self._counts["gaps"] += line.gap.until is None
        for market, terms in enumerate(self._markets):
            if line.gap.markets is None or terms.condition in line.gap.markets:
                self._missing[market] = []
                if self._stamps[market] > 0:
                    self._rows.book(self._now, self._stamps[market], number, market, Outcome.YES, (), ())

    def _is_duplicate(self, frame: bytes) -> bool:
        """Whether the same bytes came before; harmless for books and levels, which say how things are."""
        digest = hashlib.blake2b(frame, digest_size=16).digest()
        known = digest in self._seen_frames
        self._seen_frames.add(digest)
        return known

    def _take(self, news: News, frame: int) -> None:
        match news:
            case BookSeen():
                self._take_book(news, frame)
            case LevelsSeen():
                for change in news.changes:
                    where = self._where(change.token)
                    if where:
                        self._refine(where[0], [change.price] if change.size else [], None)
                        self._take_level(where[0], news.at, where[1], change, frame)
            case PrintSeen():
                self._take_print(news, frame)
            case TickSeen():
                where = self._where(news.token)
                if where:
                    self._set_tick(where[0], Grid(news.new), inferred=False)
            case MarketResolved():
                self._resolved(news)
            case _:
                self._counts["other"] += 1

    def _take_book(self, news: BookSeen, frame: int) -> None:
        where = self._where(news.token)
        if where is None:
            return
        market, outcome = where
        self._refine(market, [price for price, _ in news.bids + news.asks], news.tick)
        self._rows.book(self._now, news.at, frame, market, outcome, news.bids, news.asks)
        if news.at >= self._stamps[market]:
            self._stamps[market] = news.at
            for at, of, change in self._missing.pop(market, ()):  # they were told before it, and may be newer
                self._add_level(market, at, of, change, frame)

    def _take_level(self, market: int, at: Micros, outcome: Outcome, change: LevelChange, frame: int) -> None:
        if market in self._missing:
            self._missing[market].append((at, outcome, change))
        else:
            self._add_level(market, at, outcome, change, frame)

    def _add_level(self, market: int, at: Micros, outcome: Outcome, change: LevelChange, frame: int) -> None:
        self._stamps[market] = max(self._stamps[market], at)
        self._rows.level(self._now, at, frame, market, outcome, change.side, change.price, change.size)

    def _take_print(self, news: PrintSeen, frame: int) -> None:
        if news in self._seen_prints:
            return  # a print says what happened: told twice, it happened once
        self._seen_prints.add(news)
        where = self._where(news.token)
        if where:
            self._counts["prints"] += 1
            self._rows.trade(self._now, news.at, frame, *where, news.taker_side, news.price, news.size)

    def _where(self, token: TokenId) -> tuple[int, Outcome] | None:
        found = self._tokens.get(token)
        if found is None:
            self._counts["unlisted"] += 1
        else:
            self._last_seen[found[0]] = self._now
        return found

    def _refine(self, market: int, prices: list[Price], declared: Price | None) -> None:
        """Take a declared tick, or infer a finer one from a level off the grid."""
        if declared is not None and declared != self._grids[market].tick:
            self._set_tick(market, Grid(declared), inferred=False)
        finer = self._grids[market].refined_by(prices)
        if finer.tick != self._grids[market].tick:
            self._counts["inferred_ticks"] += 1
            self._set_tick(market, finer, inferred=True)

    def _set_tick(self, market: int, grid: Grid, inferred: bool) -> None:
        if grid.tick != self._grids[market].tick:
            self._grids[market] = grid
            self._notes.append(TickChanged(self._now, MarketNo(market), grid.tick, inferred))

    def _resolved(self, news: MarketResolved) -> None:
        for number, market in enumerate(self._markets):
            if market.condition == news.condition:
                paid = {market.yes: ONE, market.no: Price(0)}.get(news.winning_token or TokenId(""))
                self._notes.append(StatusChanged(self._now, MarketNo(number), MarketStatus.RESOLVED, paid))

    def _finish(self, first: Micros, data_hash: str, licence: str) -> FeedData:
        rows = self._rows.build()
        self._add_ends()
        return FeedData(
            markets=self._markets,
            steps=self._steps(rows),
            rows=rows,
            notes=tuple(sorted(self._notes, key=lambda note: note.at)),
            info=FeedInfo(
                name="tape",
                source=self._source,
                simulated=any(market.simulated for market in self._markets),
                data_hash=data_hash,
                frames=self._counts["frames"],
                prints=self._counts["prints"],
                first_at=first,
                last_at=self._now,
                duplicates=self._counts["duplicates"],
                unlisted=self._counts["unlisted"],
                late=self._counts["late"],
                unknown=dict(self._unknown),
                inferred_ticks=self._counts["inferred_ticks"],
                remarks=tuple(self._remarks()),
                licence=licence,
            ),
        )

    def _remarks(self) -> list[str]:
        assumed = sorted({name for market in self._markets for name in market.assumed})
        remarks = [f"assumed, not recorded: {', '.join(assumed)}"] if assumed else []
        if self._counts["gaps"]:
            remarks.append(
                f"gaps in the recording: {self._counts['gaps']}; books are empty from each until their next snapshot"
            )
        if self._counts["killed"]:
            remarks.append("the recording was killed: it is read up to where it is cut off")
        return remarks

    def _steps(self, rows: object) -> tuple[int, ...]:
        """Return the finest tick each market ever had here: what its book is stored with."""
        finest = [min(grid.tick, market.tick) for grid, market in zip(self._grids, self._markets, strict=True)]
        for note in self._notes:
            if isinstance(note, TickChanged):
                finest[note.market] = min(finest[note.market], note.tick)
        return tuple(finest)

    def _add_ends(self) -> None:
        """End the markets that end on the tape; what they paid is told where the recording knows it."""
        ended = {note.market for note in self._notes if isinstance(note, StatusChanged)}
        for number, market in enumerate(self._markets):
            last = self._last_seen[number]
            if market.ends_at is None or last is None or number in ended or market.ends_at > self._now:
                continue
            status = MarketStatus.CLOSED if market.settled_yes is None else MarketStatus.RESOLVED
            at = max(market.ends_at, last)
            self._notes.append(StatusChanged(at, MarketNo(number), status, market.settled_yes))
