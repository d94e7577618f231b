"""What we may still send: the exchange's token buckets, and the pauses that it asks for (reference 3.10, 3.11b, P9)."""

from collections.abc import Callable, Mapping

import msgspec

from pmrun.plugins.exchanges.common.calls import Kind
from pmrun.plugins.exchanges.common.retries import Backoff, sleep
from pmrun.plugins.exchanges.polymarket.errors_table import Reaction, rule
from pmrun.plugins.exchanges.polymarket.wire_rest import ErrorAnswer
from pmrun.runner.units import SECOND, Micros

_TOKEN = 1_000_000  # buckets count in millionths: a rate of tokens a second is that many of them a microsecond
_POST_ONLY_PAUSE = Micros(120 * SECOND)  # after every restart (reference 3.10)
_LONGEST_CANCEL_PAUSE = Micros(2 * SECOND)  # what rests is at risk: ask again sooner than for places
_RESTART = Backoff(first=SECOND, longest=Micros(30 * SECOND))


class Tier(msgspec.Struct, frozen=True):
    """Tokens a second and at most at once; `debt` when cancels may overdraw (reference 3.11b)."""

    name: str
    order_rate: int
    order_burst: int
    cancel_rate: int
    cancel_burst: int
    debt: bool


STANDARD = Tier("Standard", 40, 60, 80, 120, True)
TIERS = {
    tier.name: tier
    for tier in (
        STANDARD,
        Tier("Copper", 60, 90, 120, 180, True),
        Tier("Bronze", 80, 120, 160, 240, True),
        Tier("Silver", 200, 300, 400, 600, True),
        Tier("Gold", 400, 600, 800, 1_200, True),
        Tier("Platinum", 450, 675, 900, 1_350, False),
        Tier("Diamond", 525, 787, 1_050, 1_575, False),
        Tier("Elite", 600, 900, 1_200, 1_800, False),
    )
}


