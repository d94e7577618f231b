"""How a resting order is taken to fill: the rules of a queue, as settings."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from pmrun.plugins.executors import kernel


class Cancels(StrEnum):
    """Where in the queue cancels are taken to happen: nobody outside the exchange can see it."""

    AHEAD = "ahead"  # all in front of us: optimistic
    SHARED = "shared"  # in proportion to what is in front and behind
    BEHIND = "behind"  # all behind us: pessimistic


class Depletion(StrEnum):
    """Whether a level that vanishes through our price counts as a print of its size."""

    AUTO = "auto"  # on feeds without prints only
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True, eq=False)
class Queue:
    """Join behind what rests, move up by prints and by a share of the cancels, fill only from printed volume.

    `whole` fills an order whole as soon as the queue ahead is used up, and `on_cross` when the book reaches its
    price, both without regard to the volume: the rule of hftbacktest's risk-averse queue model, for comparison.
    """

    cancels: Cancels = Cancels.SHARED
    depletion: Depletion = Depletion.AUTO
    whole: bool = False
    on_cross: bool = False

    def rules(self, has_prints: bool) -> kernel.Ints:
        """Return the settings as the kernel takes them."""
        rules = np.zeros(kernel.RULES, np.int64)
        rules[kernel.RULE_CANCELS] = list(Cancels).index(self.cancels)
        rules[kernel.RULE_WHOLE] = self.whole
        rules[kernel.RULE_CROSS] = self.on_cross
        rules[kernel.RULE_DEPLETION] = self.counts_depletion(has_prints)
        return rules

    def counts_depletion(self, has_prints: bool) -> bool:
        """Whether levels that vanish are counted as prints on this feed."""
        return self.depletion is Depletion.ALWAYS or (self.depletion is Depletion.AUTO and not has_prints)

    def remarks(self, has_prints: bool) -> list[str]:
        """Say what a reader has to know of the fills."""
        said = [f"fills are simulated: queue model, cancels {self.cancels}"]
        if self.counts_depletion(has_prints):
            said.append(
                "no prints on this feed: levels that vanish through our price are counted as prints (estimated)"
            )
        if self.whole or self.on_cross:
            said.append("orders fill whole, without regard to printed volume")
        return said
