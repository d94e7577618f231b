"""What a look at an account finds: one line a check, what was seen, and what to do about it."""

from collections.abc import Sequence
from enum import StrEnum

import msgspec
from rich.table import Table
from rich.text import Text

REFUSED = 3  # the exchange or the account would refuse
MISCONFIGURED = 2


class Level(StrEnum):
    """How bad it is; what could not be looked at is never called ok."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "FAILED"
    NOT_TRIED = "not tried"


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One check: what was seen, the cure, and the exit code that it asks for (0: none)."""

    check: str
    level: Level
    seen: str
    cure: str = ""
    exit_code: int = 0


def ok(check: str, seen: str) -> Finding:
    """Say that nothing is wrong."""
    return Finding(check, Level.OK, seen)


def warning(check: str, seen: str, cure: str) -> Finding:
    """Say what deserves a look, and keeps nobody from trading."""
    return Finding(check, Level.WARNING, seen, cure)


def refused(check: str, seen: str, cure: str) -> Finding:
    """Say what the exchange or the account would refuse."""
    return Finding(check, Level.FAILED, seen, cure, REFUSED)


def misconfigured(check: str, seen: str, cure: str) -> Finding:
    """Say what is wrong on our side: settings, credentials, files, another engine."""
    return Finding(check, Level.FAILED, seen, cure, MISCONFIGURED)


def not_tried(check: str, why: str) -> Finding:
    """Say what was not looked at."""
    return Finding(check, Level.NOT_TRIED, why)


def exit_code(findings: Sequence[Finding]) -> int:
    """Return 0 when it could trade; a configuration to put right (2) comes before what the exchange refuses (3)."""
    return min((found.exit_code for found in findings if found.exit_code), default=0)


def verdict(findings: Sequence[Finding]) -> str:
    """Say in one line what came of it."""
    failed = sum(found.level is Level.FAILED for found in findings)
    warned = sum(found.level is Level.WARNING for found in findings)
    warnings = f"{warned} warning{'' if warned == 1 else 's'}"
    if failed:
        return f"could not trade: {failed} FAILED, {warnings}"
    return f"could trade: nothing failed, {warnings}"


def lines(findings: Sequence[Finding]) -> list[str]:
    """Return the findings as one line each: how bad, which check, what was seen; what to do."""
    width = max((len(found.check) for found in findings), default=0)
    return [
        f"{found.level:<9}  {found.check:<{width}}  {found.seen}" + (f"; {found.cure}" if found.cure else "")
        for found in findings
    ]


_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILED: "bold red", Level.NOT_TRIED: "dim"}


def table(findings: Sequence[Finding]) -> Table:
    """Return the findings for a terminal."""
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("check", "", "what was seen, and what to do"):
        made.add_column(name, overflow="fold", no_wrap=name in ("check", ""))
    for found in findings:
        cure = [("\n" + found.cure, "bold")] if found.cure else []
        made.add_row(found.check, Text(found.level, style=_STYLES[found.level]), Text.assemble(found.seen, *cure))
    return made
