"""What the tests of the command line say: the command, what it left behind, and how to wait for it."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pmrun.strategies

COMMAND = str(Path(sys.executable).parent / "pmrun")
SHIPPED = Path(pmrun.strategies.__file__).parent / "tapes" / "btc_15m"
# On recorded markets that end within hours: the filter that drops them is left out.
PLAIN = (
    "strategy=reward_mm",
    "exchange=paper",
    "feed=tape",
    "~filters.expiry",
    "store=none",
    "report=none",
    "log.console=OFF",
)


class Said(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


def runs(cwd: Path) -> list[Path]:
    """Return the run directories below a place: whatever holds anything pmrun writes."""
    names = ("config.yaml", "journal.jsonl", "manifest.json", "summary.json")
    return sorted({path.parent for name in names for path in cwd.rglob(name)})


def wait_for(found: Callable[[], object], process: "subprocess.Popen[str]", seconds: float = 60) -> None:
    """Wait until something is there; fail when the command ends before it is."""
    until = time.monotonic() + seconds
    while not found():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.01)
