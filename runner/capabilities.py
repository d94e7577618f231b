"""What an exchange can do, what components need of it, and what takes the place of what is missing (V5)."""

from collections.abc import Iterable, Mapping

import msgspec

from pmrun.runner.errors import ConfigError
from pmrun.runner.units import Word


class Capability(Word):
    """Something that an exchange offers or lacks."""

    POST_ONLY = "post_only"  # an order that would take is refused
    HEARTBEAT = "heartbeat"  # everything is cancelled when nobody is heard of any more
    ORDER_HASH = "order_hash"  # the id of an order is known before it is sent
    BULK_CANCEL = "bulk_cancel"  # one call cancels many orders
    TIME_IN_FORCE = "time_in_force"  # orders that end by themselves
    MERGE = "merge"  # pairs of YES and NO become cash
    REWARDS = "rewards"  # orders that rest are paid for


# What the runner itself makes use of, whatever the strategy is.
RUNNER = "desk"
RUNNER_NEEDS = (Capability.POST_ONLY, Capability.HEARTBEAT, Capability.ORDER_HASH, Capability.BULK_CANCEL)


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange's table: what it has, and for what it lacks, what is done instead, where anything can be.

    `order_calls` is how many places and cancels a minute it takes (None: so many that nothing has to be planned).
    """

    exchange: str
    has: frozenset[Capability]
    substitutes: Mapping[Capability, str] = {}
    order_calls: int | None = None

    def without(self, lacks: Mapping[Capability, str]) -> "Capabilities":
        """Return the table of an adapter that cannot do all that its exchange can, with what it does instead."""
        substitutes = {**self.substitutes, **lacks}
        return msgspec.structs.replace(self, has=self.has - lacks.keys(), substitutes=substitutes) if lacks else self


class Lacking(ConfigError):
    """An exchange lacks what a component needs, and nothing stands in for it."""


class Substitution(msgspec.Struct, frozen=True):
    """What stands in for a capability, and who needs it."""

    component: str
    capability: Capability
    exchange: str
    how: str

    def __str__(self) -> str:
        return f"{self.component} needs {self.capability}, which {self.exchange} lacks; instead: {self.how}"


def needs_of(components: Mapping[str, object]) -> dict[str, tuple[Capability, ...]]:
    """Return what components need, by their node; ConfigError for a need that nobody knows."""
    found: dict[str, tuple[Capability, ...]] = {}
    for node, component in components.items():
        named: Iterable[str] = getattr(component, "needs", ())
        try:
            needs = tuple(sorted(Capability(each) for each in named))
        except ValueError:
            known = ", ".join(Capability)
            raise ConfigError(
                node, ", ".join(sorted(named)), f"needs a capability that is none; known: {known}"
            ) from None
        if needs:
            found[node] = needs
    return found


def settle(table: Capabilities, needs: Mapping[str, Iterable[Capability]]) -> tuple[Substitution, ...]:
    """Return what takes the place of what the exchange lacks; ConfigError names the first need that nothing meets."""
    found: list[Substitution] = []
    for node, wanted in needs.items():
        for capability in wanted:
            if capability in table.has:
                continue
            how = table.substitutes.get(capability)
            if how is None:
                raise Lacking(node, None, f"needs {capability}, which {table.exchange} lacks, and nothing stands in")
            found.append(Substitution(node, capability, table.exchange, how))
    return tuple(found)
