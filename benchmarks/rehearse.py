"""Live trading rehearsed against the embedded exchange, with everything going wrong: what is promised, and is it kept?

    python benchmarks/rehearse.py [--seeds 5] [--hours 2] [--faults everything] [--kills 200 | --kills every] [--json]

Each seed is a session of `strategy=reward_mm exchange=live` on a virtual clock, in one process; the same seed gives the
same session, however many run side by side (`--jobs`). With `--kills`, sessions are killed as kill -9 does: at so
many random moments, or once at every await on the order path; `--seeds 0` plays those alone. How far each has come is
told on standard error. The exit code is 1 where a promise was broken, or a fault or kill point never fired. All of it
is simulated.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any
from zlib import crc32

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "exchanges"))

import trio  # noqa: E402
from kill_points import Kind, awaits_of, covered, shortly  # noqa: E402
from killing import TROUBLES, Beside, Broken, Killing, random_moments  # noqa: E402
from rehearsal import AT_THE_TOUCH, KEY, LIVELY, WALLET, Rehearsal, lively_feed  # noqa: E402
from verdicts import blind_seconds, complaints, halts  # noqa: E402

from pmrun.plugins.exchanges.common import account_session, accounting, live_session, order_looking, order_trading  # noqa: E402
from pmrun.plugins.exchanges.embedded.fault_script import load_script, read_script  # noqa: E402
from pmrun.plugins.exchanges.embedded.faults import Faults  # noqa: E402
from pmrun.plugins.exchanges.embedded.modes import Mode  # noqa: E402
from pmrun.plugins.exchanges.polymarket import account, exchange, heart, looking, start, trading  # noqa: E402
from pmrun.runner.market import Outcome  # noqa: E402
from pmrun.runner.units import SECOND, Cash, Micros, Side, complement  # noqa: E402

# Besides the script: only orders that take feel post-only mode, and those come when something was filled.
EXTRA: list[dict[str, Any]] = [
    {"fault": "post_only", "every": 900, "jitter": 60, "for": 120},
    {"fault": "rate_limited", "every": 300, "for": 5, "retry_after": 2},
    {"fault": "retrying_trade", "every": 300},
]
TROUBLED = {str(fault["fault"]) for fault in TROUBLES}
SPEED = 6  # seconds of the simulated markets in one of the session
LONGEST = 40.0  # seconds that a run waits for its kill point
SHORT = 24.0  # seconds of a run that is to come by certain awaits
PARTS = 4  # that kills are played in, each at an exchange of its own; not the number of jobs, which changes nothing
TELL_EVERY = 15.0  # seconds


class Ticker(trio.abc.Instrument):
    """Tells on standard error how far something has come."""

    def __init__(self, name: str, said: Callable[[], str]) -> None:
        """Say `said()` of it every so often."""
        self._name = name
        self._said = said
        self._began = self._told = time.monotonic()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Look at the clock."""
        now = time.monotonic()
        if now - self._told >= TELL_EVERY:
            self._told = now
            self.tell(self._said())

    def tell(self, said: str) -> None:
        """Say it now."""
        print(f"{self._name}: {said} ({time.monotonic() - self._began:.0f} s)", file=sys.stderr, flush=True)


