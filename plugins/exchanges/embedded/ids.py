"""Ids of orders and trades: the same again in a rehearsal, never the same after a restart."""

from random import Random
from uuid import UUID

from pmrun.runner.units import Micros


class Ids:
    """Draws from a seed and the time of the first draw: account files know orders by their ids for ever."""

    def __init__(self, what: str, seed: int) -> None:
        """Name what the ids are of."""
        self._seed = f"{what} {seed}"
        self._random: Random | None = None

    def bits(self, count: int, at: Micros) -> int:
        """Return so many random bits."""
        if self._random is None:
            self._random = Random(f"{self._seed} {at}")
        return self._random.getrandbits(count)

    def uuid(self, at: Micros) -> str:
        """Return a UUID."""
        return str(UUID(int=self.bits(128, at), version=4))
