"""How far past a limit an order that rests already may be before it is pulled (R6).

Judging all the time by the limit of placement would place and pull at every flicker around it, and lose the place in
the queue each time.
"""


def check_hysteresis(share: float) -> None:
    """Refuse a share that is none; raises ValueError."""
    if not 0 <= share < 1:
        raise ValueError("hysteresis must be from 0 to below 1 (a share of the limit)")


def widened(limit: int, share: float, resting: bool) -> int:
    """Return the largest allowed value: the limit, or a little more for what rests."""
    return limit + round(limit * share) if resting else limit


def narrowed(limit: int, share: float, resting: bool) -> int:
    """Return the smallest allowed value: the limit, or a little less for what rests."""
    return limit - round(limit * share) if resting else limit
