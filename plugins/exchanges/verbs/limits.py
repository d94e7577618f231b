"""`pmrun limits`: what an account's limits have used, and letting one trade again."""

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pmrun.plugins.exchanges.verbs.doctor import answer, planned
from pmrun.runner.assembly import Plan
from pmrun.runner.errors import ConfigError
from pmrun.runner.units import SECOND, Micros
from pmrun.runner.verbs import VerbParser

if TYPE_CHECKING:
    from pmrun.plugins.exchanges.common.limits_shown import LimitShown

NAME = "pmrun limits"


def main(arguments: list[str]) -> int:
    """Show what every limit carries, or reset one; raises ConfigError or DataError."""
    parser = VerbParser(NAME, description="What an account's limits have used; --reset NODE lets one trade again.")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="as for a run, such as exchange=live")
    parser.add_argument("--reset", metavar="NODE", help="forget what one carries, such as risk.drawdown")
    parser.add_argument("--json", action="store_true", help="for scripts")
    given = parser.parse_intermixed_args(arguments)
    made = planned(given.overrides)
    address, folder, nodes = _account(made)
    now = Micros(time.time_ns() * SECOND // 10**9)
    if given.reset is not None:
        was = reset(address, folder, given.reset, now)
        if given.json:
            print(json.dumps({"account": address, "reset": _plain(was)}, indent=1, ensure_ascii=False))
        else:
            print(f"{was.node} was {was.state}; it carried {_values(was)}")
            print("reset: it starts anew with the next session")
        return 0
    shown = _shown(address, folder, nodes, now)
    if given.json:
        limits = [_plain(each) for each in shown]
        print(json.dumps({"account": address, "limits": limits} | _order_calls(made), indent=1, ensure_ascii=False))
    else:
        _print(address, shown)
        for said in _order_calls(made).values():
            print(f"order calls: {said}")
    return 0


def _order_calls(made: Plan) -> dict[str, str]:
    """Say how an exchange's order calls are shared, where they are few enough to be planned."""
    from pmrun.plugins.executors.satori import SatoriLive

    if not isinstance(made.executor, SatoriLive):
        return {}
    from pmrun.plugins.exchanges.satori.doctor import order_calls_said

    return {"order_calls": order_calls_said(made.executor)}


def _account(made: Plan) -> tuple[str, Path, tuple[str, ...]]:
    """Return the wallet, where its file is, and the limits that a run has."""
    from pmrun.plugins.exchanges.common.account_folder import account_folder
    from pmrun.plugins.exchanges.polymarket.credentials import read_funder, read_private_key
    from pmrun.plugins.exchanges.polymarket.doctor import limiting
    from pmrun.plugins.exchanges.polymarket.signing import Signer
    from pmrun.plugins.executors.live import Live
    from pmrun.plugins.executors.satori import SatoriLive
    from pmrun.plugins.feeds.live import Polymarket

    live, feed = made.executor, made.feed
    if isinstance(live, SatoriLive):
        return (*ask(made), limiting(made))
    if not (isinstance(live, Live) and isinstance(feed, Polymarket)):
        kind = type(live).__name__.lower()
        raise ConfigError(
            "executor", kind, "has no account whose limits outlive a run: exchange=live or exchange=satori"
        )
    funder = read_funder(os.environ)
    signer = Signer(read_private_key(os.environ), signature_type=live.signature_type, funder=funder)
    return signer.maker, account_folder(live.folder, feed.clob_url), limiting(made)


def ask(made: Plan) -> tuple[str, Path]:
    """Ask an exchange that names its accounts itself who this is, and where its file is."""
    return answer(_ask, made)


async def _ask(made: Plan) -> tuple[str, Path]:
    import trio

    from pmrun.plugins.exchanges.common.network import real_network
    from pmrun.plugins.exchanges.satori.doctor import account_of
    from pmrun.runner.live import clock

    async with trio.open_nursery() as nursery, real_network(nursery) as network:
        found = await account_of(made, network, clock(), os.environ)
        nursery.cancel_scope.cancel()
    return found


def _shown(address: str, folder: Path | None, nodes: Sequence[str], now: Micros) -> "list[LimitShown]":
    from pmrun.plugins.exchanges.common.account_reader import reading
    from pmrun.plugins.exchanges.common.limits_shown import limits_shown

    with reading(address, folder) as reader:
        return limits_shown([] if reader is None else reader.carried(), nodes, now)


def reset(address: str, folder: Path | None, node: str, now: Micros) -> "LimitShown":
    """Forget what a limit carries, and return what that was; ConfigError where it carries nothing, or an engine trades.

    The wallet is held meanwhile: an engine would write what it knows over it.
    """
    from pmrun.runner.account_file import AccountFile
    from pmrun.runner.wallet_lock import hold_wallet

    found = {each.node: each for each in _shown(address, folder, (), now)}
    if node not in found:
        known = f"those that do: {', '.join(found)}" if found else f"nothing does for {address}"
        raise ConfigError("limits --reset", node, f"carries nothing; {known}")
    with hold_wallet(address, NAME, now, folder):
        before = next(each for each in _shown(address, folder, (), now) if each.node == node)
        with AccountFile.open(address, folder) as account:
            account.forget(node)
    return before


def _values(limit: "LimitShown") -> str:
    return ", ".join(f"{key.replace('_', ' ')} {text}" for key, text in limit.shown.items()) or "nothing"


def _plain(limit: "LimitShown") -> dict[str, object]:
    from pmrun.runner.summary import iso

    return {
        "node": limit.node,
        "in_run": limit.in_run,
        "tripped": limit.tripped,
        "state": limit.state,
        "written_at": None if limit.written_at is None else iso(limit.written_at),
        "values": limit.values,
        "shown": limit.shown,
    }


def _print(address: str, shown: "Sequence[LimitShown]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("limit", "state", "carries", "written"):
        table.add_column(name, overflow="fold", no_wrap=name == "limit")
    for each in shown:
        table.add_row(each.node, Text(_state(each), style="bold red" if each.tripped else ""), *_told(each))
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(f"account {address}", table, sep="\n")


def _state(limit: "LimitShown") -> str:
    return limit.state if limit.in_run else f"{limit.state} (not in this run)"


def _told(limit: "LimitShown") -> tuple[str, str]:
    from pmrun.plugins.exchanges.common.limits_shown import moment

    return _values(limit), "never" if limit.written_at is None else moment(limit.written_at)
