"""Fills drawn at random: which prints hit a resting order, or when it is hit without them, and how much that takes."""

import math
from dataclasses import dataclass
from random import Random

CENT = 100  # 1/10,000 dollar
SECOND = 1_000_000  # microseconds
LOT = 10_000  # 1/1,000,000 share: exchanges match hundredths of a share
NEVER = 2**62


@dataclass(slots=True)
class Hits:
    """The hits of one order: one draw a print that reaches it, or a Poisson process whose rate changes with the touch.

    `spent` is the expected number of hits since the last one; the next comes when it has grown by `needed`. It is
    added up where the rate changes and nowhere else, so that it does not matter in what steps time goes by.
    """

    number: int  # of the order
    count: int = 0
    needed: float = 0.0
    spent: float = 0.0
    rate: float = 0.0  # a microsecond
    since: int = 0
    whole: bool = False
    part: float = 0.0
    at: int = NEVER  # when the next one comes


@dataclass(frozen=True, slots=True)
class Chance:
    """Draws hits; every draw is keyed by the seed, the order and how many were drawn for it before."""

    by_prints: bool
    seed: int
    fill_intensity: float  # hits a second at the mid
    spread_k: float  # a cent
    full_fill_probability: float
    a: float
    b: float
    max_fraction: float

    def start(self, number: int, at: int) -> Hits:
        """Return the hits of an order that begins to rest."""
        hits = Hits(number, since=at)
        self._draw(hits)
        return hits

    def rate_of(self, price: int, bid: int, ask: int, buys: bool) -> float:
        """Return the hits a microsecond of an order at a price; prices are those of YES, 1/10,000 dollar."""
        return self.fill_intensity * self._share(price, bid, ask, buys) / SECOND

    def follow(self, hits: Hits, rate: float, at: int) -> None:
        """Go on at another rate."""
        if rate == hits.rate:
            return
        hits.spent += (at - hits.since) * hits.rate
        hits.rate, hits.since = rate, at
        self._expect(hits)

    def hit(self, hits: Hits, left: int, displayed: int) -> int:
        """Return how much the hit takes, in whole hundredths of a share; draws the next one."""
        size = self._size(hits, left, int(displayed * self.max_fraction))
        hits.count += 1
        hits.spent, hits.since = 0.0, hits.at
        self._draw(hits)
        return size

    def strike(
        self, hits: Hits, price: int, bid: int, ask: int, buys: bool, left: int, printed: int, unused: int
    ) -> int:
        """Return how much a print that reaches an order takes of it; draws what the next one will do.

        `bid` and `ask` are the touch before the print, `unused` what our orders before this one left of it.
        """
        size = 0
        if math.exp(-hits.needed) < self._share(price, bid, ask, buys):
            size = self._size(hits, left, min(unused, int(printed * self.max_fraction)))
        hits.count += 1
        self._draw(hits)
        return size

    def _share(self, price: int, bid: int, ask: int, buys: bool) -> float:
        """Return what is left of the hits so far from the mid."""
        if bid <= 0 or ask >= 100 * CENT:
            return 0.0  # no mid to be away from
        mid = (bid + ask) / 2
        away = max(0.0, (mid - price if buys else price - mid) / CENT)
        return math.exp(-self.spread_k * away)

    def _size(self, hits: Hits, left: int, most: int) -> int:
        most = min(left, most // LOT * LOT)
        return most if hits.whole else min(most, int(left * hits.part) // LOT * LOT)

    def _draw(self, hits: Hits) -> None:
        chance = Random(f"fill {self.seed} {hits.number} {hits.count}")
        hits.needed = chance.expovariate(1.0)
        hits.whole = chance.random() < self.full_fill_probability
        hits.part = chance.betavariate(self.a, self.b)
        self._expect(hits)

    def _expect(self, hits: Hits) -> None:
        wait = (hits.needed - hits.spent) / hits.rate if hits.rate > 0 else NEVER
        hits.at = NEVER if wait >= NEVER else hits.since + max(1, math.ceil(wait))
