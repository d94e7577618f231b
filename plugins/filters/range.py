"""From so much to so much: how a filter is told which values it lets pass."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from pmrun.runner.intents import Number

Quantity = TypeVar("Quantity", bound=int)


@dataclass(frozen=True, slots=True)
class Range(Generic[Quantity]):
    """The least and the most that pass, both included; None: no limit."""

    min: Quantity | None = None
    max: Quantity | None = None

    def __post_init__(self) -> None:
        """Refuse limits that nothing could meet, and limits below nothing."""
        for name in ("min", "max"):
            limit = getattr(self, name)
            if limit is not None and limit < 0:
                raise ValueError(f"{name} must be 0 or more")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("a range must have min at most max")

    @property
    def limited(self) -> bool:
        """Whether there is anything to meet."""
        return self.min is not None or self.max is not None

    def missed(self, value: Quantity, scale: int, unit: str) -> dict[str, Number] | None:
        """Return the numbers of a value outside: itself, the limit and the margin to it; None for one that passes."""
        if self.min is not None and value < self.min:
            return shortfall(value, self.min, scale, unit)
        if self.max is not None and value > self.max:
            return shortfall(value, self.max, scale, unit)
        return None


def shortfall(value: int, limit: int, scale: int, unit: str) -> dict[str, Number]:
    """Return the numbers of a rejection in a trader's unit: `margin` is what is missing to pass (R1)."""
    return {"value": value / scale, "limit": limit / scale, "margin": abs(value - limit) / scale, "unit": unit}
