"""An order as the engine of the embedded exchange knows it, and the exchange's words for it."""

from typing import Final

from pmrun.plugins.exchanges.embedded.book import Entry
from pmrun.plugins.exchanges.embedded.terms import OrderView, Ticket, TimeInForce
from pmrun.runner.market import Market, Outcome, TokenId
from pmrun.runner.units import Micros, Price, Side, Size, cash_paid, complement

# Where an order stands (reference 5.3).
PENDING: Final = "PENDING"  # taken, its escrow held, and not yet matched
LIVE: Final = "LIVE"
FILLED: Final = "MATCHED"
CANCELED: Final = "CANCELED"
CANCELED_EXPIRED: Final = "CANCELED_EXPIRED_ORDER"
CANCELED_RESOLVED: Final = "CANCELED_MARKET_RESOLVED"
CANCELED_NO_MONEY: Final = "CANCELED_NOT_ENOUGH_BALANCE"
CANCELED_BY_ADMIN: Final = "CANCELED_BY_ADMIN"
CANCELED_INVALID: Final = "CANCELED_INVALID"  # it was taken, and could not be matched when its turn came

AT_ONCE: Final = frozenset({TimeInForce.FOK, TimeInForce.FAK})  # never rest
YES, NO, BUY, SELL = Outcome.YES, Outcome.NO, Side.BUY, Side.SELL


class Order:
    """A ticket that was taken; `yes_side` and `yes_price` are its place in the book."""

    __slots__ = ("at", "entry", "escrow", "market", "matched", "outcome", "status", "ticket", "trades")

    def __init__(self, ticket: Ticket, market: int, outcome: Outcome, at: Micros) -> None:
        """Start unmatched."""
        self.ticket = ticket
        self.market = market
        self.outcome = outcome
        self.at = at
        self.status = LIVE
        self.matched = 0
        self.escrow = 0  # what the ledger holds for it, in base units
        self.trades: list[str] = []
        self.entry: Entry | None = None  # its place in a queue while it rests

    @property
    def yes_side(self) -> Side:
        """The side of the YES book: a bid for NO is an ask for YES."""
        return self.ticket.side if self.outcome is YES else self.ticket.side.opposite

    @property
    def yes_price(self) -> Price:
        """The price in terms of YES."""
        return self.own(self.ticket.price)

    @property
    def left(self) -> Size:
        """What has not been matched."""
        return Size(self.ticket.size - self.matched)

    @property
    def needs(self) -> int:
        """What has to be in escrow for what is left of it, in base units."""
        return cash_paid(self.ticket.price, self.left) if self.ticket.side is BUY else self.left

    @property
    def pays_with(self) -> TokenId | None:
        """What it gives: collateral (None) or its token."""
        return None if self.ticket.side is BUY else self.ticket.token

    @property
    def ends_at(self) -> Micros | None:
        """When it expires; None for an order that rests until it is cancelled."""
        return self.ticket.expires_at if self.ticket.time_in_force is TimeInForce.GTD else None

    @property
    def of_crowd(self) -> bool:
        """Whether nobody with an account placed it."""
        return not self.ticket.api_key

    def own(self, price: Price) -> Price:
        """Turn a price of YES into one of its token, or back."""
        return price if self.outcome is YES else complement(price)

    def view(self, market: Market) -> OrderView:
        """Return it as it stands."""
        ticket = self.ticket
        return OrderView(
            order_id=ticket.order_id,
            wallet=ticket.wallet,
            api_key=ticket.api_key,
            condition=market.condition,
            token=ticket.token,
            outcome=self.outcome,
            side=ticket.side,
            price=ticket.price,
            size=ticket.size,
            matched=Size(self.matched),
            time_in_force=ticket.time_in_force,
            expires_at=ticket.expires_at,
            post_only=ticket.post_only,
            created_at=self.at,
            status=self.status,
            trades=tuple(self.trades),
        )
