"""Deciding what ought to rest: the hedges, and the rule's quotes on the grid, sized, on the token that suits."""

from collections.abc import Callable, Sequence
from typing import Final

from pmrun.runner.book import Book
from pmrun.runner.desk_settings import DeskSettings
from pmrun.runner.hooks import Hooks, NoQuote, Quote, Sibling, Unhedged, Wanted
from pmrun.runner.intents import Reason
from pmrun.runner.known import Known
from pmrun.runner.market import Outcome
from pmrun.runner.market_state import MarketState, book_side
from pmrun.runner.orders import Purpose
from pmrun.runner.units import Micros, Price, Side, Size, complement

BUY: Final = Side.BUY
SELL: Final = Side.SELL
YES: Final = Outcome.YES
NO: Final = Outcome.NO
QUOTE: Final = Purpose.QUOTE
REMEMBERED: Final = 512  # answers a market: some 300 kB


class Deciding:
    """Asks the components what they want, whatever is in play and whatever the checks say of it."""

    def __init__(self, hooks: Hooks, settings: DeskSettings, known: Known) -> None:
        """Take the components, and what is known of other markets."""
        self._hooks = hooks
        self._settings = settings
        self._known = known
        # Which token an order is for depends on what is held, unless quotes never sell it.
        by_prices = settings.gated and (hooks.hedges or not settings.sell_holdings)
        self._levels = hooks.price_levels if by_prices else None

    def hedges(self, state: MarketState, now: Micros) -> list[Wanted]:
        """Return the orders that bring holdings back, and say which shares none of them covers (R9, R10)."""
        siblings = self._siblings(state, now) if self._hooks.hedges_events else []
        if not state.inventory.held and not any(sibling.inventory.held for sibling in siblings):
            state.gaps = {}
            return []
        assert state.book is not None
        working = [order for order in state.orders.values() if order.purpose is not QUOTE]
        wanted: list[Wanted] = []
        state.gaps = gaps = {}
        hedge = self._hooks.hedge
        for answer in hedge(state.terms, state.no, state.book, state.inventory, working, now, siblings):
            if isinstance(answer, Unhedged):
                gaps[answer.outcome] = answer
            elif answer.may_take and not self._hooks.hedge_takes:
                gaps[answer.outcome] = Unhedged(answer.outcome, answer.size, "may_not_take", {"price": answer.price})
            else:
                wanted.append(answer)
        return wanted

    def _siblings(self, state: MarketState, now: Micros) -> list[Sibling]:
        """Return the markets of a negative-risk event, itself included; look again when one is open to hedges again."""
        found: list[Sibling] = []
        for no in self._known.siblings.get(state.no, ()) if state.terms.neg_risk else ():
            other = self._known.markets[no]
            if not other.terms.neg_risk:
                continue
            shut = other.shut is not None and other.shut > now
            if shut and other.shut is not None:
                self._known.look_again(state.no, other.shut)
            book = None if other.blocked() else other.book
            hedges = [order for order in other.orders.values() if order.purpose is not QUOTE]
            found.append(Sibling(no, other.terms, book, other.inventory, hedges, other.selected and not shut))
        return found

    def stuck(self, state: MarketState, code: str) -> None:
        """Say that nothing more can be sold now, and why; the exits that work stay as they are."""
        state.gaps = {}
        for outcome in Outcome:
            uncovered = state.inventory.of(outcome).uncovered
            if uncovered > 0:
                state.gaps[outcome] = Unhedged(outcome, uncovered, code, {})

    def quotes(self, state: MarketState, now: Micros, refuse: Callable[..., None]) -> Sequence[Wanted]:
        """Return the orders that the pricing rule asks for; `refuse` hears why a quote can be none.

        Books come back to the same prices time and again: where nothing else counts, the rule is asked once for each.
        """
        book = state.book
        assert book is not None
        if self._levels is None:
            return self._ask(state, book, now, refuse)[0]
        prices = book.prices(self._levels)
        wanted = state.quoted.get(prices)
        if wanted is None:
            wanted, refused = self._ask(state, book, now, refuse)
            if refused:
                return wanted
            if len(state.quoted) >= REMEMBERED:
                state.quoted.clear()
            state.quoted[prices] = wanted
        return wanted

    def _ask(
        self, state: MarketState, book: Book, now: Micros, refuse: Callable[..., None]
    ) -> tuple[list[Wanted], bool]:
        """Ask the pricing rule; the flag says that a quote was none."""
        wanted: list[Wanted] = []
        refused = False
        for quote in self._hooks.price(state.terms, book, state.inventory, now) or ():
            if type(quote) is NoQuote:
                reasons = (Reason(quote.code, "pricing", quote.numbers),)
                refuse(state, quote.outcome, quote.side, None, None, reasons)
                state.unsafe.add(book_side(quote.outcome, quote.side))
                refused = True
                continue
            order = self._fit(state, quote, refuse)  # type: ignore[arg-type]
            if order is None:
                refused = True
            else:
                wanted.append(order)
        return wanted, refused

    def _fit(self, state: MarketState, quote: Quote, refuse: Callable[..., None]) -> Wanted | None:
        """Put a quote on the grid, give it a size, choose its token (R4, R4a, R7)."""
        outcome, side, wished, basis = quote
        assert state.book is not None
        size = self._hooks.size_order(state.terms, quote)
        book = state.book if outcome is YES else state.book.mirror()
        grid = state.grid
        bid, ask = book.best_bid, book.best_ask
        assert bid is not None and ask is not None
        price = grid.rest(side, wished, bid, ask)
        if not grid.holds(price):
            refuse(state, outcome, side, price, size, (Reason("no_valid_price", "grid", {"tick": grid.tick}),))
            return None
        least = state.terms.min_order_size
        if size is not None and size % state.terms.size_step:
            size = Size(size - size % state.terms.size_step)
        if size is None or size < least:
            reasons = (Reason("below_min_size", "sizing", {"size": size or 0, "min": least}),)
            refuse(state, outcome, side, price, size, reasons)
            return None
        outcome, side, price = self._token(state, outcome, side, price, size)
        return Wanted(outcome, side, price, size, QUOTE, basis)

    def _token(
        self, state: MarketState, outcome: Outcome, side: Side, price: Price, size: Size
    ) -> tuple[Outcome, Side, Price]:
        """Choose the token: a sell rests only from holdings, otherwise it is a bid on the complement (R4a)."""
        sells = self._settings.sell_holdings
        other = NO if outcome is YES else YES
        if side is BUY:
            if sells and self._offerable(state, other) >= size:
                return other, SELL, complement(price)
            return outcome, BUY, price
        if sells and self._offerable(state, outcome) >= size:
            return outcome, SELL, price
        return other, BUY, complement(price)

    def _offerable(self, state: MarketState, outcome: Outcome) -> int:
        """Shares that are free or promised to quotes only, which a new quote would replace."""
        holding = state.inventory.of(outcome)
        if not holding.confirmed or self._hooks.hedges:
            return 0  # hedging offers what is held (R9)
        quoted = sum(
            order.reserved for order in state.orders.values() if order.outcome is outcome and order.purpose is QUOTE
        )
        return holding.sellable + quoted
