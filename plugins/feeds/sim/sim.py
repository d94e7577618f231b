"""The feed of simulated markets."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from pmrun.plugins.executors.kernel import PRINT, Rows
from pmrun.plugins.feeds.sim.flow import COLUMNS, Flow, flow
from pmrun.plugins.feeds.sim.plan import Plan
from pmrun.plugins.feeds.sim.terms import plans
from pmrun.plugins.feeds.sim.writer import check_folder, write_tape
from pmrun.runner.facts import Fact, MarketStatus, StatusChanged, TickChanged
from pmrun.runner.market import Market, MarketNo
from pmrun.runner.ports import FeedData, FeedInfo
from pmrun.runner.units import SECOND, Micros

START = Micros(1_790_000_000 * SECOND)  # 2026-09-21: any day would do, every run has the same
REMARK = "simulated markets: drawn from statistics of recorded ones, no recording"


def check_session(seed: int, markets: int, length: Micros) -> None:
    """Refuse a session that cannot be simulated; raises ValueError."""
    if not 0 <= seed < 2**63:
        raise ValueError("seed must be from 0 to 9,223,372,036,854,775,807")
    if not 1 <= markets <= 1_000:
        raise ValueError("markets must be from 1 to 1,000")
    if not 60 * SECOND <= length <= 86_400 * SECOND:
        raise ValueError("length must be from 60 to 86,400 seconds")


@dataclass(frozen=True, slots=True, eq=False)
class Simulated:
    """Markets that never were: the same seed and settings always give the same ones (C1).

    `markets` is their number, `length` how long they are watched, `jumps` scales how often fair value jumps. `save_to`
    names a new folder to write the session to, as a tape that `feed=tape` replays.
    """

    seed: int
    markets: int = 48
    length: Micros = Micros(7_200 * SECOND)
    jumps: float = 1.0
    save_to: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated."""
        check_session(self.seed, self.markets, self.length)
        if not 0 <= self.jumps <= 100:
            raise ValueError("jumps must be from 0 to 100")
        if self.save_to == "":
            raise ValueError("save_to must name a folder, or be null")

    def check(self) -> None:
        """Refuse to write over something, before anything starts."""
        if self.save_to is not None:
            check_folder("feed.save_to", Path(self.save_to))

    def plans(self) -> list[Plan]:
        """Draw the markets, before anything happens in them."""
        return plans(self.seed, self.markets, START, self.length, self.jumps)

    def open(self) -> FeedData:
        """Draw the markets and let them happen."""
        drawn = self.plans()
        flows = [flow(plan, generator(self.seed, 2, number), START, self.length) for number, plan in enumerate(drawn)]
        data = assembled("sim", f"seed {self.seed}", drawn, flows, ())
        if self.save_to is not None:
            write_tape(data, Path(self.save_to))
        return data


def generator(seed: int, *which: int) -> np.random.Generator:
    """Return the random numbers of one part of one seed."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *which])))


def assembled(name: str, source: str, drawn: list[Plan], flows: list[Flow], remarks: tuple[str, ...]) -> FeedData:
    """Put simulated markets together as a feed."""
    rows, notes = merged(drawn, flows), _notes(flows)
    markets = tuple(plan.market for plan in drawn)
    return FeedData(
        markets=markets,
        steps=tuple(
            int(plan.step if found.ticks else plan.market.tick) for plan, found in zip(drawn, flows, strict=True)
        ),
        rows=rows,
        notes=notes,
        info=FeedInfo(
            name=name,
            source=source,
            simulated=True,
            data_hash=data_hash(markets, rows, notes),
            frames=int(rows.frame[-1]),
            prints=int((rows.kind == PRINT).sum()),
            first_at=Micros(int(rows.at[0])),
            last_at=Micros(max(int(rows.at[-1]), *(int(note.at) for note in notes), 0)),
            remarks=(REMARK, *remarks),
        ),
    )


def merged(drawn: list[Plan], flows: list[Flow]) -> Rows:
    """Put the markets' rows in order of time and number the frames."""
    tables = [np.array(found.rows, np.int64).reshape(-1, COLUMNS) for found in flows]
    table = np.concatenate(tables)
    market = np.repeat(np.arange(len(tables)), [len(one) for one in tables])
    step = np.array([int(plan.step) for plan in drawn], np.int64)[market]
    order = np.argsort(table[:, 0], kind="stable")
    table, market, step = table[order], market[order], step[order]
    new = np.ones(len(table), np.int64)
    new[1:] = (table[1:, 5] != table[:-1, 5]) | (market[1:] != market[:-1])
    at = START + table[:, 0] * 1_000
    return Rows(
        at,
        at,
        np.cumsum(new),
        market.astype(np.int32),
        table[:, 1].astype(np.uint8),
        table[:, 2].astype(np.uint8),
        (table[:, 3] * step).astype(np.int32),
        np.ascontiguousarray(table[:, 4]),
    )


def _notes(flows: list[Flow]) -> tuple[Fact, ...]:
    notes: list[Fact] = []
    for number, found in enumerate(flows):
        market = MarketNo(number)
        notes += [TickChanged(Micros(START + ms * 1_000), market, tick) for ms, tick in found.ticks]
        if found.settled:
            ms, paid = found.settled
            notes.append(StatusChanged(Micros(START + ms * 1_000), market, MarketStatus.RESOLVED, paid))
    return tuple(sorted(notes, key=lambda note: note.at))


def data_hash(markets: tuple[Market, ...], rows: Rows, notes: tuple[Fact, ...]) -> str:
    """Return the SHA-256 of everything a feed says."""
    digest = hashlib.sha256(msgspec.json.encode([markets, notes]))
    for column in rows:
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()
