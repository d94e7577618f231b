"""The verbs beside running: each takes its arguments and returns an exit code."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from pmrun.runner.errors import ConfigError
from pmrun.runner.packs import pack_verbs, verb_function

_ANY_STRATEGY = "strategy=level_mm"  # for looking and cancelling: it needs nothing that an exchange may lack


class VerbParser(argparse.ArgumentParser):
    """Reads the arguments of a verb; a mistake is a ConfigError, as everywhere."""

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments; raises ConfigError."""
        raise ConfigError(self.prog.removeprefix("pmrun "), None, message)


def replay(arguments: list[str]) -> int:
    """Replay a run; verify that the same facts give the same intents."""
    parser = VerbParser("pmrun replay", description="Feed a run's facts to a fresh desk.")
    parser.add_argument("run", type=Path)
    parser.add_argument("--verify", action="store_true", help="compare every intent, byte for byte (the default)")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    from pmrun.runner.replay import replay as verify

    result = verify(given.run)
    if given.json:
        print(json.dumps({"verified": True, **result._asdict()}))
    else:
        print(f"verified: {result.facts:,} facts give the same {result.intents:,} intents, byte for byte")
        if result.cut is not None:
            print(f"the run was cut off, or is still going: its journal ends after {result.cut}")
        print(f"journal {result.journal_hash}")
    return 0


def compare(arguments: list[str]) -> int:
    """Compare runs: configuration and results."""
    parser = VerbParser("pmrun compare", description="Compare two or more run directories.")
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    if len(given.runs) < 2:
        raise ConfigError("compare", None, "needs two run directories or more")
    from pmrun.runner import compare as comparing

    result = comparing.compare(*given.runs)
    if given.json:
        print(json.dumps(result.to_dict(), indent=1))
        return 0
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(*comparing.render(result), sep="\n")
    return 0


def report(arguments: list[str]) -> int:
    """Write a run's report again."""
    parser = VerbParser("pmrun report", description="Write report.html of a finished run again.")
    parser.add_argument("run", type=Path)
    given = parser.parse_args(arguments)
    from pmrun.runner.assembly import report_of
    from pmrun.runner.runs import read_summary, read_yaml

    read_summary(given.run)
    made = report_of(read_yaml(given.run, "config.yaml"))
    if made is None:
        raise ConfigError("report", "none", "this run was made without a report; choose one with report=html")
    print(made.write(given.run))
    return 0


def universe(arguments: list[str]) -> int:
    """Show which markets a run would trade, and why not the others."""
    parser = VerbParser("pmrun universe", description="Which markets a run would trade, and why not the others.")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="as for a run, such as strategy=reward_mm")
    parser.add_argument(
        "--at", type=float, metavar="SECONDS", help="after so much of the feed (default: once every market is judged)"
    )
    parser.add_argument("--json", action="store_true")
    given = parser.parse_intermixed_args(arguments)
    if given.at is not None and not 0 <= given.at <= 10**9:
        raise ConfigError("universe --at", given.at, "must be from 0 to 1,000,000,000 seconds")
    from pmrun.runner.assembly import plan
    from pmrun.runner.compose import compose_config
    from pmrun.runner.scan import as_plain, render, scan

    made = plan(compose_config(given.overrides))
    if getattr(made.executor, "armed", False):  # to look needs no account
        made = plan(compose_config([*given.overrides, "live.armed=false"]))
    found = scan(made, given.at)
    if given.json:
        print(json.dumps(as_plain(found), indent=1, ensure_ascii=False))
        return 0
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(*render(found), sep="\n")
    return 0


def plugins(arguments: list[str]) -> int:
    """List packs and options."""
    parser = VerbParser("pmrun plugins", description="Installed packs, and what can be chosen in every group.")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    from pmrun.runner.options import options
    from pmrun.runner.packs import installed_packs

    packs = [{"name": p.name, "distribution": p.distribution, "version": p.version} for p in installed_packs()]
    groups = options()
    if given.json:
        print(json.dumps({"packs": packs, "groups": groups}, indent=1))
        return 0
    for pack in packs:
        print(f"pack {pack['name']}: {pack['distribution']} {pack['version']}")
    for group, names in groups.items():
        print(f"{group}: {', '.join(names)}")
    return 0


