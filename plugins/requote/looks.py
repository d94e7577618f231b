"""Looks: the moments at which an order is held against the book, as often as a poll would (M2, M3)."""

from typing import Final

from pmrun.runner.units import SECOND, Micros

LATE: Final = Micros(500_000)  # a look that comes so late is still that look


def check_poll(poll_sec: Micros) -> None:
    """Refuse looks that would never come, or run into each other; raises ValueError."""
    if not SECOND <= poll_sec <= 86_400 * SECOND:
        raise ValueError("poll_sec must be from 1 second to a day")


def next_look(since: Micros, every: Micros, at: Micros) -> Micros:
    """Return when the first look after a moment is due."""
    return Micros(since + (max(0, at - since) // every + 1) * every)


def look_at(since: Micros, every: Micros, at: Micros) -> Micros:
    """Return the moment itself where a look is due at it, else when the next one is; none is due at the start."""
    gone = at - since
    if gone >= every and gone % every < LATE:
        return at
    return next_look(since, every, at)
