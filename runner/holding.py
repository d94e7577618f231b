"""Shares of one token and cash, in the quantities that decide what may be done with them."""

from pmrun.runner.units import Cash, Size


class Holding:
    """Shares of one token, in three quantities, and what they cost."""

    __slots__ = ("confirmed", "cost", "pending", "reserved")

    def __init__(self) -> None:
        """Hold nothing."""
        self.confirmed = 0  # settled, less what has been sold
        self.pending = 0  # bought, not settled yet
        self.reserved = 0  # promised to asks in play
        self.cost = 0  # cash paid for what is held, fees included

    @property
    def held(self) -> Size:
        """Everything bought and not sold, settled or not."""
        return Size(self.confirmed + self.pending)

    @property
    def uncovered(self) -> Size:
        """What no ask promises, settled or not; below zero where asks promise more than is held."""
        return Size(self.held - self.reserved)

    @property
    def sellable(self) -> Size:
        """What a new ask may promise: settled and not promised yet."""
        return Size(max(0, self.confirmed - self.reserved))


class Funds:
    """Cash: total, locked by bids in play, and available (O8)."""

    __slots__ = ("locked", "total")

    def __init__(self, total: int = 0) -> None:
        """Start with an amount, nothing locked."""
        self.total = total
        self.locked = 0

    @property
    def available(self) -> Cash:
        """What a new bid may use."""
        return Cash(self.total - self.locked)
