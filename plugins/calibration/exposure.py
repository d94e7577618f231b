"""Counts how long quotes rested at each distance from the mid and how often they filled there, exactly."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pmrun.plugins.calibration.intensity import Seen
from pmrun.runner.units import PRICE_SCALE, SECOND

FILL: Final = 1_000_000  # one fill: counts fade, and stay whole numbers
FINE: Final = 10  # half prices: up to two cents a distance is kept to 1/20 cent
COARSE: Final = 100  # then to half a cent
FINE_UP_TO: Final = 400
FARTHEST: Final = 5_000  # 25 cents; what rests farther away teaches nothing of the touch
CENT: Final = 2 * PRICE_SCALE // 100  # in half prices


def distance_bin(half: int) -> int | None:
    """Return the distance, in 1/20,000 dollar, that a distance is counted at; None where it is too far to count.

    A quote that is better than the mid that was known counts as one at the mid.
    """
    if half <= 0:
        return 0
    if half > FARTHEST:
        return None
    step = FINE if half < FINE_UP_TO else COARSE
    return (half + step // 2) // step * step


@dataclass(slots=True)
class Counts:
    """The exposure (microseconds) and the fills (millionths) of quotes, by distance; both fade with time.

    Fading goes by whole windows of the clock, so that what was counted in two sessions within a window is what one
    session would have counted.
    """

    window: int = 0  # the number of the window they were brought up to
    rested: dict[int, int] = field(default_factory=dict)
    fills: dict[int, int] = field(default_factory=dict)

    def bring_to(self, window: int, kept: float) -> None:
        """Fade up to a window; `kept` is what is left of a count after one."""
        passed = window - self.window
        if passed > 0 and self.window and kept < 1:
            left = kept**passed
            for counts in (self.rested, self.fills):
                for key in list(counts):
                    counts[key] = round(counts[key] * left)
                    if not counts[key]:
                        del counts[key]
        self.window = window

    def add(self, rested: Mapping[int, int], fills: Mapping[int, int]) -> None:
        """Count more."""
        for mine, more in ((self.rested, rested), (self.fills, fills)):
            for key, count in more.items():
                mine[key] = mine.get(key, 0) + count

    def seen(self) -> list[Seen]:
        """Return it in the units of an estimate."""
        return [
            Seen(key / CENT, self.rested.get(key, 0) / SECOND, self.fills.get(key, 0) / FILL)
            for key in sorted(self.rested.keys() | self.fills.keys())
        ]

    @property
    def seconds(self) -> float:
        """All exposure, in seconds of a quote."""
        return sum(self.rested.values()) / SECOND

    @property
    def count(self) -> float:
        """All fills."""
        return sum(self.fills.values()) / FILL

    def carried(self, name: str) -> dict[str, int]:
        """Return it as whole numbers by name."""
        values = {f"{name}/window": self.window}
        values |= {f"{name}/rested/{key}": count for key, count in sorted(self.rested.items())}
        return values | {f"{name}/fills/{key}": count for key, count in sorted(self.fills.items())}


def counts_of(values: Mapping[str, int]) -> dict[str, Counts]:
    """Read what was carried, by name; raises ValueError for what is no count."""
    found: dict[str, Counts] = {}
    for key, value in values.items():
        name, kind, distance = _parts(key)
        if value < 0:
            raise ValueError(f"{key}: {value} is no count")
        counts = found.setdefault(name, Counts())
        if kind == "window":
            counts.window = value
        else:
            (counts.rested if kind == "rested" else counts.fills)[distance] = value
    return found


def _parts(key: str) -> tuple[str, str, int]:
    name, kind, distance = [*key.split("/"), "0"][:3] if key.endswith("/window") else (key.split("/") + [""] * 3)[:3]
    if kind not in ("window", "rested", "fills") or not distance.isdigit() or int(distance) > FARTHEST:
        raise ValueError(f"{key}: nothing that this component carries")
    return name, kind, int(distance)
