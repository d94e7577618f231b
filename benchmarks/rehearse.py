"""Live trading rehearsed against the embedded exchange, with everything going wrong: what is promised, and is it kept?

    python benchmarks/rehearse.py [--seeds 5] [--hours 2] [--faults everything] [--kills 200 | --kills every] [--json]

Each seed is a session of `strategy=reward_mm exchange=live` on a virtual clock, in one process; the same seed gives the
same session. With `--kills`, sessions are killed as kill -9 does: at so many random moments, or at every await on the
order path. The exit code is 1 where a promise was broken, or a fault or kill point never fired. All of it is simulated.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "exchanges"))

import trio  # noqa: E402
from killing import (  # noqa: E402
    TROUBLES,
    Beside,
    Killing,
    Wanted,
    awaits_of,
    covered,
    played,
    random_moments,
    shortly,
)
from rehearsal import AT_THE_TOUCH, KEY, LIVELY, WALLET, Rehearsal, lively_feed  # noqa: E402
from verdicts import blind_seconds, complaints, halts  # noqa: E402

from pmrun.plugins.exchanges.embedded.fault_script import load_script, read_script  # noqa: E402
from pmrun.plugins.exchanges.embedded.faults import Faults  # noqa: E402
from pmrun.plugins.exchanges.embedded.modes import Mode  # noqa: E402
from pmrun.plugins.exchanges.polymarket import account, accounting, exchange, heart, looking, start, trading  # noqa: E402
from pmrun.runner.market import Outcome  # noqa: E402
from pmrun.runner.units import SECOND, Cash, Micros, Side, complement  # noqa: E402

# Besides the script: only orders that take feel post-only mode, and those come when something was filled.
EXTRA: list[dict[str, Any]] = [
    {"fault": "post_only", "every": 900, "jitter": 60, "for": 120},
    {"fault": "rate_limited", "every": 300, "for": 5, "retry_after": 2},
    {"fault": "retrying_trade", "every": 300},
]
SPEED = 6  # seconds of the simulated markets in one of the session
LONGEST = 40.0  # seconds that a run waits for its kill point
SHORT = 24.0  # seconds of a run that is to come by a certain await
TRIES = 4  # that a kill point is waited for


def session(seed: int, hours: float, script: str, folder: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """Play one session to its end; return what is reported of it."""
    seconds = hours * 3_600
    faults = Faults([*load_script(script), *read_script(EXTRA)], seed)
    run = Rehearsal(lively_feed(seed, 12, seconds, SPEED), folder, [*LIVELY, *overrides], faults, seed=seed)
    began = time.process_time()
    summary = run.together(seconds=seconds)
    return {
        "seed": seed,
        "cpu_s": round(time.process_time() - began, 1),
        "complaints": complaints(run),
        "may_rest": summary["may_rest"],
        "orders": summary["orders"]["placed"],
        "fills": summary["fills"]["count"],
        "fills_failed": summary["fills"]["failed"],
        "fired": dict(run.host.fired),
        "halts": dict(halts(run)),
        "seconds_without_quotes": run.bare,
        "seconds_blind": blind_seconds(run),
        "remarks": summary["remarks"],
    }


def rehearsed(seed: int, folder: Path) -> Killing:
    """Return an exchange, and an engine that is to be killed."""
    feed = lively_feed(seed, 4, 14_000, SPEED)
    faults = Faults(read_script(TROUBLES), seed)
    return Killing(Rehearsal(feed, folder, [*LIVELY, *AT_THE_TOUCH, "log.file=OFF"], faults, seed=seed))


def provocations(killing: Killing) -> list[Beside]:
    """Return what makes a run come by awaits that are rare: it ends while money, cancels or lists are in doubt."""
    run = killing.run

    async def money_comes_from_elsewhere() -> None:
        await trio.sleep(SHORT - 0.5)
        run.engine.deposit(WALLET, Cash(1_000_000), run.now())

    async def cancels_are_refused() -> None:
        await trio.sleep(SHORT - 1)
        run.host.set_mode(Mode.DISABLED, Micros(run.now() + 14 * SECOND))

    async def nothing_is_listed() -> None:
        await trio.sleep(SHORT - 1)
        run.gate.broken |= {"GET /data/orders", "DELETE /cancel-all"}
        await trio.sleep(5)
        run.gate.broken.clear()

    async def somebody_trades_at_the_start() -> None:
        for order_id in run.resting():
            order = run.engine.order(order_id)
            assert order is not None
            market = next(no for no, each in enumerate(run.engine.markets) if each.condition == order.condition)
            buys = (order.side is Side.BUY) == (order.outcome is Outcome.YES)
            price = order.price if order.outcome is Outcome.YES else complement(order.price)
            run.engine.crowd_take(market, Side.SELL if buys else Side.BUY, price, order.size, run.now())

    return [somebody_trades_at_the_start, money_comes_from_elsewhere, cancels_are_refused, nothing_is_listed]


def killed(count: int | None, seed: int, folder: Path) -> dict[str, Any]:
    """Kill at so many random moments, or at every await that a session without kills came by; each restart is checked.

    What came in the session without kills and does not come again in a few tries is missed.
    """
    killing = rehearsed(seed, folder)
    random = Random(f"occurrences {seed}")

    async def random_scene() -> None:
        wanted = random_moments(2 * (count or 0), seed, checked=True)
        while wanted and killing.kinds.total() < (count or 0):
            await killing.until_killed(wanted.pop(), LONGEST)
            await trio.sleep(random.uniform(0.01, 3))
        await killing.rounds([], LONGEST, LONGEST)

    async def every_scene() -> None:
        for beside in (None, *provocations(killing), None):
            await killing.until_killed(None, SHORT, beside)
            for kind in [each for each in killing.switch.ever if each not in killing.kinds]:
                for attempt in range(TRIES):
                    times = random.randint(1, min(killing.switch.ever[kind], 5)) if attempt == 0 else 1
                    if await killing.until_killed(Wanted(kind, times, checked=attempt == 0), SHORT, beside):
                        break
        await killing.rounds([], LONGEST, LONGEST)
        killing.missed += [Wanted(kind) for kind in killing.switch.ever if kind not in killing.kinds]

    began = time.process_time()
    played(killing, random_scene if count is not None else every_scene)
    places = awaits_of(trading, looking, heart, exchange, accounting, account, start) if count is None else {}
    return {
        "cpu_s": round(time.process_time() - began, 1),
        "kills": killing.kinds.total(),
        "restarts_checked": killing.checks,
        "starts_refused": killing.refused_starts,
        "complaints": killing.complaints,
        "missed": [shortly(each.kind) for each in killing.missed if each.kind],
        "kinds": _by_short_name(killing.kinds),
        "awaits": {place: covered(place, lines, killing.kinds) for place, lines in places.items()},
        "orders": len(killing.run.placed()),
        "trades": len(killing.run.trades()),
    }


def _by_short_name(kinds: Counter[str]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for kind, times in kinds.items():
        found[shortly(kind)] += times
    return dict(found.most_common())


def problems(found: dict[str, Any], script: str) -> Iterator[str]:
    """Name everything for which the exit code is 1."""
    for one in found["sessions"]:
        for verdict, said in one["complaints"].items():
            yield from (f"seed {one['seed']}: {verdict}: {each}" for each in said)
        yield from (f"seed {one['seed']}: may rest: {each}" for each in one["may_rest"])
    if found["sessions"]:
        names = {fault.name.value for fault in load_script(script)}
        yield from (f"the fault {name} never fired" for name in sorted(names) if not found["fired"].get(name))
    for name, one in found["kills"].items():
        yield from (f"kills, {name}: {each}" for each in one["complaints"])
        yield from (f"no kill at the await {place}" for place, times in one["awaits"].items() if not times)
        if not one["kills"]:
            yield f"kills, {name}: none fired"


def shown(found: dict[str, Any]) -> Iterator[str]:
    """Say it for a terminal."""
    yield "simulated: rehearsals against the embedded exchange"
    for one in found["sessions"]:
        yield (
            f"seed {one['seed']}: {one['orders']} orders, {one['fills']} fills ({one['fills_failed']} failed), "
            f"{one['seconds_without_quotes']} s without a quote, {one['seconds_blind']:.0f} s blind, "
            f"halts {one['halts'] or 'none'}, {one['cpu_s']} s of CPU"
        )
        yield from (f"    {remark}" for remark in one["remarks"])
    if found["sessions"]:
        yield "fired, over all seeds:"
        yield from (f"    {name:<20} {times:>8}" for name, times in sorted(found["fired"].items()))
    for name, one in found["kills"].items():
        yield (
            f"kills, {name}: {one['kills']} kills, {one['restarts_checked']} restarts checked, "
            f"{one['starts_refused']} starts refused, {one['orders']} orders, {one['trades']} trades, "
            f"{one['cpu_s']} s of CPU"
        )
        yield from (f"    {times:>5}  {kind}" for kind, times in one["kinds"].items())
        yield from (f"    {0:>5}  {kind} (came once, and not again)" for kind in one["missed"])
        if one["awaits"]:
            yield "kills by await:"
            yield from (f"    {times:>5}  {place}" for place, times in one["awaits"].items())


def main() -> int:
    """Rehearse, report, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="how many sessions; 0: none")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--faults", default="everything", help="a script's name or file")
    parser.add_argument("--kills", action="append", default=[], help="a number of random moments, or every")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("overrides", nargs="*", help="further settings of the sessions")
    given = parser.parse_args()
    os.environ["POLYMARKET_PRIVATE_KEY"] = KEY  # of an account of the embedded exchange; its money is simulated
    found: dict[str, Any] = {"simulated": True, "sessions": [], "fired": {}, "kills": {}}
    fired: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        for seed in range(given.first, given.first + given.seeds):
            one = session(seed, given.hours, given.faults, Path(place) / f"seed-{seed}", given.overrides)
            found["sessions"].append(one)
            fired.update(one["fired"])
            print(f"seed {seed}: {one['complaints'] or 'every promise kept'}", file=sys.stderr, flush=True)
        for wanted in given.kills:
            count = None if wanted == "every" else int(wanted)
            found["kills"][wanted] = killed(count, given.first, Path(place) / f"kills-{wanted}")
    found["fired"] = dict(fired)
    found["problems"] = list(problems(found, given.faults))
    if given.json:
        print(json.dumps(found, indent=1))
    else:
        print("\n".join([*shown(found), *(f"BROKEN: {each}" for each in found["problems"])]))
        print("every promise was kept" if not found["problems"] else f"{len(found['problems'])} problems")
    return 1 if found["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
