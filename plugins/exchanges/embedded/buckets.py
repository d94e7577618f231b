"""How much a signer may ask for: token buckets for orders and for cancels (reference 3.11)."""

import msgspec

from pmrun.plugins.exchanges.embedded.replies import CallRefused
from pmrun.runner.units import SECOND, Micros


class Tier(msgspec.Struct, frozen=True):
    """What a tier allows: tokens a second and burst of both buckets, and whether cancels may go below zero."""

    name: str
    order_rate: int
    order_burst: int
    cancel_rate: int
    cancel_burst: int
    may_owe_cancels: bool = True


TIERS = {
    tier.name: tier
    for tier in (
        Tier("Standard", 40, 60, 80, 120),
        Tier("Copper", 60, 90, 120, 180),
        Tier("Bronze", 80, 120, 160, 240),
        Tier("Silver", 200, 300, 400, 600),
        Tier("Gold", 400, 600, 800, 1200),
        Tier("Platinum", 450, 675, 900, 1350, False),
        Tier("Diamond", 525, 787, 1050, 1575, False),
        Tier("Elite", 600, 900, 1200, 1800, False),
    )
}


class Bucket:
    """Tokens that come back at a rate up to a burst; counted in millionths, so exactly."""

    def __init__(self, rate: int, burst: int, at: Micros) -> None:
        """Start full."""
        self.rate = rate
        self.burst = burst
        self._level = burst * SECOND
        self._at = at

    def refill(self, at: Micros) -> None:
        """Let time pass."""
        if at > self._at:
            self._level = min(self.burst * SECOND, self._level + self.rate * (at - self._at))
            self._at = at

    @property
    def tokens(self) -> int:
        """Whole tokens; below zero when cancels are owed."""
        return self._level // SECOND

    def take(self, count: int) -> bool:
        """Take all or nothing."""
        if self._level < count * SECOND:
            return False
        self._level -= count * SECOND
        return True

    def owe(self, count: int, may_owe: bool) -> None:
        """Take afterwards what a call turned out to cost."""
        self._level -= count * SECOND
        if not may_owe:
            self._level = max(0, self._level)

    def wait_for(self, count: int) -> int:
        """Return how many whole seconds until so many tokens are there, at least one; rounded up."""
        missing = max(0, count * SECOND - self._level)
        return max(1, -(-missing // (self.rate * SECOND)))


class Buckets:
    """Both buckets of every signer."""

    def __init__(self, tier: Tier, enforced: bool = True) -> None:
        """Take the tier of all; without `enforced` nothing is refused and no header is sent."""
        self._tier = tier
        self._enforced = enforced
        self._signers: dict[str, tuple[Bucket, Bucket]] = {}

    def place(self, signer: str, count: int, at: Micros) -> dict[str, str]:
        """Admit so many orders, all or none; return the headers, raise CallRefused with 429."""
        return self._admit(self._of(signer, at)[0], count, at)

    def cancel(self, signer: str, count: int, at: Micros) -> dict[str, str]:
        """Admit so many cancels, all or none."""
        return self._admit(self._of(signer, at)[1], count, at)

    def canceled(self, signer: str, count: int, at: Micros) -> dict[str, str]:
        """Debit what a cancel of many turned out to cost; the balance may go below zero (reference 3.11)."""
        bucket = self._of(signer, at)[1]
        if self._enforced:
            bucket.owe(count, self._tier.may_owe_cancels)
        return self._headers(bucket, at)

    def _of(self, signer: str, at: Micros) -> tuple[Bucket, Bucket]:
        found = self._signers.get(signer)
        if found is None:
            tier = self._tier
            found = (
                Bucket(tier.order_rate, tier.order_burst, at),
                Bucket(tier.cancel_rate, tier.cancel_burst, at),
            )
            self._signers[signer] = found
        for bucket in found:
            bucket.refill(at)
        return found

    def _admit(self, bucket: Bucket, count: int, at: Micros) -> dict[str, str]:
        if self._enforced and not bucket.take(count):
            raise CallRefused(429, "Too Many Requests", retry_after=bucket.wait_for(count))
        return self._headers(bucket, at)

    def _headers(self, bucket: Bucket, at: Micros) -> dict[str, str]:
        if not self._enforced:
            return {}
        return {
            "poly-ratelimit-remaining": str(bucket.tokens),
            "poly-ratelimit-reset": str(at // SECOND + bucket.wait_for(bucket.burst)),
            "poly-ratelimit-tier": self._tier.name,
        }
