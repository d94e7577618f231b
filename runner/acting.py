"""Acting: orders placed, cancelled, pulled and refused, and the books kept of them."""

from collections import deque
from typing import Final

from pmrun.runner.desk_settings import DeskSettings
from pmrun.runner.facts import OrderFound
from pmrun.runner.hooks import Unhedged, Wanted
from pmrun.runner.intents import Cancel, CancelAll, Intent, Merge, Number, Place, Reason, Refuse
from pmrun.runner.known import Known
from pmrun.runner.market import Outcome
from pmrun.runner.market_state import MarketState, book_side
from pmrun.runner.orders import Kept, Order, OrderNo, Purpose, State
from pmrun.runner.units import Micros, Price, Side, Size, cash_paid

BUY: Final = Side.BUY
QUOTE: Final = Purpose.QUOTE
PENDING_SUBMIT: Final = State.PENDING_SUBMIT
CANCEL: Final = Cancel  # compiled, what is imported is looked up at each use and a constant is not
PLACE: Final = Place
REASONS: Final = 512  # remembered; a rule has a handful


class Acting:
    """Says what we want done, and keeps what is in play in line with what was said."""

    def __init__(self, known: Known, name: str, settings: DeskSettings) -> None:
        """Take what starts every client order id, and how long things are kept."""
        self.out: list[Intent] = []  # the answer to the fact being handled
        self._known = known
        self._account = known.account
        self._markets = known.markets
        self._orders = known.orders
        self._name = name
        self._remember = settings.remember
        self._pause = settings.retry_pause
        self._last_order = 0
        self._because: dict[str, Reason] = {}  # why orders are placed: the rule's words come back
        self.merges = 0  # asked for so far
        self._ended: deque[tuple[Micros, OrderNo]] = deque()

    def place(self, state: MarketState, want: Wanted) -> None:
        """Place an order: it counts as in play from here on."""
        self._last_order += 1
        no = OrderNo(self._last_order)
        now, market = self._known.now, state.no
        outcome, side, price, size, purpose = want.outcome, want.side, want.price, want.size, want.purpose
        post_only = not want.may_take
        name = f"{self._name}-{no}"
        order = Order(no, name, market, outcome, side, price, size, purpose, post_only, now, want.basis)
        self._orders[no] = state.orders[no] = order
        self._account.reserve(order)
        if self._known.siblings:
            self._known.stake_changed(state.no)
        if state.refused:
            state.refused.pop(book_side(outcome, side), None)
        reason = self._because.get(want.basis)
        if reason is None:
            if len(self._because) >= REASONS:  # a rule of somebody's may put numbers into its words
                self._because.clear()
            reason = self._because[want.basis] = Reason(want.basis)
        self.out.append(PLACE(now, no, market, outcome, side, price, size, purpose, post_only, reason))

    def adopt(self, state: MarketState, fact: OrderFound) -> Order:
        """Return an order that an earlier session left resting, known from here on."""
        no = fact.order or OrderNo(self._last_order + 1)
        self._last_order = max(self._last_order, no)
        order = Order(
            no=no,
            client_order_id=f"{self._name}-{no}",
            market=fact.market,
            outcome=fact.outcome,
            side=fact.side,
            price=fact.price,
            size=fact.size,
            purpose=QUOTE if fact.side is BUY else Purpose.HEDGE,
            post_only=True,
            placed_at=self._known.now,
            basis="found",
            state=State.PARTIALLY_FILLED if fact.filled else State.LIVE,
            exchange_order_id=fact.exchange_order_id,
            submitted_at=self._known.now,
            last_event_at=self._known.now,
            filled=fact.filled,
            paid=cash_paid(fact.price, fact.filled),
        )
        self._orders[order.no] = state.orders[order.no] = order
        self._account.reserve(order)
        return order

    def update(self, order: Order, before: Kept) -> None:
        """Keep the books of an order that was told something, given what it kept before; forget those long over."""
        no, state, known = order.no, self._markets[order.market], self._known
        if state.doubt or order.outcome_unknown:
            self._doubt(state, order)
        if order.in_play:
            if order.filled:
                self._account.reserve(order, before)
            return
        self._account.reserve(order, before)
        if known.siblings:
            known.stake_changed(state.no)
        if no in state.orders:
            del state.orders[no]
            ended, now = self._ended, known.now
            ended.append((now, no))
            while ended[0][0] < now - self._remember:
                del self._orders[ended.popleft()[1]]

    def _doubt(self, state: MarketState, order: Order) -> None:
        """Remember requests whose answer was lost."""
        doubted = len(state.doubt)
        if order.outcome_unknown:
            state.doubt.add(order.no)
        else:
            state.doubt.discard(order.no)
        if self._known.hedges_events and len(state.doubt) != doubted:
            self._known.stake_changed(state.no)

    def cancel(self, order: Order, reason: Reason) -> bool:
        """Ask for a cancel, once; False for an order that cannot be cancelled before it is answered."""
        if order.cancel_sent:
            return True
        if order.state is PENDING_SUBMIT:
            self._known.for_answer.add(order.market)
            return False
        order.cancel_sent = True
        if self._known.hedges_events and order.purpose is not QUOTE:
            self._known.stake_changed(order.market)
        self.out.append(CANCEL(self._known.now, order.no, reason))
        return True

    def merge(self, state: MarketState, least: Size) -> None:
        """Ask for the pairs of a market to be merged, where there are enough; one request at a time."""
        size = state.inventory.mergeable
        if size < least or state.merging is not None or state.unmergeable:
            return
        self.merges += 1
        reason = Reason("pairs", "desk", {"pairs": size, "from": least})
        state.merging = Merge(self._known.now, self.merges, state.no, size, reason)
        self._account.promise_pairs(state.no, size)
        self.out.append(state.merging)

    def pull(self, state: MarketState, reason: Reason, hedges: bool = False) -> None:
        """Pull the quotes; the hedges too where the market is halted or nobody can say what they ought to be."""
        for order in state.replaceable():
            if hedges or state.halted or order.purpose is QUOTE:
                self.cancel(order, reason)
        self.unquoted(state, reason)

    def pull_covers(self, state: MarketState, reason: Reason) -> None:
        """Pull what would be bought to hedge what another market of the event holds."""
        for order in state.replaceable():
            if order.covers_elsewhere:
                self.cancel(order, reason)

    def unquoted(self, state: MarketState, reason: Reason) -> None:
        """Say that nothing is quoted in a market, whatever rests there."""
        if not state.selected:
            return
        for outcome in Outcome:
            self.refuse(state, outcome, Side.BUY, None, None, (reason,))

    def pull_all(self, reason: Reason) -> None:
        """Ask for everything to be cancelled; what is not answered yet may arrive later, and is cancelled then."""
        self.out.append(CancelAll(self._known.now, reason))
        for state in self._markets.values():
            for no, order in state.orders.items():
                if order.state is PENDING_SUBMIT:
                    self._known.for_answer.add(state.no)
                    self._known.pulled.add(no)
                else:
                    order.cancel_sent = True

    def say_unsold(self, state: MarketState, hedged: bool) -> None:
        """Say at the end what hedging has not sold, what its exits ask, and why no exit covers the rest."""
        for outcome in Outcome:
            holding = state.inventory.of(outcome)
            if not hedged or holding.held <= 0:
                continue
            asked = [order.price for order in state.exits() if order.outcome is outcome and order.side is Side.SELL]
            why = "rests" if asked else state.unhedged.get(outcome, "waits_for_room")
            numbers: dict[str, Number] = {"size": holding.held, "why": why, **({"asked": min(asked)} if asked else {})}
            reasons = (Reason("left_unsold", "desk", numbers),)
            self.out.append(
                Refuse(self._known.now, state.no, outcome, Side.SELL, None, holding.held, Purpose.HEDGE, reasons)
            )

    def deny(self, state: MarketState, want: Wanted, reasons: tuple[Reason, ...]) -> None:
        """Refuse an order; shares that an exit would have sold are a gap, shown with the other gaps."""
        if want.purpose is QUOTE:
            self.refuse(state, want.outcome, want.side, want.price, want.size, reasons)
        elif want.side is BUY:  # a hedge of what another market holds: it is hedged otherwise for a while
            now, purpose = self._known.now, want.purpose
            self._known.turned_down(state.no, Micros(now + self._pause))
            self.out.append(Refuse(now, state.no, want.outcome, BUY, want.price, want.size, purpose, reasons))
        else:
            uncovered = state.inventory.of(want.outcome).uncovered
            state.gaps[want.outcome] = Unhedged(want.outcome, uncovered, reasons[0].code, reasons[0].numbers)

    def refuse(
        self,
        state: MarketState,
        outcome: Outcome,
        side: Side,
        price: Price | None,
        size: Size | None,
        reasons: tuple[Reason, ...],
    ) -> None:
        """Say why not, once for each change of mind: the codes are compared, the numbers are not."""
        codes = tuple(f"{reason.by}.{reason.code}" for reason in reasons)
        slot = book_side(outcome, side)
        if state.refused.get(slot) == codes:
            return
        state.refused[slot] = codes
        self.out.append(Refuse(self._known.now, state.no, outcome, side, price, size, Purpose.QUOTE, reasons))