class _Bucket:
    def __init__(self, rate: int, burst: int, at: Micros) -> None:
        self.rate = rate
        self.burst = burst
        self.level = burst * _TOKEN
        self.at = at

    def refill(self, at: Micros) -> None:
        self.level = min(self.burst * _TOKEN, self.level + max(at - self.at, 0) * self.rate)
        self.at = max(at, self.at)

    def change(self, rate: int, burst: int) -> None:
        """Go by other limits; what was used is still used."""
        self.level += (burst - self.burst) * _TOKEN
        self.rate, self.burst = rate, burst

    def wait(self, tokens: int) -> Micros:
        return Micros(max(0, -((self.level - tokens * _TOKEN) // self.rate)))

    def spend(self, tokens: int, debt: bool) -> None:
        self.level -= tokens * _TOKEN
        if not debt:
            self.level = max(self.level, 0)


class Budget:
    """Sheds places before the exchange does, and always keeps room for cancels.

    A place is refused at once when either bucket is low, for what rests must be able to go; a cancel waits for its
    tokens. The last tokens of the cancel bucket are kept for urgent cancels: cancel-all and the like.
    """

    def __init__(self, now: Callable[[], Micros], tier: Tier = STANDARD) -> None:
        """Start with full buckets of the lowest tier: the exchange's answers say which one it is."""
        self._now = now
        self.tier = tier
        self._orders = _Bucket(tier.order_rate, tier.order_burst, now())
        self._cancels = _Bucket(tier.cancel_rate, tier.cancel_burst, now())
        self._blocked: dict[Kind, Micros] = {}
        self._unavailable = 0
        self.shed = 0
        self.warnings = 0
        self.unknown_tiers: set[str] = set()

    @property
    def reserve(self) -> int:
        """The cancels that only urgent ones may use: a tenth of the burst."""
        return self.tier.cancel_burst // 10

    @property
    def largest_cancel(self) -> int:
        """The most ids of one cancel call; a larger one could never pass (reference 3.3, 3.11b)."""
        return min(1_000, self.tier.cancel_burst - self.reserve)

    def blocked_until(self, kind: Kind) -> Micros:
        """Return until when the exchange asked us to send no such call; zero when it did not."""
        kinds = (kind, Kind.PLACE) if kind is Kind.TAKE else (kind,)
        return max(self._blocked.get(each, Micros(0)) for each in kinds)

    def room(self) -> int:
        """Return how many places would pass now."""
        self._refill()
        if self._cancels.level < self.tier.cancel_burst // 4 * _TOKEN:
            return 0
        return max(self._orders.level // _TOKEN, 0)

    def try_order(self, count: int = 1) -> bool:
        """Take tokens for as many places, all or none; False sheds them."""
        if count > self.room() or self._now() < self.blocked_until(Kind.PLACE):
            self.shed += count
            return False
        self._orders.spend(count, debt=False)
        return True

    async def cancel(self, count: int = 1, urgent: bool = False) -> None:
        """Take tokens for as many cancels, once they are there and the exchange takes cancels.

        Raises ValueError for more than could ever pass.
        """
        if count > self.largest_cancel:
            raise ValueError(f"{count} cancels at once, at most {self.largest_cancel} ever pass")
        kept = 0 if urgent else self.reserve
        while wait := self.cancel_wait(count + kept):
            await sleep(wait)
        self._cancels.spend(count, debt=False)

    def cancel_wait(self, tokens: int) -> Micros:
        """Return how long until the cancel bucket holds as many tokens and no pause is on."""
        self._refill()
        return Micros(max(self.blocked_until(Kind.CANCEL) - self._now(), self._cancels.wait(tokens), 0))

    def canceled(self, count: int) -> None:
        """Debit what a cancel-all turned out to cost; it may overdraw (reference 3.11b)."""
        self._refill()
        self._cancels.spend(count, self.tier.debt)

    def block(self, kind: Kind, duration: Micros) -> None:
        """Send no such call for a while."""
        self._blocked[kind] = Micros(max(self.blocked_until(kind), self._now() + duration))

    def learn_post_only(self) -> None:
        """Take the post-only mode from a leg of a batch, where no status says it (reference 3.10)."""
        self.block(Kind.TAKE, _POST_ONLY_PAUSE)

    def learn(self, kind: Kind, status: int, headers: Mapping[str, str], refusal: ErrorAnswer | None = None) -> None:
        """Take what an answer says about limits and pauses; header names are lower case."""
        self._refill()
        self._learn_limits(kind, headers)
        if status == 429:
            self.block(kind, _asked(headers, refusal, self._now()) or SECOND)
        elif status in (425, 503):
            self._unavailable += 1
            self._learn_mode(kind, status, headers, refusal)
        elif status < 300:
            self._unavailable = 0

    def _learn_limits(self, kind: Kind, headers: Mapping[str, str]) -> None:
        self.warnings += "poly-ratelimit-warning" in headers
        if (name := headers.get("poly-ratelimit-tier")) and name.lower() != self.tier.name.lower():
            self._change_tier(name)
        remaining = _whole(headers.get("poly-ratelimit-remaining"))
        if remaining is not None and kind is not Kind.READ:
            bucket = self._cancels if kind is Kind.CANCEL else self._orders
            # Never up: calls still under way are counted here already, and not yet there.
            bucket.level = min(bucket.level, remaining * _TOKEN)

    def _change_tier(self, name: str) -> None:
        """Go by another tier's rates; an unknown name is remembered and changes nothing."""
        tier = TIERS.get(name.capitalize())
        if tier is None:
            self.unknown_tiers.add(name)
            return
        self.tier = tier
        self._orders.change(tier.order_rate, tier.order_burst)
        self._cancels.change(tier.cancel_rate, tier.cancel_burst)

    def _learn_mode(self, kind: Kind, status: int, headers: Mapping[str, str], refusal: ErrorAnswer | None) -> None:
        asked = _asked(headers, refusal, self._now())
        pause = asked or _RESTART.delay(self._unavailable, 0.0)
        mode = rule(status, refusal.message if refusal else "").reaction
        if mode is Reaction.POST_ONLY or (refusal is not None and refusal.code == "post_only_mode"):
            self.block(Kind.TAKE, asked or _POST_ONLY_PAUSE)
        elif kind is Kind.READ:
            self.block(Kind.READ, pause)
        else:
            self.block(Kind.PLACE, pause)
            if mode is not Reaction.CANCEL_ONLY:
                self.block(Kind.CANCEL, min(pause, _LONGEST_CANCEL_PAUSE))

    def _refill(self) -> None:
        at = self._now()
        self._orders.refill(at)
        self._cancels.refill(at)


def _asked(headers: Mapping[str, str], refusal: ErrorAnswer | None, at: Micros) -> Micros | None:
    """Return how long the exchange asks us to wait, by header, by body, or by when the bucket is full again."""
    if (after := _whole(headers.get("retry-after"))) is not None:
        return Micros(after * SECOND)
    if refusal is not None and refusal.retry_after is not None:
        return refusal.retry_after
    reset = _whole(headers.get("poly-ratelimit-reset"))
    if reset is not None and headers.get("poly-ratelimit-remaining") == "0":
        return Micros(max(reset * SECOND - at, 0))
    return None


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 16 else None
