"""How well fills are foretold: the first half of a tape teaches, the second is foretold, with that and without.

`python benchmarks/calibration.py [--shared FOLDER] [--json]` runs `strategy=spread_mm` once over each feed. At its
middle what `adjust.calibration` carries is given to a fresh component, as a restart would. For every minute and market
of the second half it then says how many fills our quotes would have, by where they rested: by what the first half
taught, by the settings alone, and, as a yardstick, by the first half's one mean rate for all quotes wherever they rest.
Printed are the fills, the predictions, and their Poisson deviance a minute: the lower the better. A feed whose quotes
rest less than a minute in one of the halves says nothing, and is left out.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pmrun.plugins.adjust.calibration import Calibration
from pmrun.plugins.calibration.exposure import Counts
from pmrun.plugins.calibration.intensity import deviance, expected
from pmrun.plugins.calibration.resting import Resting
from pmrun.runner.assembly import Plan, plan
from pmrun.runner.compose import compose_config
from pmrun.runner.facts import BookChanged, Carried, Fact, Filled, Listed, OrderNews, each
from pmrun.runner.market import ConditionId, MarketNo
from pmrun.runner.simulate import Simulation
from pmrun.runner.units import SECOND, Micros

NODE = "adjust.calibration"
MINUTE = 60 * SECOND
RECORDED = ("books-and-prints-updown", "btc-15m-1hz", "raw-btc-5m", "mlb-pregame-1min")


class Window(NamedTuple):
    """What our quotes did in one market and one minute."""

    minute: int
    condition: ConditionId
    counts: Counts


class Result(NamedTuple):
    """What was foretold of the second half of a feed, and what came."""

    feed: str
    simulated: bool
    windows: int
    learned_fills: float
    fills: float
    calibrated: float
    prior: float
    flat: float
    calibrated_deviance: float
    prior_deviance: float
    flat_deviance: float

    @property
    def improved(self) -> float:
        """Return the share of the deviance that calibration takes away; below 0: it adds."""
        return 1 - self.calibrated_deviance / self.prior_deviance if self.prior_deviance else 0.0


class Minutes:
    """Keeps what our quotes did, minute by minute: an observer with counts of its own."""

    takes_together = True

    def __init__(self, desk: Any) -> None:
        self._desk = desk
        self._resting = Resting()
        self._conditions: dict[MarketNo, ConditionId] = {}
        self._minute: int | None = None
        self.windows: list[Window] = []

    def record(self, fact: Fact, intents: object) -> None:
        """Take one step of the desk."""
        for one in each(fact):
            self.pass_time(one.at)
            match one:
                case Listed():
                    self._conditions[one.market] = one.terms.condition
                case BookChanged():
                    self._resting.mid(one.market, one.book.mid_half if one.book.two_sided else None, one.at)
                case OrderNews() if one.order in self._desk.orders:
                    self._resting.news(self._desk.orders[one.order], one.at)
                case Filled() if one.order in self._desk.orders:
                    self._resting.filled(self._desk.orders[one.order], one.at)

    def pass_time(self, at: Micros) -> None:
        """Keep the minutes that ended."""
        self._minute = at // MINUTE if self._minute is None else self._minute
        while self._minute < at // MINUTE:
            self._resting.pass_time(Micros((self._minute + 1) * MINUTE))
            for no, watched in self._resting.markets.items():
                rested, fills = watched.take()
                if rested or fills:
                    self.windows.append(Window(self._minute, self._conditions[no], Counts(0, rested, fills)))
            self._minute += 1

    def close(self) -> None:
        """Nothing to finish."""


def judge(feed: str, overrides: list[str]) -> Result:
    """Run over a feed once; return what its first half foretells of its second."""
    made = plan(compose_config(["strategy=spread_mm", "exchange=paper", *overrides]))
    minutes, carried, half, simulated = _run(made)
    told = _fresh(made)
    told.observe(Carried(Micros(0), NODE, carried), None, None)
    prior = _fresh(made)
    rested = sum(value for key, value in carried.items() if key.startswith("all/rested/")) / SECOND
    learned = sum(value for key, value in carried.items() if key.startswith("all/fills/")) / 1e6
    sums = [0.0] * 7
    after = [window for window in minutes if window.minute > half // MINUTE]  # the minute at the middle is neither's
    for window in after:
        seen, fills = window.counts.seen(), window.counts.count
        ours, theirs = (expected(seen, by.intensity(window.condition)) for by in (told, prior))
        flat = window.counts.seconds * learned / rested if rested else 0.0
        parts = (fills, ours, theirs, flat, *(deviance(fills, each) for each in (ours, theirs, flat)))
        sums = [total + part for total, part in zip(sums, parts, strict=True)]
    return Result(feed, simulated, len(after), learned, *sums)


def _run(made: Plan) -> tuple[list[Window], dict[str, int], Micros, bool]:
    data = made.feed.open()
    desk = made.desk("calibration")
    exchange = made.executor.open(data, made.fill, made.depth(desk.hooks), not made.settings.gated)
    minutes = Minutes(desk)
    half = Micros((data.info.first_at + data.info.last_at) // 2)
    carried: dict[str, int] | None = None
    for now in Simulation(desk, exchange, [minutes], "the feed ended").run(every=1):
        if carried is None and now >= half:
            carried = dict(desk.hooks.carried()[NODE])
    return minutes.windows, carried or {}, half, data.info.simulated


def _fresh(made: Plan) -> Calibration:
    component = made.components[NODE]
    assert isinstance(component, Calibration)
    settings = {name: getattr(component, name) for name in Calibration.__dataclass_fields__ if not name.startswith("_")}
    return Calibration(**settings)


def feeds(shared: Path) -> Iterator[tuple[str, list[str]]]:
    """Return the feeds that are there, with what chooses them."""
    yield "tape=btc_15m", ["tape=btc_15m"]
    for name in RECORDED:
        if (shared / name).is_dir():
            yield name, ["feed=tape", f"feed.path={shared / name}"]
    for seed in (0, 1):
        yield f"feed=sim, seed {seed}", [f"seed={seed}"]


def main(arguments: list[str]) -> int:
    """Judge every feed; print the table."""
    parser = argparse.ArgumentParser(description="How well fills are foretold, with calibration and without.")
    parser.add_argument("overrides", nargs="*", help="as for a run")
    parser.add_argument("--shared", type=Path, default=Path(__file__).parents[2] / "shared" / "data" / "tapes")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_intermixed_args(arguments)
    results = []
    if not given.json:
        heads = (
            "minutes",
            "taught by",
            "fills",
            "foretold",
            "by prior",
            "flat",
            "deviance",
            "of prior",
            "flat",
            "better",
        )
        print(f"{'feed':24}", *(f"{head:>9}" for head in heads))
    for name, overrides in feeds(given.shared):
        result = judge(name, [*overrides, *given.overrides])
        if not result.windows:
            continue
        results.append(result)
        if not given.json:
            said = [f"{result.windows:9}", f"{result.learned_fills:9.0f}", f"{result.fills:9.0f}"]
            said += [f"{each:9.1f}" for each in (result.calibrated, result.prior, result.flat)]
            deviances = (result.calibrated_deviance, result.prior_deviance, result.flat_deviance)
            said += [f"{each / result.windows:9.3f}" for each in deviances]
            print(f"{name:24}", *said, f"{result.improved:9.0%}", flush=True)
    if given.json:
        print(json.dumps([{**result._asdict(), "improved": result.improved} for result in results], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
