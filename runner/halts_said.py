"""What stopped quoting, as the summary keeps it and as people read it at the end of a run (P9)."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pmrun.runner.halts import Halted
from pmrun.runner.intents import Number
from pmrun.runner.market import MarketNo
from pmrun.runner.summary import iso
from pmrun.runner.units import SECOND, Cash, format_cash

WAITING: Final = frozenset({"equity_unknown"})  # ends by itself with the first books
# Which numbers of a limit's reason are dollars; the others are counts, but for those named below.
DOLLARS: Final[Mapping[str, frozenset[str]]] = {
    "daily_loss": frozenset({"lost", "at_risk", "limit"}),
    "drawdown": frozenset({"fallen", "at_risk", "limit"}),
}
DURATIONS: Final = frozenset({"within"})
_FEW: Final = 8  # lines at the end of a run; summary.json has all


def halts_of(halts: Iterable[Halted], slugs: Mapping[MarketNo, str]) -> list[dict[str, Any]]:
    """Return what stopped quoting as the summary keeps it; numbers are in base units, as reasons carry them."""
    return [
        {
            "by": each.reason.by,
            "code": each.reason.code,
            "market": None if each.market is None else slugs.get(each.market, str(each.market)),
            "numbers": each.reason.numbers,
            "times": each.times,
            "first": iso(each.first),
            "last": iso(each.last),
            "seconds": each.lasted / SECOND,
            "to_the_end": each.on,
        }
        for each in halts
    ]


def halt_lines(summary: Mapping[str, Any]) -> list[tuple[bool, str]]:
    """Return a sentence for each thing that stopped quoting, and whether it did so to the end of the run.

    What every start waits for is said only where it never came; a summary of an older pmrun has none.
    """
    told = [each for each in summary.get("halts") or () if each["to_the_end"] or each["code"] not in WAITING]
    lines = [(each["to_the_end"], _sentence(each)) for each in told[:_FEW]]
    if len(told) > _FEW:
        rest = told[_FEW:]
        lines.append((any(each["to_the_end"] for each in rest), f"{len(rest)} more: halts in summary.json"))
    return lines


def _sentence(halt: Mapping[str, Any]) -> str:
    where = f" in {halt['market']}" if halt["market"] else ""
    said = reason_said(halt["code"], f"{halt['by']}{where}", halt["numbers"])
    many, lasted = halt["times"], duration(halt["seconds"])
    if many == 1:
        return f"{said} from {halt['first']} " + (f"to the end, {lasted}" if halt["to_the_end"] else f"for {lasted}")
    last = f"from {halt['last']} to the end" if halt["to_the_end"] else f"last at {halt['last']}"
    return f"{said} {many} times, first at {halt['first']}, {last}, {lasted} in all"


def reason_said(code: str, by: str, numbers: Mapping[str, Number]) -> str:
    """Write a reason for people: the code, who says so, and the numbers in their units."""
    said = ", ".join(f"{key.replace('_', ' ')} {_number(code, key, numbers[key])}" for key in numbers)
    return f"{code} by {by}" + (f" ({said})" if said else "")


def _number(code: str, key: str, number: Number) -> str:
    if isinstance(number, int) and key in DOLLARS.get(code, ()):
        return f"${format_cash(Cash(number))}"
    if isinstance(number, int) and key in DURATIONS:
        return duration(number / SECOND)
    return f"{number:,}" if isinstance(number, int) else str(number)


def duration(seconds: float) -> str:
    """Write a duration as people say it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
