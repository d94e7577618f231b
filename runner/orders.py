"""The life of an order, the same for every exchange (O1, O2)."""

from typing import Any, Final, NewType

from pmrun.runner.market import MarketNo, Outcome
from pmrun.runner.units import NOTIONAL_PER_CASH, Cash, Micros, Notional, Price, Side, Size, Word, complement

OrderNo = NewType("OrderNo", int)  # the desk's own counter: the idempotency key is made of it
TradeId = NewType("TradeId", str)


class State(Word):
    """Where an order stands (O1)."""

    PENDING_SUBMIT = "PENDING_SUBMIT"
    SUBMITTED = "SUBMITTED"
    LIVE = "LIVE"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


class News(Word):
    """What may be said of an order."""

    ACCEPTED = "accepted"  # the HTTP answer: it reached the exchange (O3, layer A)
    RESTING = "resting"  # it can be seen on the book (O3, layer B)
    FILLED_PART = "filled_part"
    FILLED_FULL = "filled_full"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    UNKNOWN = "unknown"  # the answer was lost (O7)
    SEEN = "seen"  # nothing new; what was said is kept for audit (O2)


class Purpose(Word):
    """Why an order ought to rest."""

    QUOTE = "quote"
    HEDGE = "hedge"
    FLATTEN = "flatten"


class Settlement(Word):
    """Where the settlement of one fill stands; a second axis beside the order's state (O1)."""

    MATCHED = "matched"
    MINED = "mined"
    RETRYING = "retrying"
    CONFIRMED = "confirmed"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        """Whether nothing can follow."""
        return self in (Settlement.CONFIRMED, Settlement.FAILED)


BUY: Final = Side.BUY  # looking a member up in its class costs more than the comparison
YES: Final = Outcome.YES
UNKNOWN: Final = News.UNKNOWN
SEEN: Final = News.SEEN
PENDING_SUBMIT: Final = State.PENDING_SUBMIT
_S, _N = State, News
UNANSWERED: Final = frozenset({State.PENDING_SUBMIT, State.SUBMITTED})
ENDED: Final = frozenset({State.FILLED, State.CANCELED, State.REJECTED, State.EXPIRED})