def session(seed: int, hours: float, script: str, folder: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """Play one session to its end; return what is reported of it."""
    seconds = hours * 3_600
    faults = Faults([*load_script(script), *read_script(EXTRA)], seed)
    run = Rehearsal(lively_feed(seed, 12, seconds, SPEED), folder, [*LIVELY, *overrides], faults, seed=seed)
    began = time.process_time()
    first = run.data.info.first_at

    def come() -> str:
        return f"minute {(run.now() - first) // (60 * SECOND)} of {seconds / 60:.0f}, {run.sent.total()} requests"

    ticker = Ticker(f"seed {seed}", come)
    summary = run.play(lambda: run.run(f"feed.stop_after={seconds}"), (ticker,))
    found = complaints(run)
    ticker.tell(str(found) if found else "every promise kept")
    return {
        "seed": seed,
        "cpu_s": round(time.process_time() - began, 1),
        "complaints": found,
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
        while not killing.switch.checked:
            await trio.sleep(0.1)
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
        run.engine.retry_next_settlement(4)  # so that settling takes longer than a start may
        for order_id in run.resting()[::2]:
            order = run.engine.order(order_id)
            assert order is not None
            market = next(no for no, each in enumerate(run.engine.markets) if each.condition == order.condition)
            buys = (order.side is Side.BUY) == (order.outcome is Outcome.YES)
            price = order.price if order.outcome is Outcome.YES else complement(order.price)
            run.engine.crowd_take(market, Side.SELL if buys else Side.BUY, price, order.size, run.now())

    async def something_breaks() -> None:
        await trio.sleep(SHORT - 4)
        raise Broken

    return [
        somebody_trades_at_the_start,
        money_comes_from_elsewhere,
        cancels_are_refused,
        nothing_is_listed,
        something_breaks,
    ]


def killed(count: int | None, seed: int, part: int, folder: Path) -> dict[str, Any]:
    """Play one part of the kills: at so many random moments, or at every await that falls to this part."""
    killing = rehearsed(seed, folder)

    def ours(kind: Kind) -> bool:
        return crc32(kind.encode()) % PARTS == part

    async def scene() -> None:
        if count is not None:
            await killing.moments(count, random_moments(3 * count, seed, checked=True), LONGEST)
        else:
            starts, *others = provocations(killing)
            for beside in (None, starts, *others, starts, starts, starts):  # a start that has to wait is the rarest
                await killing.each_kind(ours, SHORT, beside)
        await killing.end(LONGEST)

    def come() -> str:
        known = "" if count is None else f" of {count}"
        return f"{killing.kinds.total()}{known} kills in {killing.run.runs} runs, {killing.checks} restarts checked"

    ticker = Ticker(f"kills, part {part + 1} of {PARTS}", come)
    began = time.process_time()
    killing.run.play(scene, (killing.switch, ticker))
    ticker.tell(f"{come()}: {killing.complaints or 'every promise kept'}")
    return {
        "cpu_s": round(time.process_time() - began, 1),
        "kills": killing.kinds.total(),
        "restarts_checked": killing.checks,
        "starts_refused": killing.refused_starts,
        "complaints": killing.complaints,
        "kinds": dict(killing.kinds),
        "seen": list(killing.switch.ever),
        "fired": dict(killing.run.host.fired),
        "orders": len(killing.run.placed()),
        "trades": len(killing.run.trades()),
    }


def together(parts: Sequence[dict[str, Any]], every: bool) -> dict[str, Any]:
    """Add the parts of the kills up."""
    added = ("cpu_s", "kills", "restarts_checked", "starts_refused", "orders", "trades")
    kinds, fired = Counter[Kind](), Counter[str]()
    for part in parts:
        kinds.update(part["kinds"])
        fired.update(part["fired"])
    shared = (account_session, accounting, live_session, order_looking, order_trading)
    places = awaits_of(trading, looking, heart, exchange, account, start, *shared) if every else {}
    seen = dict.fromkeys(kind for part in parts for kind in part["seen"])
    return {
        **{name: round(sum(part[name] for part in parts), 1) for name in added},
        "complaints": [said for part in parts for said in part["complaints"]],
        "missed": [shortly(kind) for kind in seen if kind not in kinds] if every else [],
        "kinds": _by_short_name(kinds),
        "awaits": {place: covered(place, lines, kinds) for place, lines in places.items()},
        "fired": dict(fired),
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
        yield from (f"kills, {name}: the fault {each} never fired" for each in sorted(TROUBLED - one["fired"].keys()))
        if not one["kills"]:
            yield f"kills, {name}: none fired"
    yield from found["broken_off"]


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
        yield "fired meanwhile:"
        yield from (f"    {fault:<20} {times:>8}" for fault, times in sorted(one["fired"].items()))


def played(given: argparse.Namespace, place: Path, pool: ProcessPoolExecutor) -> dict[str, Any]:
    """Play everything that was asked for, side by side."""
    found: dict[str, Any] = {"simulated": True, "kills": {}, "broken_off": []}

    def done(name: str, futures: Sequence[Future[dict[str, Any]]]) -> list[dict[str, Any]]:
        broken = [each.exception() for each in futures]
        found["broken_off"] += [f"{name}: broken off: {error!r}" for error in broken if error is not None]
        return [each.result() for each, error in zip(futures, broken, strict=True) if error is None]

    seeds = range(given.first, given.first + given.seeds)
    sessions = [
        pool.submit(session, seed, given.hours, given.faults, place / f"seed-{seed}", given.overrides) for seed in seeds
    ]
    kills: dict[str, list[Future[dict[str, Any]]]] = {}
    for wanted in dict.fromkeys(given.kills):
        counts = [None] * PARTS if wanted == "every" else [(int(wanted) + part) // PARTS for part in range(PARTS)]
        kills[wanted] = [
            pool.submit(killed, count, given.first + part, part, place / f"kills-{wanted}-{part}")
            for part, count in enumerate(counts)
        ]
    found["sessions"] = done("sessions", sessions)
    for wanted, parts in kills.items():
        found["kills"][wanted] = together(done(f"kills, {wanted}", parts), wanted == "every")
    fired: Counter[str] = Counter()
    for one in found["sessions"]:
        fired.update(one["fired"])
    found["fired"] = dict(fired)
    return found


def main() -> int:
    """Rehearse, report, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="how many sessions; 0: none")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--faults", default="everything", help="a script's name or file")
    parser.add_argument("--kills", action="append", default=[], help="a number of random moments, or every")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many are played side by side")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("overrides", nargs="*", help="further settings of the sessions")
    given = parser.parse_args()
    os.environ["POLYMARKET_PRIVATE_KEY"] = KEY  # of an account of the embedded exchange; its money is simulated
    with tempfile.TemporaryDirectory() as place, ProcessPoolExecutor(given.jobs) as pool:
        found = played(given, Path(place), pool)
    found["problems"] = list(problems(found, given.faults))
    if given.json:
        print(json.dumps(found, indent=1))
    else:
        print("\n".join([*shown(found), *(f"BROKEN: {each}" for each in found["problems"])]))
        print("every promise was kept" if not found["problems"] else f"{len(found['problems'])} problems")
    return 1 if found["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