def completion(arguments: list[str]) -> int:
    """Print what a shell needs to complete groups, options and keys."""
    parser = VerbParser("pmrun completion", description='Print shell completion: eval "$(pmrun completion bash)"')
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))
    given = parser.parse_args(arguments)
    from pmrun.runner.hydra_app import run_hydra

    code = run_hydra(["-sc", f"install={given.shell}"])
    if given.shell == "bash":
        added = list(pack_verbs())
        print(_VERBS_IN_BASH.replace("OF_PACKS", " ".join(added)).replace("VERBS", " ".join([*VERBS, *added])))
    return code


# Hydra completes groups, options and keys, also behind a verb that takes them as a run does; the verbs, and the
# directories that others take, are ours.
_VERBS_IN_BASH = """
_pmrun_completion()
{
    local said=($COMP_LINE) word=${COMP_WORDS[COMP_CWORD]}
    if [[ " universe OF_PACKS " == *" ${said[1]} "* && ( ${#said[@]} -gt 2 || $COMP_LINE == *" " ) ]]; then
        local COMP_LINE="${COMP_LINE/ ${said[1]}/}" COMP_POINT=$((COMP_POINT - ${#said[1]} - 1))
        local COMP_CWORD=$((COMP_CWORD - 1))
        hydra_bash_completion "$@"
        return
    fi
    if [[ " VERBS " == *" ${said[1]} "* && ( ${#said[@]} -gt 2 || $COMP_LINE == *" " ) ]]; then
        COMPREPLY=($(compgen -d -- "$word"))
        return
    fi
    hydra_bash_completion "$@"
    if [[ $COMP_CWORD -eq 1 ]]; then
        COMPREPLY+=($(compgen -W "VERBS" -- "$word"))
    fi
}
complete -o nospace -o default -F _pmrun_completion pmrun
"""


def stop(arguments: list[str]) -> int:
    """Cancel what an earlier session left bidding, wait for the answers, and end (R13)."""
    parser = VerbParser("pmrun stop", description="Cancel what bids, wait for the answers, and end; nothing is quoted.")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="as for a run, such as exchange=live")
    given = parser.parse_args(arguments)
    from pmrun.runner.hydra_app import run_hydra

    return run_hydra([*stopping(given.overrides), "desk.stop_only=true"])


def stopping(overrides: list[str]) -> list[str]:
    """Return overrides with what only a run needs: a strategy, and, for real orders, arming and caps.

    Nothing is placed, so no strategy is asked, and the caps are the least there are. `live.armed=false` stays as it is
    said, and is refused.
    """
    from pmrun.runner.compose import compose_config

    if not any(each.startswith("strategy=") for each in overrides):
        overrides = [_ANY_STRATEGY, *overrides]
    live = compose_config(overrides).get("live")
    if not isinstance(live, dict):
        return overrides
    said = {each.lstrip("+").partition("=")[0] for each in overrides}
    arming = {"live.armed": "true", "live.max_order_usd": "0.01", "live.max_resting_usd": "0.01"}
    return [*overrides, *(f"{key}={value}" for key, value in arming.items() if key not in said)]


VERBS: dict[str, Callable[[list[str]], int]] = {
    "replay": replay,
    "compare": compare,
    "report": report,
    "universe": universe,
    "stop": stop,
    "plugins": plugins,
    "completion": completion,
}


def verb(name: str) -> Callable[[list[str]], int] | None:
    """Return what answers a verb, our own or a pack's; None for what is no verb (an override, an option)."""
    if name in VERBS:
        return VERBS[name]
    added = pack_verbs().get(name)
    return None if added is None else verb_function(added)
