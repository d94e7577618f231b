"""Estimates how often a resting quote fills by its distance from the mid: λ(δ) = A·exp(−k·δ).

The form is that of Avellaneda and Stoikov, High-frequency trading in a limit order book (2008), and of Guéant, Lehalle
and Fernandez-Tapia, Dealing with the inventory risk (2013); the estimate maximises the likelihood of Poisson counts.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

STEEPEST: Final = 20.0  # a cent: beyond, nothing fills a tick away
_AWAY: Final = (0.5, 1.0, 2.0, 4.0)  # cents at which a belief counts as observed
_STEPS: Final = 60
_CLOSE: Final = 1e-9


class Intensity(NamedTuple):
    """`at_mid` fills a second of a quote at the mid, and by how much they thin out a cent away from it."""

    at_mid: float
    decay: float

    def rate(self, cents: float) -> float:
        """Return the fills a second of a quote so many cents from the mid."""
        return self.at_mid * math.exp(-self.decay * cents)


class Seen(NamedTuple):
    """What was seen at one distance: for how many seconds quotes rested there, and how often they were filled."""

    cents: float
    seconds: float
    fills: float


class Errors(NamedTuple):
    """Standard errors of an estimate, from the curvature of the likelihood."""

    log_at_mid: float
    decay: float


def as_seen(belief: Intensity, fills: float) -> list[Seen]:
    """Return what would have been seen if a belief were worth so many fills: how a prior joins the counts."""
    each = fills / len(_AWAY)
    return [Seen(cents, each / belief.rate(cents), each) for cents in _AWAY]


def fit(seen: Iterable[Seen], prior: Intensity, weight: float) -> Intensity:
    """Return the most likely intensity, with the prior counted as `weight` fills seen.

    The likelihood has one maximum: the decay at which the fills' mean distance is the one that was to be expected. It
    is found by Newton's steps, kept between the last decays that were too low and too high.
    """
    data = [*seen, *as_seen(prior, weight)]
    fills = sum(each.fills for each in data)
    mean = sum(each.fills * each.cents for each in data) / fills
    low, high, decay = 0.0, STEEPEST, min(prior.decay, STEEPEST)
    for _ in range(_STEPS):
        moments = _moments(data, decay)
        gap = moments.mean - mean  # falls as the decay grows, with the variance as its slope
        low, high = (decay, high) if gap > 0 else (low, decay)
        step = decay + gap / moments.variance if moments.variance > 0 else low
        after = step if low < step < high else (low + high) / 2
        if abs(after - decay) < _CLOSE:
            break
        decay = after
    return Intensity(fills / _moments(data, decay).total, decay)


class _Moments(NamedTuple):
    """Of the distances, each weighed by the fills to be expected there but for A."""

    total: float
    mean: float
    variance: float


def _moments(data: Sequence[Seen], decay: float) -> _Moments:
    total = first = second = 0.0
    for cents, seconds, _ in data:
        weight = seconds * math.exp(-decay * cents)
        total += weight
        first += weight * cents
        second += weight * cents * cents
    return _Moments(total, first / total, max(0.0, second / total - (first / total) ** 2))


def errors(seen: Iterable[Seen], found: Intensity) -> Errors:
    """Return the standard errors of an estimate from counts alone; infinite where they say nothing of it."""
    data = list(seen)
    weights = [each.seconds * found.rate(each.cents) for each in data]  # the fills that were to be expected
    total = sum(weights)
    if total <= 0:
        return Errors(math.inf, math.inf)
    mean = sum(weight * each.cents for weight, each in zip(weights, data, strict=True)) / total
    spread = sum(weight * (each.cents - mean) ** 2 for weight, each in zip(weights, data, strict=True))
    if spread <= 0:
        return Errors(math.inf, math.inf)
    return Errors(math.sqrt(1 / total + mean * mean / spread), math.sqrt(1 / spread))


def expected(seen: Iterable[Seen], of: Intensity) -> float:
    """Return how many fills an intensity expects over an exposure."""
    return sum(each.seconds * of.rate(each.cents) for each in seen)


def deviance(fills: float, predicted: float) -> float:
    """Return the Poisson deviance of a count: 0 where it is what was predicted, the larger the less likely it is."""
    if predicted <= 0:
        return 0.0 if fills == 0 else math.inf
    excess = fills * math.log(fills / predicted) if fills else 0.0
    return 2 * (excess - fills + predicted)
