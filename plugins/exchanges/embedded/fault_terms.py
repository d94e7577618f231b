"""What can go wrong on the simulated exchange: every fault by name, and what may be said of it in a script."""

import math
from collections.abc import Callable, Mapping
from enum import StrEnum

import msgspec

from pmrun.runner.units import SECOND, Micros

LONGEST = 7 * 86_400  # seconds: no session is longer than a week


class Name(StrEnum):
    """Everything that can be made to go wrong."""

    FREEZE = "freeze"
    GAP = "gap"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    DELAY = "delay"
    DISCONNECT = "disconnect"
    SERVER_ERROR = "server_error"
    RESTARTING = "restarting"
    RATE_LIMITED = "rate_limited"
    CANCEL_ONLY = "cancel_only"
    POST_ONLY = "post_only"
    DISABLED = "disabled"
    LOST_AFTER_ACCEPT = "lost_after_accept"
    LOST_BEFORE = "lost_before"
    PARTIAL_BATCH = "partial_batch"
    GHOST_FILL = "ghost_fill"
    RETRYING_TRADE = "retrying_trade"
    STALE_SNAPSHOT = "stale_snapshot"
    INCOMPLETE_PAGE = "incomplete_page"
    TICK_CHANGE = "tick_change"
    NEW_FIELD = "new_field"
    NEW_ENUM = "new_enum"
    HEARTBEAT_LOSS = "heartbeat_loss"
    CLOCK_SKEW = "clock_skew"
    RESOLVED = "resolved"
    HALTED = "halted"
    TOKEN_EXPIRED = "token_expired"
    LATE_FILL = "late_fill"
    REJECTED_LATER = "rejected_later"
    ADMIN_CANCEL = "admin_cancel"


# What each protocol has no use for; the rest fits both.
OF_SATORI = frozenset({Name.TOKEN_EXPIRED, Name.LATE_FILL, Name.REJECTED_LATER, Name.ADMIN_CANCEL})
OF_POLYMARKET = frozenset(
    {
        Name.RESTARTING,
        Name.CANCEL_ONLY,
        Name.POST_ONLY,
        Name.DISABLED,
        Name.PARTIAL_BATCH,
        Name.GHOST_FILL,
        Name.RETRYING_TRADE,
        Name.STALE_SNAPSHOT,
        Name.INCOMPLETE_PAGE,
        Name.NEW_ENUM,
        Name.HEARTBEAT_LOSS,
        Name.CLOCK_SKEW,
    }
)


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """What a fault is aimed at; None aims at everything it can hit."""

    path: str | None = None  # of a REST call, `*` for any text
    method: str | None = None
    channel: str | None = None
    market: int | None = None
    event: str | None = None  # the event_type of a frame

    @property
    def calls_only(self) -> bool:
        """Whether frames are out of its aim."""
        return self.path is not None or self.method is not None

    @property
    def frames_only(self) -> bool:
        """Whether REST calls are out of its aim."""
        return self.channel is not None or self.market is not None or self.event is not None


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a script; durations in microseconds, counted from the first `advance`.

    Exactly one of `at`, `every`, `chance` is set. Without `length` it bites on one event each time it is due.
    """

    name: Name
    at: Micros | None = None
    every: Micros | None = None
    jitter: Micros = Micros(0)
    chance: float | None = None  # of each event it could bite on
    length: Micros | None = None
    times: int | None = None
    where: Where = Where()
    settings: Mapping[str, int | str | None] = {}

    def number(self, key: str) -> int:
        """Return a setting that is always a number: microseconds where it is a duration."""
        found = self.settings[key]
        if not isinstance(found, int):
            raise TypeError(f"{self.name}: {key} is not a number")
        return found

    def text(self, key: str) -> str | None:
        """Return a setting that is a word, None when the seed is to draw it."""
        found = self.settings[key]
        return found if found is None else str(found)


Reading = Callable[[object], int | str]  # raises ValueError with what is allowed


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def seconds_from(low: float, high: float = LONGEST) -> Callable[[object], Micros]:
    """Return how a duration is read, ValueError outside these seconds."""

    def read(value: object) -> Micros:
        number = _number(value)
        if number is None or not low <= number <= high:
            raise ValueError(f"a number of seconds from {low:g} to {high:g} is allowed")
        return Micros(round(number * SECOND))

    return read


def _skew(value: object) -> Micros:
    number = _number(value)
    if number is None or not number or abs(number) > 3600:
        raise ValueError("a number of seconds from -3600 to 3600 is allowed, not 0")
    return Micros(round(number * SECOND))


def whole_from(low: int, high: int) -> Callable[[object], int]:
    """Return how a count is read, ValueError outside these bounds."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high} is allowed")
        return value

    return read


