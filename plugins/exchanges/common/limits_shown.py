"""What the limits of an account carry, in words: numbers with units, tripped or not, until when (P9)."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import msgspec

from pmrun.plugins.exchanges.common.account_reader import Carried
from pmrun.runner.hooks import FAILED
from pmrun.runner.units import SECOND, Cash, Micros, format_cash

DAY = 86_400 * SECOND
_DOLLARS = ("start", "low", "high", "peak")
_MOMENTS = ("last", "until")
_FLAGS = ("tripped", FAILED)


class LimitShown(msgspec.Struct, frozen=True, kw_only=True):
    """One limit as it stands; `why` says why it is tripped, empty where it is not."""

    node: str
    in_run: bool  # whether the run has this limit: one it has not objects to nothing
    why: str
    passes: bool  # whether it trades again by itself
    written_at: Micros | None
    values: dict[str, int]
    shown: dict[str, str]

    @property
    def tripped(self) -> bool:
        """Whether it lets nothing be quoted."""
        return bool(self.why)

    @property
    def state(self) -> str:
        """Return how it stands, in a few words."""
        if not self.values:
            return "carries nothing yet"
        return f"tripped: {self.why}" if self.why else "not tripped"


def limits_shown(carried: Iterable[Carried], in_run: Iterable[str], at: Micros) -> list[LimitShown]:
    """Return the limits of a run and of the file, by node."""
    known = {each.node: each for each in carried}
    of_run = set(in_run)
    return [_shown(node, known.get(node), node in of_run, at) for node in sorted(of_run | set(known))]


def _shown(node: str, carried: Carried | None, in_run: bool, at: Micros) -> LimitShown:
    values = {} if carried is None else carried.values
    why, passes = _tripped(values, at)
    return LimitShown(
        node=node,
        in_run=in_run,
        why=why,
        passes=passes,
        written_at=None if carried is None else carried.written_at,
        values=dict(values),
        shown={key: _in_words(key, value) for key, value in values.items()},
    )


def _tripped(values: Mapping[str, int], at: Micros) -> tuple[str, bool]:
    """Say why a limit objects, and whether that passes by itself."""
    if values.get(FAILED):
        return "it failed in an earlier session, and objects until it is reset", False
    until = values.get("until", 0)
    if until > at:
        return f"until {moment(Micros(until))}", True
    if not values.get("tripped"):
        return "", True
    if "day" not in values:
        return "until it is reset", False
    over = (values["day"] + 1) * DAY
    return (f"until {moment(Micros(over))}", True) if at < over else ("", True)


def _in_words(key: str, value: int) -> str:
    """Write a number with its unit; what a limit of somebody else's carries is written as it is."""
    if key == "day":
        return moment(Micros(value * DAY)).partition(" ")[0]
    if key in _DOLLARS:
        return f"${format_cash(Cash(value))}"
    if key in _MOMENTS:
        return moment(Micros(value)) if value else "never"
    if key in _FLAGS:
        return "yes" if value else "no"
    return f"{value:,}"


def moment(at: Micros) -> str:
    """Write a moment for people; raises nothing for one that is none."""
    try:
        return datetime.fromtimestamp(at / SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{at} us"
