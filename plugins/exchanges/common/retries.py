"""How long to wait before trying again, and trying again where that can do no harm (R15)."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
import trio

from pmrun.runner.units import SECOND, Micros

T = TypeVar("T")


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """Waits that double from `first` to `longest`; each is drawn from its upper half, so that callers spread out."""

    first: Micros = Micros(500_000)
    longest: Micros = Micros(8 * SECOND)

    def delay(self, attempt: int, chance: float) -> Micros:
        """Return the wait after the given attempt (1: the first); `chance` is in 0..1."""
        whole = min(self.longest, self.first << min(attempt - 1, 30))
        return Micros(whole - int(whole * chance / 2))


async def retried(
    attempt: Callable[[], Awaitable[T]],
    again: Callable[[T], Micros | None],
    *,
    attempts: int,
    backoff: Backoff,
    chance: Callable[[], float],
) -> T:
    """Call until `again` says None or the attempts are used up; return the last result.

    `again` returns the least wait that a result asks for. Only for calls that may run twice: reads.
    """
    tried = 1
    while True:
        result = await attempt()
        least = again(result)
        if least is None or tried >= attempts:
            return result
        await sleep(max(least, backoff.delay(tried, chance())))
        tried += 1


async def sleep(duration: Micros) -> None:
    """Sleep on trio's clock."""
    await trio.sleep(max(duration, 0) / SECOND)
