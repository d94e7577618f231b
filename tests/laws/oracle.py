"""The rules of the queue in plain Python, as slowly as possible: what the compiled kernel must agree with.

Written from what `Queue` and the kernel say of themselves. Side 0 is bids, side 1 asks; prices are those of YES.
"""

from dataclasses import dataclass, field

from pmrun.plugins.executors.fill import Cancels

NEVER = -(2**62)


@dataclass
class Mine:
    """One of our orders."""

    name: int
    side: int
    price: int
    left: int
    ahead: int
    told: int = 0  # volume that prints announced and the level has not lost yet
    gone: int = 0  # volume that the level lost and no print has explained yet
    moved: int = 0  # by how much that moved us up

    def better_than(self, price: int) -> bool:
        return self.price > price if self.side == 0 else self.price < price


@dataclass
class Oracle:
    """One market: a book as dictionaries and our orders as a list."""

    cancels: Cancels = Cancels.SHARED
    whole: bool = False
    on_cross: bool = False
    depletion: bool = False
    touch: bool = False
    sizes: tuple[dict[int, int], dict[int, int]] = field(default_factory=lambda: ({}, {}))
    when: dict[tuple[int, int], int] = field(default_factory=dict)
    snapped: int = NEVER
    mine: list[Mine] = field(default_factory=list)
    fills: list[tuple[int, int, int]] = field(default_factory=list)  # name, price, size

    def best(self, side: int) -> int | None:
        there = self.sizes[side]
        if not there:
            return None
        return max(there) if side == 0 else min(there)

    def queue(self, side: int) -> list[Mine]:
        """Our orders of a side, best price first, first come first."""
        return sorted(
            (each for each in self.mine if each.side == side), key=lambda each: -each.price if side == 0 else each.price
        )

    def join(self, name: int, side: int, price: int, size: int) -> None:
        self.mine.append(Mine(name, side, price, size, self.sizes[side].get(price, 0)))

    def leave(self, name: int) -> None:
        self.mine = [each for each in self.mine if each.name != name]

    def fill(self, order: Mine, size: int) -> None:
        self.fills.append((order.name, order.price, size))
        order.left -= size
        if order.left <= 0:
            self.leave(order.name)

    def print(self, taker: int, price: int, size: int, real: bool = True) -> None:
        """Somebody took `size` at a price: it hits the other side, best price first, and is used up once."""
        if self.touch:
            for order in self.queue(1 - taker):
                if order.price == price or order.better_than(price):
                    self.fill(order, order.left)
            return
        used = 0
        for order in self.queue(1 - taker):
            if order.better_than(price):
                take = order.left if self.whole else min(order.left, size - used)
            elif order.price == price:
                if real:
                    late = min(size, order.gone)
                    if late:
                        back = int(order.moved * (late / order.gone))
                        order.ahead, order.moved, order.gone = order.ahead + back, order.moved - back, order.gone - late
                    order.told += size - late
                reached = size - order.ahead
                order.ahead -= size
                if self.whole:
                    take = order.left if reached > 0 else 0
                else:
                    take = max(0, min(order.left, reached - used))
                    order.ahead = max(0, order.ahead)
            else:
                break
            if take > 0:
                self.fill(order, take)
                used += take

    def changed(self, side: int, price: int, old: int, new: int) -> None:
        """The size at a price changed: what no print explains was cancelled, in front of us or behind."""
        for order in self.queue(side):
            if order.price != price:
                continue
            if new > old:
                order.gone = order.moved = 0
            else:
                lost = old - new
                explained = min(lost, order.told)
                order.told -= explained
                cancelled = lost - explained
                if cancelled:
                    up = {
                        Cancels.AHEAD: min(cancelled, order.ahead),
                        Cancels.SHARED: int(cancelled * (order.ahead / old)),
                        Cancels.BEHIND: 0,
                    }[self.cancels]
                    order.ahead -= up
                    order.moved += up
                    order.gone += cancelled
            if order.ahead > new:
                if order.gone and not self.whole:
                    order.moved += order.ahead - new
                order.ahead = new

    def level(self, ts: int, side: int, price: int, size: int) -> None:
        if ts < self.when.get((side, price), NEVER) or ts < self.snapped:
            return
        self.when[side, price] = ts
        old = self.sizes[side].get(price, 0)
        if size == old:
            return
        if self.depletion and size == 0 and price == self.best(side):
            self.print(1 - side, price, old, real=False)
        self.sizes[side].pop(price, None)
        if size:
            self.sizes[side][price] = size
        self.changed(side, price, old, size)

    def snapshot(self, ts: int, levels: list[tuple[int, int, int]]) -> None:
        if ts < self.snapped:
            return
        self.snapped = ts
        before = tuple(dict(side) for side in self.sizes)
        touch = [self.best(side) for side in (0, 1)]
        for side in (0, 1):
            newer = {p: s for p, s in self.sizes[side].items() if self.when.get((side, p), NEVER) > ts}
            self.sizes[side].clear()
            self.sizes[side].update(newer)
        for side, price, size in levels:
            if self.when.get((side, price), NEVER) <= ts:
                self.sizes[side].pop(price, None)
                if size:
                    self.sizes[side][price] = size
        for side in (0, 1):
            for price in range(1, 10_000):
                if self.when.get((side, price), NEVER) < ts:
                    self.when[side, price] = ts
        for side in (0, 1):
            if self.depletion and touch[side] is not None:
                self.wiped_out(side, before[side])
            for price in {each.price for each in self.mine if each.side == side}:
                old, new = before[side].get(price, 0), self.sizes[side].get(price, 0)
                if old != new:
                    self.changed(side, price, old, new)

    def wiped_out(self, side: int, before: dict[int, int]) -> None:
        """Levels better than the new touch are gone: as if each had been printed, best first."""
        after = self.best(side)
        for price in sorted(before, reverse=side == 0):
            still_there = after is not None and (price <= after if side == 0 else price >= after)
            if still_there or not self.queue(side):
                break
            self.print(1 - side, price, before[price], real=False)

    def reached(self, side: int, price: int) -> bool:
        """Whether the other side of the book is at a price or through it."""
        other = self.best(1 - side)
        return other is not None and (other <= price if side == 0 else other >= price)

    def touched(self, side: int, price: int) -> bool:
        """Whether somebody else rests on a side, and nobody there is better than a price."""
        own = self.best(side)
        return own is not None and (own <= price if side == 0 else own >= price)

    def after_row(self) -> None:
        """Fill whole what the other side has reached, or what is at the touch, where that is the rule."""
        for order in [*self.queue(0), *self.queue(1)]:
            if (self.on_cross and self.reached(order.side, order.price)) or (
                self.touch and self.touched(order.side, order.price)
            ):
                self.fill(order, order.left)