# Every (state, news) pair is decided: a state to be in, or None for what cannot be. News comes late, twice and out of
# order, so most of the table says "stay". The odd ones:
# - a fill proves that the order was accepted, whatever we have been told so far;
# - a cancel or an expiry does not undo a fill that the exchange matched before it: CANCELED plus the missing fill is
#   FILLED, and FILLED stays FILLED, so that either order of the two ends the same;
# - a rejected order has never existed: anything that says it did is a contradiction, not a late message;
# - UNKNOWN only marks an order that is still unanswered, and SEEN marks nothing.
LIFECYCLE: Final[dict[tuple[State, News], State | None]] = {
    (_S.PENDING_SUBMIT, _N.ACCEPTED): _S.SUBMITTED,
    (_S.PENDING_SUBMIT, _N.RESTING): _S.LIVE,
    (_S.PENDING_SUBMIT, _N.FILLED_PART): _S.PARTIALLY_FILLED,
    (_S.PENDING_SUBMIT, _N.FILLED_FULL): _S.FILLED,
    (_S.PENDING_SUBMIT, _N.CANCELED): _S.CANCELED,
    (_S.PENDING_SUBMIT, _N.REJECTED): _S.REJECTED,
    (_S.PENDING_SUBMIT, _N.EXPIRED): _S.EXPIRED,
    (_S.PENDING_SUBMIT, _N.UNKNOWN): _S.PENDING_SUBMIT,
    (_S.PENDING_SUBMIT, _N.SEEN): _S.PENDING_SUBMIT,
    (_S.SUBMITTED, _N.ACCEPTED): _S.SUBMITTED,
    (_S.SUBMITTED, _N.RESTING): _S.LIVE,
    (_S.SUBMITTED, _N.FILLED_PART): _S.PARTIALLY_FILLED,
    (_S.SUBMITTED, _N.FILLED_FULL): _S.FILLED,
    (_S.SUBMITTED, _N.CANCELED): _S.CANCELED,
    (_S.SUBMITTED, _N.REJECTED): _S.REJECTED,
    (_S.SUBMITTED, _N.EXPIRED): _S.EXPIRED,
    (_S.SUBMITTED, _N.UNKNOWN): _S.SUBMITTED,
    (_S.SUBMITTED, _N.SEEN): _S.SUBMITTED,
    (_S.LIVE, _N.ACCEPTED): _S.LIVE,
    (_S.LIVE, _N.RESTING): _S.LIVE,
    (_S.LIVE, _N.FILLED_PART): _S.PARTIALLY_FILLED,
    (_S.LIVE, _N.FILLED_FULL): _S.FILLED,
    (_S.LIVE, _N.CANCELED): _S.CANCELED,
    (_S.LIVE, _N.REJECTED): None,
    (_S.LIVE, _N.EXPIRED): _S.EXPIRED,
    (_S.LIVE, _N.UNKNOWN): _S.LIVE,
    (_S.LIVE, _N.SEEN): _S.LIVE,
    (_S.PARTIALLY_FILLED, _N.ACCEPTED): _S.PARTIALLY_FILLED,
    (_S.PARTIALLY_FILLED, _N.RESTING): _S.PARTIALLY_FILLED,
    (_S.PARTIALLY_FILLED, _N.FILLED_PART): _S.PARTIALLY_FILLED,
    (_S.PARTIALLY_FILLED, _N.FILLED_FULL): _S.FILLED,
    (_S.PARTIALLY_FILLED, _N.CANCELED): _S.CANCELED,
    (_S.PARTIALLY_FILLED, _N.REJECTED): None,
    (_S.PARTIALLY_FILLED, _N.EXPIRED): _S.EXPIRED,
    (_S.PARTIALLY_FILLED, _N.UNKNOWN): _S.PARTIALLY_FILLED,
    (_S.PARTIALLY_FILLED, _N.SEEN): _S.PARTIALLY_FILLED,
    (_S.FILLED, _N.ACCEPTED): _S.FILLED,
    (_S.FILLED, _N.RESTING): _S.FILLED,
    (_S.FILLED, _N.FILLED_PART): None,
    (_S.FILLED, _N.FILLED_FULL): None,
    (_S.FILLED, _N.CANCELED): _S.FILLED,
    (_S.FILLED, _N.REJECTED): None,
    (_S.FILLED, _N.EXPIRED): _S.FILLED,
    (_S.FILLED, _N.UNKNOWN): _S.FILLED,
    (_S.FILLED, _N.SEEN): _S.FILLED,
    (_S.CANCELED, _N.ACCEPTED): _S.CANCELED,
    (_S.CANCELED, _N.RESTING): _S.CANCELED,
    (_S.CANCELED, _N.FILLED_PART): _S.CANCELED,
    (_S.CANCELED, _N.FILLED_FULL): _S.FILLED,
    (_S.CANCELED, _N.CANCELED): _S.CANCELED,
    (_S.CANCELED, _N.REJECTED): None,
    (_S.CANCELED, _N.EXPIRED): _S.CANCELED,
    (_S.CANCELED, _N.UNKNOWN): _S.CANCELED,
    (_S.CANCELED, _N.SEEN): _S.CANCELED,
    (_S.REJECTED, _N.ACCEPTED): None,
    (_S.REJECTED, _N.RESTING): None,
    (_S.REJECTED, _N.FILLED_PART): None,
    (_S.REJECTED, _N.FILLED_FULL): None,
    (_S.REJECTED, _N.CANCELED): None,
    (_S.REJECTED, _N.REJECTED): _S.REJECTED,
    (_S.REJECTED, _N.EXPIRED): None,
    (_S.REJECTED, _N.UNKNOWN): _S.REJECTED,
    (_S.REJECTED, _N.SEEN): _S.REJECTED,
    (_S.EXPIRED, _N.ACCEPTED): _S.EXPIRED,
    (_S.EXPIRED, _N.RESTING): _S.EXPIRED,
    (_S.EXPIRED, _N.FILLED_PART): _S.EXPIRED,
    (_S.EXPIRED, _N.FILLED_FULL): _S.FILLED,
    (_S.EXPIRED, _N.CANCELED): _S.EXPIRED,
    (_S.EXPIRED, _N.REJECTED): None,
    (_S.EXPIRED, _N.EXPIRED): _S.EXPIRED,
    (_S.EXPIRED, _N.UNKNOWN): _S.EXPIRED,
    (_S.EXPIRED, _N.SEEN): _S.EXPIRED,
}