def _word(*allowed: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if isinstance(value, bool) or str(value) not in allowed:
            raise ValueError(f"one of {', '.join(allowed)} is allowed")
        return str(value)

    return read


def _sentence(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a sentence is allowed")
    return value


def _path(value: object) -> str:
    if not isinstance(value, str) or not value.startswith("/"):
        raise ValueError("a path that starts with / is allowed")
    return value


def share(value: object) -> float:
    """Read a probability."""
    number = _number(value)
    if number is None or not 0 < number <= 1:
        raise ValueError("a probability above 0, 1 at most, is allowed")
    return float(number)


AIMS: dict[str, Reading] = {
    "path": _path,
    "method": _word("GET", "POST", "DELETE"),
    "channel": _word("market", "user"),
    "market": whole_from(0, 1_000_000),
    "event": _sentence,
}
_NOWHERE: frozenset[str] = frozenset()
_CALLS = frozenset({"path", "method"})
_FRAMES = frozenset({"channel", "market", "event"})


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What may be said of one kind of fault."""

    where: frozenset[str] = _NOWHERE
    settings: Mapping[str, tuple[Reading, int | str | None]] = {}  # how to read it, and its default
    length: Micros | None = None  # what `for` is when left out
    lasts: bool = True  # whether `for` makes sense
    by_chance: bool = True  # whether it has events that a chance could be of


def _s(duration: float) -> Micros:
    return Micros(round(duration * SECOND))


TERMS: dict[Name, Terms] = {
    Name.FREEZE: Terms(where=frozenset({"channel"}), length=_s(60)),
    Name.GAP: Terms(where=_FRAMES),
    Name.DUPLICATE: Terms(where=_FRAMES, settings={"by": (seconds_from(0, 60), 0)}),
    Name.REORDER: Terms(where=_FRAMES, settings={"by": (seconds_from(0.001, 60), _s(0.5))}),
    Name.DELAY: Terms(where=_FRAMES | _CALLS, settings={"by": (seconds_from(0.001, 3600), _s(2))}),
    Name.DISCONNECT: Terms(
        where=frozenset({"channel"}),
        settings={"code": (whole_from(1000, 4999), 1012), "burst": (whole_from(0, 1000), 0)},
        lasts=False,
    ),
    Name.SERVER_ERROR: Terms(
        where=_CALLS,
        settings={
            "status": (_word("500", "502", "504"), "500"),
            "reached": (_word("never", "always", "either"), "either"),
            "sentence": (_sentence, None),
        },
    ),
    Name.RESTARTING: Terms(
        settings={"retry_after": (seconds_from(0, 600), _s(2)), "post_only_for": (seconds_from(0, 3600), _s(120))},
        length=_s(30),
    ),
    Name.RATE_LIMITED: Terms(where=_CALLS, settings={"retry_after": (seconds_from(0, 600), _s(1))}),
    Name.CANCEL_ONLY: Terms(length=_s(60)),
    Name.POST_ONLY: Terms(length=_s(120)),
    Name.DISABLED: Terms(length=_s(30)),
    Name.LOST_AFTER_ACCEPT: Terms(where=_CALLS),
    Name.LOST_BEFORE: Terms(where=_CALLS),
    Name.PARTIAL_BATCH: Terms(settings={"sentence": (_sentence, None)}),
    Name.GHOST_FILL: Terms(settings={"count": (whole_from(1, 100), 1)}, lasts=False, by_chance=False),
    Name.RETRYING_TRADE: Terms(settings={"count": (whole_from(1, 100), 1)}, lasts=False, by_chance=False),
    Name.STALE_SNAPSHOT: Terms(where=_CALLS, settings={"age": (seconds_from(0.001, 3600), _s(5))}),
    Name.INCOMPLETE_PAGE: Terms(where=_CALLS, settings={"kind": (_word("short", "cursor", "second_page"), None)}),
    Name.TICK_CHANGE: Terms(
        where=frozenset({"market"}),
        settings={"tick": (_word("0.1", "0.01", "0.005", "0.0025", "0.001", "0.0001"), None)},
        by_chance=False,
    ),
    Name.NEW_FIELD: Terms(where=_FRAMES | _CALLS),
    Name.NEW_ENUM: Terms(
        where=_FRAMES | _CALLS,
        settings={"kind": (_word("event", "order_status", "order_kind", "trade_status", "answer_status"), None)},
    ),
    Name.HEARTBEAT_LOSS: Terms(settings={"kind": (_word("error", "lost", "lost_answer", "invalid"), None)}),
    Name.CLOCK_SKEW: Terms(settings={"by": (_skew, _s(5))}, length=_s(60), by_chance=False),
    Name.RESOLVED: Terms(
        where=frozenset({"market"}), settings={"settled": (_word("0", "0.5", "1"), None)}, lasts=False, by_chance=False
    ),
    Name.HALTED: Terms(where=frozenset({"market"}), length=_s(60), by_chance=False),
    Name.TOKEN_EXPIRED: Terms(lasts=False, by_chance=False),
    Name.LATE_FILL: Terms(settings={"by": (seconds_from(0.001, 60), _s(0.5))}),
    Name.REJECTED_LATER: Terms(),
    Name.ADMIN_CANCEL: Terms(settings={"count": (whole_from(1, 1000), 1)}, lasts=False, by_chance=False),
}


def window(fault: Fault) -> Micros | None:
    """Return how long each occurrence lasts in all: a restart is followed by post-only mode (reference 3.10)."""
    if fault.length is None or fault.name is not Name.RESTARTING:
        return fault.length
    return Micros(fault.length + fault.number("post_only_for"))
