"""When the exchange takes what: its modes, and the dead man's switch of its callers (reference 3.6, 3.9, 3.10)."""

import uuid
from enum import StrEnum
from random import Random

from pmrun.plugins.exchanges.embedded.replies import CallRefused
from pmrun.runner.units import SECOND, Micros

POST_ONLY_AFTER_RESTART = Micros(120 * SECOND)  # reference 3.10


class Mode(StrEnum):
    """What the exchange takes at all (reference 3.9, 3.10)."""

    RUNNING = "running"
    RESTARTING = "restarting"
    POST_ONLY = "post_only"
    CANCEL_ONLY = "cancel_only"
    DISABLED = "disabled"


class Modes:
    """The mode now, and those it goes through next."""

    def __init__(self) -> None:
        """Start running."""
        self._now = Mode.RUNNING
        self._ends: Micros | None = None
        self._then: list[tuple[Mode, Micros | None]] = []

    def set(self, mode: Mode, until: Micros | None = None) -> None:
        """Change the mode, for good or until a time, after which it is running again."""
        self._now, self._ends = mode, until
        self._then = [(Mode.RUNNING, None)]

    def restart(self, at: Micros, duration: Micros) -> None:
        """Restart: 425 for a while, then two minutes of post-only mode (reference 3.10)."""
        self._now, self._ends = Mode.RESTARTING, Micros(at + duration)
        self._then = [(Mode.POST_ONLY, Micros(self._ends + POST_ONLY_AFTER_RESTART)), (Mode.RUNNING, None)]

    def at(self, at: Micros) -> Mode:
        """Return the mode at a time."""
        while self._ends is not None and at >= self._ends:
            self._now, self._ends = self._then.pop(0)
        return self._now

    def wait(self, at: Micros) -> int | None:
        """Return how many seconds the mode lasts, as the answers say it; None when nobody knows."""
        return None if self._ends is None else max(1, -(-(self._ends - at) // SECOND))


class Heartbeats:
    """The dead man's switch: once begun, a heartbeat that is missed cancels everything (reference 3.6)."""

    def __init__(self, timeout: Micros, sweep: Micros, seed: int) -> None:
        """Take how long a key may be silent, and how often that is looked at."""
        self._timeout = timeout
        self._sweep = sweep
        self._draw = Random(f"heartbeat:{seed}")
        self._expected: dict[str, str] = {}
        self._heard: dict[str, Micros] = {}

    def beat(self, api_key: str, sent: str, at: Micros) -> str:
        """Take a heartbeat and return the next id; CallRefused names the one that was expected."""
        expected = self._expected.get(api_key, "")
        if sent != expected:
            raise CallRefused(
                400, "Invalid Heartbeat ID", fields={"error_msg": "Invalid Heartbeat ID", "heartbeat_id": expected}
            )
        made = str(uuid.UUID(int=self._draw.getrandbits(128), version=4))
        self._expected[api_key] = made
        self._heard[api_key] = at
        return made

    def legacy(self, api_key: str, at: Micros) -> None:
        """Take a heartbeat without an id; the next expected id is the empty one."""
        self._expected[api_key] = ""
        self._heard[api_key] = at

    def next_due(self) -> Micros | None:
        """Return the first sweep that may find somebody silent."""
        if not self._heard:
            return None
        return Micros(-(-(min(self._heard.values()) + self._timeout) // self._sweep) * self._sweep)

    def silent(self, at: Micros) -> list[str]:
        """Return whose heartbeat was missed, and disarm them: the next one begins anew."""
        found = [key for key, heard in self._heard.items() if at - heard >= self._timeout]
        for key in found:
            del self._heard[key]
            self._expected.pop(key, None)
        return found