# The same by state and then by news: looked up without making a pair.
_NEXT: Final[dict[State, dict[News, State | None]]] = {
    state: {news: LIFECYCLE[state, news] for news in News} for state in State
}

# What may follow what in settlement: later only, and nothing follows the end. The ranks of RETRYING and MINED are
# equal because a transaction may be mined, dropped and tried again.
_RANK: Final = {
    Settlement.MATCHED: 0,
    Settlement.MINED: 1,
    Settlement.RETRYING: 1,
    Settlement.CONFIRMED: 2,
    Settlement.FAILED: 2,
}


def settles(before: Settlement, news: Settlement) -> bool | None:
    """Say whether settlement news moves a fill on: True, False for late or doubled news, None for what cannot be."""
    if before is news:
        return False
    if before.final and news.final:
        return None
    return _RANK[news] >= _RANK[before] and not before.final


Kept = tuple[Cash, Notional, Size]  # what an order keeps from other uses: cash, notional of bids, shares of asks
NOTHING_KEPT: Final[Kept] = (Cash(0), Notional(0), Size(0))


class Order:
    """An order we asked for, with all that is known of it (O2); `learn` and `learn_fill` alone move it on.

    There is one of it: who wants to know later what it was now takes a copy. A class of slots, not a struct: compiled,
    it is read without a look-up.
    """

    __slots__ = (
        "basis",
        "cancel_sent",
        "client_order_id",
        "exchange_order_id",
        "exposed",
        "filled",
        "in_play",
        "last_event_at",
        "locked",
        "market",
        "no",
        "outcome",
        "outcome_unknown",
        "paid",
        "placed_at",
        "post_only",
        "price",
        "purpose",
        "raw_last_rest_snapshot",
        "raw_last_ws_event",
        "reserved",
        "side",
        "size",
        "state",
        "submitted_at",
    )

    def __init__(
        self,
        no: OrderNo,
        client_order_id: str,
        market: MarketNo,
        outcome: Outcome,
        side: Side,
        price: Price,
        size: Size,
        purpose: Purpose,
        post_only: bool,
        placed_at: Micros,
        basis: str = "",
        state: State = PENDING_SUBMIT,
        outcome_unknown: bool = False,
        cancel_sent: bool = False,
        exchange_order_id: str | None = None,
        submitted_at: Micros | None = None,
        last_event_at: Micros | None = None,
        filled: Size = Size(0),
        paid: Cash = Cash(0),
        raw_last_ws_event: str | None = None,
        raw_last_rest_snapshot: str | None = None,
    ) -> None:
        """Take what we asked for, then what has become of it."""
        self.no = no
        self.client_order_id = client_order_id
        self.market = market
        self.outcome = outcome
        self.side = side
        self.price = price
        self.size = size
        self.purpose = purpose
        self.post_only = post_only
        self.placed_at = placed_at
        self.basis = basis  # where its price came from, in the rule's words
        self.state = state
        self.outcome_unknown = outcome_unknown  # the answer to the request was lost (O7)
        self.cancel_sent = cancel_sent
        self.exchange_order_id = exchange_order_id
        self.submitted_at = submitted_at
        self.last_event_at = last_event_at
        self.filled = filled
        self.paid = paid  # the cash of all fills: with `filled`, the average price as a pair
        self.raw_last_ws_event = raw_last_ws_event
        self.raw_last_rest_snapshot = raw_last_rest_snapshot
        self._weigh()

    def _weigh(self) -> None:
        """Work out what an order in play keeps from other uses: cash (O8), notional (R8), or shares of an ask."""
        self.locked, self.exposed, self.reserved = Cash(0), Notional(0), Size(0)
        self.in_play = in_play = self.state not in ENDED  # whether it can still be filled, as far as we know
        if in_play and self.side is BUY:
            left = -(-self.price * self.size // NOTIONAL_PER_CASH) - self.paid  # cash_paid, without the call
            self.locked = Cash(left if left > 0 else 0)
            self.exposed = Notional(self.price * (self.size - self.filled))
        elif in_play:
            self.reserved = Size(self.size - self.filled)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.no,
            self.client_order_id,
            self.market,
            self.outcome,
            self.side,
            self.price,
            self.size,
            self.purpose,
            self.post_only,
            self.placed_at,
            self.basis,
            self.state,
            self.outcome_unknown,
            self.cancel_sent,
            self.exchange_order_id,
            self.submitted_at,
            self.last_event_at,
            self.filled,
            self.paid,
            self.raw_last_ws_event,
            self.raw_last_rest_snapshot,
        )

    def __eq__(self, other: object) -> bool:
        """Compare by what is known."""
        return isinstance(other, Order) and self._values() == other._values()

    def __hash__(self) -> int:
        """Hash by the number."""
        return hash(self.no)

    def __repr__(self) -> str:
        """Show what is known."""
        return f"Order{self._values()}"

    @property
    def remaining(self) -> Size:
        """What has not been filled."""
        return Size(self.size - self.filled)

    @property
    def kept(self) -> Kept:
        """What it keeps from other uses."""
        return self.locked, self.exposed, self.reserved

    @property
    def covers_elsewhere(self) -> bool:
        """Whether it buys what another market of the event is hedged with."""
        return self.side is BUY and self.purpose is not Purpose.QUOTE

    @property
    def yes_price(self) -> Price:
        """The price in terms of YES: a bid for NO at p is an ask for YES at 1 - p."""
        return self.price if self.outcome is YES else complement(self.price)

    @property
    def book_side(self) -> Side:
        """The side of the YES book it rests on: a bid for NO is an ask for YES."""
        return self.side if self.outcome is YES else self.side.opposite

    def copy(self) -> "Order":
        """Return the order as it is now."""
        return Order(*self._values())

    def learn(
        self,
        news: News,
        at: Micros,
        exchange_order_id: str | None = None,
        ws: str | None = None,
        rest: str | None = None,
    ) -> bool:
        """Apply news other than fills; False, and nothing applied, where it cannot be true.

        Late and doubled news changes nothing but the time.
        """
        state = _NEXT[self.state][news]
        if state is None:
            return False
        if news is UNKNOWN:
            self.outcome_unknown = state in UNANSWERED
        elif news is not SEEN:
            self.outcome_unknown = False
            if self.submitted_at is None:
                self.submitted_at = at
        if exchange_order_id:
            self.exchange_order_id = exchange_order_id
        if ws:
            self.raw_last_ws_event = ws
        if rest:
            self.raw_last_rest_snapshot = rest
        self.last_event_at = at
        if state is not self.state:
            self.state = state
            if state in ENDED:
                self._weigh()
        return True

    def learn_fill(self, size: Size, cash: Cash, at: Micros) -> bool:
        """Apply one fill that has not been applied before; False, and nothing applied, where it cannot be true."""
        filled = Size(self.filled + size)
        state = _NEXT[self.state][News.FILLED_FULL if filled >= self.size else News.FILLED_PART]
        if state is None or filled > self.size:
            return False
        self.state, self.filled, self.paid = state, filled, Cash(self.paid + cash)
        self.outcome_unknown, self.last_event_at = False, at
        if self.submitted_at is None:
            self.submitted_at = at
        self._weigh()
        return True
