"""The no-edge anchor: what each fill model earns in simulated markets where nothing can be earned.

    python benchmarks/no_edge.py [--seeds 200] [--fill MODEL ...] [--strategy reward_mm] [OVERRIDE ...]

Every trade on `feed=sim_no_edge` is at the expected payoff, itself included, and rewards are no part of PnL. A fill
model that is honest shows a mean PnL within noise of zero, or below it by what hedging pays for taking; one that shows
more, as `touch` does, invents its profit. With `~hedging` the shares are held to the end: more noise, so more seeds.
"""

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pmrun.plugins.feeds.sim.anchor import NoEdge
from pmrun.runner.assembly import Plan, plan
from pmrun.runner.compose import compose_config
from pmrun.runner.simulate import Simulation
from pmrun.runner.summary import Tally

FILLS = Path(__file__).resolve().parent.parent / "conf" / "fill"
QUIET = ("feed=sim_no_edge", "store=none", "report=none")


class Result(NamedTuple):
    """What one seed ended with."""

    pnl: float  # dollars
    fills: int


def models() -> list[str]:
    """Return the fill models there are."""
    return sorted(path.stem for path in FILLS.glob("*.yaml"))


def made(fill: str, overrides: Sequence[str] = (), strategy: str = "reward_mm") -> Plan:
    """Compose a run once, for all seeds."""
    return plan(compose_config([f"strategy={strategy}", "exchange=paper", *QUIET, f"fill={fill}", *overrides]))


def run(composed: Plan, seed: int) -> Result:
    """Run one seed with a fresh desk."""
    assert isinstance(composed.feed, NoEdge)
    feed = NoEdge(seed, composed.feed.markets, composed.feed.length, composed.feed.trade_gap)
    data, desk, tally = feed.open(), composed.desk("pmrun"), Tally()
    exchange = composed.executor.open(data, composed.fill, composed.depth(desk.hooks), not composed.settings.gated)
    for _ in Simulation(desk, exchange, [tally], "the feed ended").run():
        pass
    return Result((desk.equity() - tally.funds) / 1_000_000, tally.fills)


def runs(composed: Plan, seeds: range) -> Iterator[Result]:
    """Run many seeds."""
    for seed in seeds:
        yield run(composed, seed)


def error_of(values: Sequence[float]) -> float:
    """Return the standard error of a mean."""
    return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("inf")


def main() -> None:
    """Measure and print a line a fill model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--fill", action="append", help="a fill model; may be given again; default: all")
    parser.add_argument("--strategy", default="reward_mm")
    parser.add_argument("overrides", nargs="*", help="further settings, such as feed.markets=8")
    given = parser.parse_args()
    print("simulated markets without an edge: mean PnL over seeds, dollars a run")
    print(f"{'fill':<20} {'seeds':>5} {'fills':>7} {'mean':>9} {'std err':>8} {'t':>6} {'s/run':>6}")
    for model in given.fill or models():
        composed = made(model, given.overrides, given.strategy)
        started = time.perf_counter()
        results = list(runs(composed, range(given.seeds)))
        wall = (time.perf_counter() - started) / given.seeds
        values = [result.pnl for result in results]
        mean, error = statistics.fmean(values), error_of(values)
        fills = statistics.fmean(result.fills for result in results)
        print(
            f"{model:<20} {given.seeds:>5} {fills:>7.1f} {mean:>9.3f} {error:>8.3f} {mean / error:>6.1f} {wall:>6.2f}"
        )


if __name__ == "__main__":
    main()
