"""Shares held, cash, and what both may become: each movement is applied once."""

from collections.abc import Iterator
from typing import Final

import msgspec

from pmrun.runner.fills import Fill
from pmrun.runner.holding import Funds, Holding
from pmrun.runner.market import MarketNo, Outcome
from pmrun.runner.orders import NOTHING_KEPT, Kept, Order, OrderNo, Settlement, TradeId, settles
from pmrun.runner.units import (
    CASH_SCALE,
    NOTIONAL_PER_CASH,
    ONE,
    PRICE_SCALE,
    SIZE_SCALE,
    Cash,
    HalfPrice,
    Notional,
    Price,
    Side,
    Size,
)

__all__ = ["Account", "Funds", "Holding", "Inventory"]

BUY: Final = Side.BUY
YES: Final = Outcome.YES


class Inventory:
    """The two holdings of one market, and its exposure."""

    __slots__ = ("_nets_pairs", "_no", "_yes", "bids", "filled", "settled_yes")

    def __init__(self, nets_pairs: bool = True) -> None:
        """Hold nothing, with nothing resting; pairs count nothing unless somebody sells their legs one by one."""
        self._nets_pairs = nets_pairs
        self._yes = Holding()
        self._no = Holding()
        self.bids = 0  # notional of the bids in play, in flight included
        self.filled = 0  # notional of what is held and not paired
        self.settled_yes: Price | None = None  # what YES paid, once the market is resolved

    def of(self, outcome: Outcome) -> Holding:
        """Return the holding of one token."""
        return self._yes if outcome is YES else self._no

    @property
    def held(self) -> int:
        """Shares of either token, settled or not."""
        return self._yes.held + self._no.held

    @property
    def pairs(self) -> Size:
        """Shares held on both sides: each pair is a dollar, whatever happens."""
        return Size(min(self._yes.held, self._no.held))

    @property
    def net(self) -> int:
        """Shares of YES less shares of NO: a NO share is a YES share sold, plus a dollar."""
        return self._yes.held - self._no.held

    def _unpaired(self) -> int:
        """Return the cost of what is held and not paired: filled exposure, until it is sold (R8).

        Where hedging sells the two legs of a pair one after the other, both count: the first sale leaves the second.
        """
        if not self._nets_pairs:
            return max(0, self._yes.cost + self._no.cost) * NOTIONAL_PER_CASH
        longer = self._yes if self._yes.held > self._no.held else self._no
        if longer.held <= 0:
            return 0
        alone = longer.held - self.pairs
        return longer.cost * alone // longer.held * NOTIONAL_PER_CASH

    def refresh(self) -> int:
        """Recompute what depends on the holdings; return by how much the exposure changed."""
        before, self.filled = self.filled, self._unpaired()
        return self.filled - before

    @property
    def exposure(self) -> Notional:
        """The most that can be lost if every bid in play fills and the worst comes (R8)."""
        return Notional(self.bids + self.filled)

    @property
    def mergeable(self) -> Size:
        """Pairs that are settled and promised to nobody: what a merge may take."""
        return Size(min(self._yes.sellable, self._no.sellable))

    def value(self, mid: HalfPrice) -> Cash:
        """Return what is held at a mid of YES, in cash; NO is worth a dollar less the mid."""
        twice = self._yes.held * mid + self._no.held * (2 * ONE - mid)
        return Cash(twice * CASH_SCALE // (2 * PRICE_SCALE * SIZE_SCALE))

    @property
    def cost(self) -> Cash:
        """What everything held cost."""
        return Cash(self._yes.cost + self._no.cost)


class Account:
    """All holdings and the cash of one account, fed by orders and fills.

    Law: cash + cost of holdings − realised = what was there at the start; holdings = sum of fills not failed.
    """

    __slots__ = (
        "_cost_sold",
        "_early",
        "_markets",
        "_nets_pairs",
        "exposure",
        "exposure_max",
        "fees",
        "fills",
        "funds",
        "realised",
        "rebates",
    )

    def __init__(self, nets_pairs: bool = True) -> None:
        """Start with nothing; `nets_pairs` says that a pair of YES and NO is no exposure."""
        self._nets_pairs = nets_pairs
        self.funds = Funds()
        self._markets: dict[MarketNo, Inventory] = {}
        self.fills: dict[tuple[TradeId, OrderNo], Fill] = {}
        self._early: dict[tuple[TradeId, OrderNo], Settlement] = {}
        self._cost_sold: dict[tuple[TradeId, OrderNo], int] = {}  # what the shares of a sale had cost
        self.realised = 0
        self.fees = 0
        self.rebates = 0
        self.exposure = 0  # of all markets together
        self.exposure_max = 0

    def inventory(self, market: MarketNo) -> Inventory:
        """Return the inventory of a market."""
        found = self._markets.get(market)
        if found is None:
            found = self._markets[market] = Inventory(self._nets_pairs)
        return found

    def markets(self) -> Iterator[tuple[MarketNo, Inventory]]:
        """Iterate over the markets that have an inventory, in order of first use."""
        return iter(self._markets.items())

    def reserve(self, order: Order, before: Kept = NOTHING_KEPT) -> None:
        """Move what an order keeps from other uses: cash and exposure of a bid, shares of an ask."""
        inventory = self._markets.get(order.market) or self.inventory(order.market)
        if order.side is BUY:
            locked, exposed, _ = before
            self.funds.locked += order.locked - locked
            change = order.exposed - exposed
            inventory.bids += change
            self._expose(change)
        else:
            inventory.of(order.outcome).reserved += order.reserved - before[2]

    def seen(self, market: MarketNo, outcome: Outcome, size: Size, cost: Cash) -> None:
        """Take over what the exchange says is held and settled; what is promised to asks in play stays promised."""
        inventory = self.inventory(market)
        holding = inventory.of(outcome)
        holding.confirmed, holding.cost = size, cost
        self._expose(inventory.refresh())

    def book(self, fill: Fill) -> None:
        """Book a fill that is not booked yet: a bought share is pending until settled, a sold one is gone."""
        self.fills[fill.trade, fill.order] = fill
        self._move(fill)
        self.fees += fill.fee
        self.rebates += fill.rebate
        early = self._early.pop((fill.trade, fill.order), None)
        if early is not None:
            self.settle(fill.trade, fill.order, early)

    def _expose(self, change: int) -> None:
        self.exposure += change
        if self.exposure > self.exposure_max:
            self.exposure_max = self.exposure

    def _move(self, fill: Fill) -> None:
        inventory = self.inventory(fill.market)
        self._apply(fill, inventory.of(fill.outcome))
        self._expose(inventory.refresh())

    def _apply(self, fill: Fill, holding: Holding) -> None:
        self.funds.total += fill.money
        if fill.side is BUY:
            holding.pending += fill.size
            holding.cost -= fill.money
            return
        left = holding.cost * fill.size // holding.held if holding.held else 0
        holding.confirmed -= fill.size
        holding.cost -= left
        self.realised += fill.money - left
        self._cost_sold[fill.trade, fill.order] = left

    def settle_when_filled(self, trade: TradeId, order: OrderNo, status: Settlement) -> None:
        """Keep settlement news that overtook its fill until the fill comes."""
        known = self._early.get((trade, order))
        if known is None or settles(known, status):
            self._early[trade, order] = status

    def settle(self, trade: TradeId, order: OrderNo, status: Settlement) -> bool | None:
        """Apply settlement news; True when it changed something, None when it cannot be (unknown fill, contradiction).

        FAILED takes back the shares, the cash, the fee and the expected rebate.
        """
        fill = self.fills.get((trade, order))
        moves = None if fill is None else settles(fill.status, status)
        if fill is None or not moves:
            return moves
        self.fills[trade, order] = msgspec.structs.replace(fill, status=status)
        inventory = self.inventory(fill.market)
        holding = inventory.of(fill.outcome)
        if status is Settlement.CONFIRMED and fill.side is BUY and inventory.settled_yes is None:
            holding.pending -= fill.size
            holding.confirmed += fill.size
        elif status is Settlement.FAILED:
            self._reverse(fill, holding)
            if inventory.settled_yes is not None:
                self._pay(holding, _payout(fill.outcome, inventory.settled_yes))
            self._expose(inventory.refresh())
        return True

    def redeem(self, market: MarketNo, settled_yes: Price) -> None:
        """Turn what is held of a resolved market into cash: YES pays `settled_yes`, NO the rest of a dollar."""
        inventory = self.inventory(market)
        inventory.settled_yes = settled_yes
        for outcome in Outcome:
            self._pay(inventory.of(outcome), _payout(outcome, settled_yes))
        self._expose(inventory.refresh())

    def promise_pairs(self, market: MarketNo, size: int) -> None:
        """Keep both legs of pairs from other uses while a merge of them is in flight; below zero gives them back."""
        inventory = self.inventory(market)
        for outcome in Outcome:
            inventory.of(outcome).reserved += size

    def merge(self, market: MarketNo, size: Size, cash: Cash) -> None:
        """Turn pairs into cash: their share of what both holdings cost becomes realised."""
        inventory = self.inventory(market)
        self.funds.total += cash
        self.realised += cash
        for outcome in Outcome:
            holding = inventory.of(outcome)
            left = holding.cost * size // holding.held if holding.held else 0
            holding.confirmed -= size
            holding.cost -= left
            self.realised -= left
        self._expose(inventory.refresh())

    def _pay(self, holding: Holding, price: Price) -> None:
        """Turn a holding into cash; one that a failed fill left short pays back."""
        paid = holding.held * price // NOTIONAL_PER_CASH
        self.funds.total += paid
        self.realised += paid - holding.cost
        holding.confirmed = holding.pending = holding.cost = 0

    def _reverse(self, fill: Fill, holding: Holding) -> None:
        self.funds.total -= fill.money
        self.fees -= fill.fee
        self.rebates -= fill.rebate
        if fill.side is Side.SELL:
            left = self._cost_sold.pop((fill.trade, fill.order))
            holding.confirmed += fill.size
            holding.cost += left
            self.realised -= fill.money - left
            return
        # It takes back its own cost; where part of the holding was sold since, what was realised makes up the rest.
        own = -fill.money
        left = own if holding.held > fill.size or holding.cost == own else holding.cost
        holding.pending -= fill.size
        holding.cost -= left
        self.realised += own - left


def _payout(outcome: Outcome, settled_yes: Price) -> Price:
    return settled_yes if outcome is Outcome.YES else Price(ONE - settled_yes)
