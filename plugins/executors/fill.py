"""How a resting order is taken to fill: the models, as settings. Only `queue` counts what others really traded."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from pmrun.plugins.executors import kernel
from pmrun.plugins.executors.chance import Chance


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


class FillModel(Protocol):
    """What the paper exchange asks of a model."""

    def rules(self, has_prints: bool) -> kernel.Ints:
        """Return the settings as the kernel takes them."""

    def chance(self, has_prints: bool) -> Chance | None:
        """Return what draws fills, fresh for a session; None when the kernel alone makes them."""

    def remarks(self, has_prints: bool) -> list[str]:
        """Say what a reader has to know of the fills."""


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

    def chance(self, has_prints: bool) -> None:
        """Return nothing: no fill is drawn."""

    def bracket(self) -> dict[str, "Queue"]:
        """Return the three named forms: for one order on one flow each fills no less than the one before it."""
        return {
            "pessimistic": Queue(Cancels.BEHIND, Depletion.NEVER),
            "realistic": Queue(),
            "optimistic": Queue(Cancels.AHEAD),
        }

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
        elif not has_prints and not self.on_cross:
            said.append("no prints on this feed, and nothing else is counted: no resting order can fill")
        if self.whole or self.on_cross:
            said.append("orders fill whole, without regard to printed volume")
        return said


@dataclass(frozen=True, slots=True, eq=False)
class Touch:
    """Fill whole at the best price of its own side, or when a print reaches it: no queue, no taker. It lies.

    It is the rule of backtests on candles, where a price that was touched is a price that was had. Whoever is at the
    touch without being hit is half a spread better than the mid, and here it is given that for nothing.
    """

    def rules(self, has_prints: bool) -> kernel.Ints:
        """Return what the kernel takes."""
        rules = np.zeros(kernel.RULES, np.int64)
        rules[kernel.RULE_TOUCH] = 1
        return rules

    def chance(self, has_prints: bool) -> None:
        """Return nothing: no fill is drawn."""

    def remarks(self, has_prints: bool) -> list[str]:
        """Say that the fills are too good."""
        return [
            "fills are simulated: touch model, whole at the best price of our side, though nobody traded: it fills far "
            "too much, and its profit is not to be believed; for comparison only"
        ]


@dataclass(frozen=True, slots=True, eq=False)
class Intensity:
    """Draw fills at random: ever rarer away from the mid (P3), and only at prints where the feed has any.

    A print at the price of an order d cents from the mid (0 when it is better), or through it, hits the order with the
    probability exp(-`spread_k` x d). On a feed without prints hits come `fill_intensity` x exp(-`spread_k` x d) times a
    second, as a Poisson process (Avellaneda and Stoikov 2008). A hit fills what is left of the order with
    `full_fill_probability`, else a fraction of that drawn from Beta(a, b) = `partial_beta`; never more than
    `max_fraction` of the print, or else of what is displayed at the touch on its side. The draws of an order depend on
    `seed` and on its number alone.
    """

    seed: int = 0
    fill_intensity: float = 0.05
    spread_k: float = 0.5
    full_fill_probability: float = 0.3
    partial_beta: tuple[float, ...] = (2.0, 5.0)
    max_fraction: float = 0.5

    def __post_init__(self) -> None:
        """Refuse rates, chances and shapes that cannot be."""
        if self.seed < 0:
            raise ValueError("seed must be 0 or more")
        for name, most in (("fill_intensity", 1_000.0), ("spread_k", 1_000.0)):
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be from 0 to 1,000")
        if not 0 <= self.full_fill_probability <= 1:
            raise ValueError("full_fill_probability must be from 0 to 1")
        if len(self.partial_beta) != 2 or not all(0 < shape <= 1_000 for shape in self.partial_beta):
            raise ValueError("partial_beta must be two shapes above 0 and at most 1,000")
        if not 0 < self.max_fraction <= 1:
            raise ValueError("max_fraction must be above 0 and at most 1")

    def rules(self, has_prints: bool) -> kernel.Ints:
        """Return what the kernel takes: it fills nothing of its own, and stops at prints or where a touch moved."""
        rules = np.zeros(kernel.RULES, np.int64)
        rules[kernel.RULE_DRAWN] = kernel.BY_PRINTS if has_prints else kernel.BY_TIME
        return rules

    def chance(self, has_prints: bool) -> Chance:
        """Return what draws the fills of a session."""
        rate, whole, (a, b) = self.fill_intensity, self.full_fill_probability, self.partial_beta
        return Chance(has_prints, self.seed, rate, self.spread_k, whole, a, b, self.max_fraction)

    def remarks(self, has_prints: bool) -> list[str]:
        """Say that the fills are drawn, and from what."""
        said = f"fills are simulated: intensity model, drawn at random with seed {self.seed}, not observed"
        if has_prints:
            return [said, "only a print at our price or through it can fill it; fill_intensity is not used"]
        return [
            said,
            "no prints on this feed: fills ignore why others trade, so a profit from them is not to be believed",
        ]
