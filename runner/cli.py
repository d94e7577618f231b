"""The command line: our own verbs, and Hydra's overrides for everything that runs."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

HELP = """\
pmrun runs market-making strategies on prediction markets.

usage: pmrun [OVERRIDE ...]            run a strategy, e.g. pmrun strategy=reward_mm exchange=paper
       pmrun -m [OVERRIDE ...]         sweep, e.g. pmrun -m strategy=reward_mm sizing.order_size_multiplier=1,2,3
       pmrun VERB [ARGUMENT ...]

verbs:
  replay RUN [--verify]    feed a run's facts to a fresh desk; --verify compares every intent, byte for byte
  compare RUN RUN [...]    differences of configuration and results  (--json)
  report RUN               write report.html again
  universe [OVERRIDE ...]  which markets a run would trade, and why not the others  (--at SECONDS, --json)
  stop [OVERRIDE ...]      cancel what bids, wait for the answers, and end: nothing is quoted
  plugins                  installed packs, and what can be chosen in every group  (--json)
  completion SHELL         print shell completion for bash, zsh or fish
{verbs_of_packs}
overrides:
  strategy=NAME            choose a strategy; pricing=NAME, sizing=NAME, feed=NAME, … choose its parts
  risk.cliff.price_cliff_threshold=0.03    change a setting
  ~risk.volatility         drop a check;  +risk@risk.mine=cliff  add one
  feed=tape feed.path=DIR  replay a tape
  --cfg job                show the whole composed run and stop

other options: -h --help, --version, --hydra-help (Hydra's own options)
exit codes: 0 done, 1 failed or not verified, 2 configuration, 3 exchange, 4 stopped while something may rest,
            130/143 stopped by a signal with nothing resting
"""


def main() -> NoReturn:
    """Entry point of the `pmrun` command."""
    _keep_compiled_code()
    code = run(sys.argv[1:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is over: what was asked for stands in the exit code
    sys.exit(code)


def _keep_compiled_code() -> None:
    """Give numba a place of our own where it has none: beside the package, or below the home directory.

    Without one it refuses to compile at all. The place must be ours alone, as what is found there is executed.
    """
    home = os.path.expanduser("~/.cache")  # noqa: PTH111 - pathlib raises without a home
    folders = (os.path.dirname(os.path.dirname(__file__)), home, os.path.dirname(home))  # noqa: PTH120
    if "NUMBA_CACHE_DIR" in os.environ or any(os.access(folder, os.W_OK) for folder in folders):
        return
    import tempfile

    os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="pmrun-compiled-")


def run(arguments: list[str]) -> int:
    """Run one command line; return its exit code. No traceback reaches a user."""
    if arguments and arguments[0] in ("-h", "--help", "help"):
        print(_help(), end="")
        return 0
    if arguments and arguments[0] == "--version":
        from pmrun import __version__

        print(f"pmrun {__version__}")
        return 0
    return _guarded(_verb(arguments))


def _help() -> str:
    """Return the help with the verbs of the installed packs; a pack that cannot be loaded is named in their place."""
    from pmrun.runner.errors import PmrunError
    from pmrun.runner.packs import pack_verbs

    try:
        lines = [f"  {verb.name:<24} {verb.help}" for verb in pack_verbs().values()]
    except PmrunError as error:
        lines = [f"  ({' '.join(str(error).split())})"]
    return HELP.replace("{verbs_of_packs}", "".join(f"{line}\n" for line in lines))


def _verb(arguments: list[str]) -> Callable[[], int]:
    def go() -> int:
        from pmrun.runner import verbs
        from pmrun.runner.environment import load_environment

        load_environment(Path.cwd())
        if not arguments:
            print(_help(), end="")
            return 2
        verb = verbs.verb(arguments[0])
        if verb is not None:
            return verb(arguments[1:])
        from pmrun.runner.hydra_app import run_hydra

        return run_hydra(arguments)

    return go


def _guarded(go: Callable[[], int]) -> int:
    from pmrun.runner.errors import PmrunError

    try:
        return go()
    except PmrunError as error:
        print(f"pmrun: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("pmrun: stopped before anything started", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return _internal(error)


def _internal(error: Exception) -> int:
    """Say that it is our fault, and keep the traceback where it can be sent from."""
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="pmrun-", suffix=".txt", delete=False, encoding="utf-8") as file:
        traceback.print_exception(error, file=file)
    said = " ".join(f"{type(error).__name__}: {error}".split())
    print(f"pmrun: internal error: {said}; details in {file.name}", file=sys.stderr)
    return 1
