"""The most that the markets of one event can lose, whatever comes of it.

Of the markets of a negative-risk event at most one resolves to YES (reference 8), and it may be one that is not listed
here. Each resting order fills or does not, whichever is worse. A market that resolves in between loses no more: each
loss is convex in what YES pays, so the worst lies at an end.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol

from pmrun.runner.inventory import Inventory
from pmrun.runner.market import Outcome
from pmrun.runner.units import NOTIONAL_PER_CASH, ONE, Notional, Price, Side, Size

BUY: Final = Side.BUY
YES: Final = Outcome.YES


class Stake(NamedTuple):
    """What a market loses if YES wins there, and if it does not; below zero is a gain."""

    wins: int
    loses: int


class Resting(Protocol):
    """What of an order matters."""

    @property
    def outcome(self) -> Outcome:
        """Its token."""

    @property
    def side(self) -> Side:
        """Which way it trades."""

    @property
    def price(self) -> Price:
        """Its limit."""


def stake(inventory: Inventory, orders: Iterable[tuple[Resting, Size]]) -> Stake:
    """Return what a market can lose: holdings against what they cost, and each order with the shares it may still fill.

    A bid that fills for the losing token is lost; an ask that fills for the winning one gives up the rest of a dollar.
    """
    cost = inventory.cost * NOTIONAL_PER_CASH
    wins = cost - inventory.of(Outcome.YES).held * ONE
    loses = cost - inventory.of(Outcome.NO).held * ONE
    for order, size in orders:
        if order.side is BUY:
            lost, when_yes = order.price * size, order.outcome is not YES
        else:
            lost, when_yes = (ONE - order.price) * size, order.outcome is YES
        if when_yes:
            wins += lost
        else:
            loses += lost
    return Stake(wins, loses)


def worst_case(exclusive: Iterable[Stake], alone: Iterable[Stake] = ()) -> Notional:
    """Return the most that is lost over all ways an event can end; below zero, the least that is gained.

    Of the exclusive markets one wins or none does; where nothing is known of what excludes what, worst cases add.
    """
    all_lose, best_swap = 0, 0
    for one in exclusive:
        all_lose += one.loses
        best_swap = max(best_swap, one.wins - one.loses)
    return Notional(all_lose + best_swap + sum(max(one) for one in alone))
