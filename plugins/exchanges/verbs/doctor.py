"""`pmrun doctor`: what would keep an account from trading, why, and the cure."""

import json
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import trio

from pmrun.plugins.exchanges.common.addresses import LOOPBACK
from pmrun.runner.assembly import Plan, plan
from pmrun.runner.capabilities import Lacking
from pmrun.runner.compose import compose_config
from pmrun.runner.live import clock
from pmrun.runner.progress import Progress
from pmrun.runner.stopping import Stop
from pmrun.runner.verbs import VerbParser

if TYPE_CHECKING:
    from pmrun.plugins.exchanges.common.doctor_findings import Finding

Answer = TypeVar("Answer")


def main(arguments: list[str]) -> int:
    """Look, and say what was found; return 0 when it could trade, 2 for configuration, 3 for what would be refused."""
    parser = VerbParser("pmrun doctor", description="What would keep an account from trading, why, and the cure.")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="as for a run, such as exchange=live")
    parser.add_argument("--heartbeat", action="store_true", help="send one, where no order rests that it could cancel")
    parser.add_argument("--json", action="store_true", help="for scripts")
    given = parser.parse_intermixed_args(arguments)
    made = planned(given.overrides)
    from pmrun.plugins.exchanges.common.doctor_findings import exit_code
    from pmrun.plugins.exchanges.polymarket.doctor import live_feed

    feed: Any = made.feed if _brings_its_own(made) else live_feed(made)
    source, simulated = str(getattr(feed, "clob_url", "") or feed.url), bool(feed.simulated)
    found = [*_looked(made, given.heartbeat), *_stand_ins(made)]
    if given.json:
        print(json.dumps(_plain(found, source, simulated), indent=1, ensure_ascii=False))
    else:
        _show(found, source, simulated, getattr(feed, "title", "Polymarket"))
    return exit_code(found)


def _brings_its_own(made: Plan) -> bool:
    """Whether the feed's exchange has checks of its own."""
    return callable(getattr(made.feed, "examine", None))


def _stand_ins(made: Plan) -> "list[Finding]":
    """Say what is done in the place of what the exchange lacks (V5)."""
    from pmrun.plugins.exchanges.common.doctor_findings import ok

    return [ok("capabilities", str(each)) for each in made.substitutions]


def planned(overrides: list[str]) -> Plan:
    """Build what a run of these overrides would be made of; without a strategy, as with reward_mm."""
    if any(each.startswith("strategy=") for each in overrides):
        return plan(compose_config(overrides))
    try:
        return plan(compose_config(["strategy=reward_mm", *overrides]))
    except Lacking:  # it is not for this exchange; the account is looked at all the same
        return plan(compose_config(["strategy=level_mm", *overrides]))


def _looked(made: Plan, heartbeat: bool) -> "list[Finding]":
    return answer(_look, made, heartbeat)


def answer(ask: Callable[..., Awaitable[Answer]], *given: object) -> Answer:
    """Ask an exchange and return what came; what goes wrong is raised without the nurseries it went through."""
    try:
        return trio.run(ask, *given)
    except BaseExceptionGroup as group:
        raise _first_of(group) from None


def _first_of(error: BaseException) -> BaseException:
    return _first_of(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


async def _look(made: Plan, heartbeat: bool) -> "list[Finding]":
    from pmrun.plugins.exchanges.common.network import real_network
    from pmrun.plugins.exchanges.polymarket.doctor import examine as of_polymarket

    feed: Any = made.feed
    examine = feed.examine if _brings_its_own(made) else of_polymarket

    stop = Stop()
    with stop.listening(), stop.ends_the_wait(), Progress(show=True) as progress:
        async with trio.open_nursery() as nursery, real_network(nursery) as network:
            found = await examine(
                made,
                network,
                clock(),
                os.environ,
                Path.cwd(),
                heartbeat,
                lambda name: progress.say(f"looking at {name}"),
            )
            nursery.cancel_scope.cancel()
        return found
    raise stop.left()


def _plain(found: "Sequence[Finding]", source: str, simulated: bool) -> dict[str, object]:
    from pmrun.plugins.exchanges.common.doctor_findings import exit_code

    code = exit_code(found)
    checks = [{name: getattr(each, name) for name in ("check", "level", "seen", "cure")} for each in found]
    return {"exchange": source, "simulated": simulated, "could_trade": not code, "exit_code": code, "checks": checks}


def _head(source: str, simulated: bool, title: str) -> str:
    """Say what it is: on this machine a simulated exchange; elsewhere the exchange's own, which may trade no money."""
    if not simulated:
        return title
    return "simulated exchange" if urlsplit(source).hostname in LOOPBACK else f"{title}'s staging, no real money,"


def _show(found: "Sequence[Finding]", source: str, simulated: bool, title: str) -> None:
    from pmrun.plugins.exchanges.common.doctor_findings import lines, table, verdict

    print(f"{_head(source, simulated, title)} at {source}")
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(table(found))
    else:
        print(*lines(found), sep="\n")
    print(verdict(found))
