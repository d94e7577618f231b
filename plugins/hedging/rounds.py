"""What is remembered of rounds: one a token, from the first bid to the last sale and the cool-down after it (M5)."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final

from pmrun.plugins.requote.looks import next_look
from pmrun.plugins.sizing.target import least_size
from pmrun.runner.facts import (
    BookChanged,
    Carried,
    Fact,
    FeedLost,
    FeedRestored,
    Filled,
    HoldingSeen,
    Listed,
    OrderFound,
    Settled,
    TimerDue,
)
from pmrun.runner.intents import Cancel, Intent, Place
from pmrun.runner.inventory import Holding
from pmrun.runner.market import ConditionId, Market, MarketNo, Outcome
from pmrun.runner.orders import Order, OrderNo, Settlement, TradeId
from pmrun.runner.units import Cash, Micros, Price, Side, Size

FOLLOW: Final = "follow"  # the basis of every bid of a round but the first, and what the trigger lets pass
BELOW_FLOOR: Final = "below_floor"  # why an offer is pulled, and waits
NEVER: Final = Micros(2**62)


class Phase(StrEnum):
    """Where a token's round stands (the seed's chapter 8)."""

    FLAT = "FLAT"
    BUYING = "BUYING_MAKER"
    LONG = "LONG"
    SELLING = "SELLING_MAKER"
    WAITING = "WAIT_FOR_FLOOR"


class Round:
    """One token's round."""

    __slots__ = ("bid", "bid_size", "bought", "fills", "look", "paid", "sold_at", "target", "until", "waits")

    def __init__(self) -> None:
        """Begin flat."""
        self.target = Size(0)  # shares to buy; 0: not buying
        self.bought = Size(0)
        self.bid: OrderNo | None = None  # in play
        self.bid_size = Size(0)
        self.paid = Price(0)  # what that bid, or the last one, pays a share
        self.look = NEVER  # when the bid is looked at next
        self.until = Micros(0)  # no round begins before
        self.waits: Micros | None = None  # since when it waits for its floor
        self.sold_at: Micros | None = None  # when the sell in play was placed
        self.fills: dict[tuple[TradeId, OrderNo], Size] = {}  # bought, not settled

    @property
    def left(self) -> Size:
        """What is still to be bought."""
        return Size(max(0, self.target - self.bought))

    def phase(self, holding: Holding) -> Phase:
        """Say where it stands, with what is held."""
        if self.target:
            return Phase.BUYING
        if holding.reserved:
            return Phase.SELLING
        if holding.held <= 0:
            return Phase.FLAT
        return Phase.LONG if self.waits is None else Phase.WAITING

    def end_buying(self, until: int) -> None:
        """Buy no more: what was bought is sold, and no new round begins before `until`."""
        self.target = self.bought = Size(0)
        self.look = NEVER
        self.until = Micros(max(self.until, until))


class _Listing:
    """A market's terms, its two rounds, and the best bid of each token as observed."""

    __slots__ = ("bids", "dark", "rounds", "terms")

    def __init__(self, terms: Market, rounds: dict[Outcome, Round]) -> None:
        self.terms = terms
        self.rounds = rounds
        self.bids: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
        self.dark = False  # its book is shown empty


class Rounds:
    """All rounds of a desk, by market and token: learned from facts and intents, never from judging."""

    def __init__(self, poll: Micros, min_quote_amt: Cash, countdown: Micros | None, cooldown: Micros) -> None:
        """Take how often bids are looked at, what none is worth less than, and when no round begins."""
        self._poll = poll
        self._amount = min_quote_amt
        self._countdown = countdown
        self._cooldown = cooldown
        self._rounds: dict[tuple[ConditionId, Outcome], Round] = {}
        self._markets: dict[MarketNo, _Listing] = {}
        self._sells: dict[OrderNo, Round] = {}  # in play
        self._lost = False

    def of(self, condition: ConditionId, outcome: Outcome) -> Round:
        """Return a token's round."""
        found = self._rounds.get((condition, outcome))
        if found is None:
            found = self._rounds[condition, outcome] = Round()
        return found

    def deadline(self, terms: Market) -> Micros | None:
        """Return from when on nothing is bought in a market, or None."""
        if self._countdown is None or terms.ends_at is None:
            return None
        return Micros(terms.ends_at - self._countdown)

    # Facts.

    def learn(self, fact: Fact, no: MarketNo | None, order: Order | None) -> None:
        """Learn a fact, and look at the bids whose look has come."""
        match fact:
            case Carried():
                self._restore(fact.values, fact.at)
            case Listed():
                self._listed(fact)
            case BookChanged():
                self._shown(self._markets[fact.market], fact)
            case HoldingSeen():
                round_ = self._markets[fact.market].rounds[fact.outcome]
                if (
                    round_.target
                ):  # what is held counts as bought by this round, so that it never buys more than its target
                    round_.bought = Size(max(round_.bought, min(round_.target, fact.size)))
            case FeedLost():
                self._lost = True
            case FeedRestored():
                self._lost = False
                for listing in self._markets.values():
                    self._look_later(listing, fact.at)
            case _ if order is not None:
                self._ordered(fact, order)
            case _:
                pass
        self._look(no, fact.at, isinstance(fact, TimerDue))

    def _shown(self, listing: _Listing, fact: BookChanged) -> None:
        """Take a touch; a feed that lost a market shows it empty, and nothing is looked at until it is back (M6)."""
        for outcome in Outcome:
            listing.bids[outcome] = fact.book.seen_by(outcome).best_bid or 0
        dark = not fact.book.bids and not fact.book.asks
        if listing.dark and not dark:
            self._look_later(listing, fact.at)
        listing.dark = dark

    def _look_later(self, listing: _Listing, at: Micros) -> None:
        for round_ in listing.rounds.values():
            if round_.target:
                round_.look = Micros(at + self._poll)

    def _listed(self, fact: Listed) -> None:
        rounds = {outcome: self.of(fact.terms.condition, outcome) for outcome in Outcome}
        listing = self._markets[fact.market] = _Listing(fact.terms, rounds)
        self._look_later(listing, fact.at)  # rounds of an earlier session

    def _ordered(self, fact: Fact, order: Order) -> None:
        round_ = self._markets[order.market].rounds[order.outcome]
        if order.side is Side.SELL:
            self._sold(fact, order, round_)
            return
        if isinstance(fact, Filled):
            round_.fills[fact.trade, order.no] = fact.size
            if round_.target:
                round_.bought = Size(round_.bought + fact.size)
        elif isinstance(fact, Settled) and fact.status.final:
            size = round_.fills.pop((fact.trade, order.no), Size(0))
            if fact.status is Settlement.FAILED and round_.target:
                round_.bought = Size(max(0, round_.bought - size))
        elif isinstance(fact, OrderFound):
            self._adopt(round_, order, fact.at)
        if not order.in_play and round_.bid == order.no:
            round_.bid = None
            round_.look = Micros(fact.at + self._poll)
        if round_.target and round_.bought >= round_.target:  # FILLED
            round_.end_buying(fact.at + self._cooldown)

    def _adopt(self, round_: Round, order: Order, at: Micros) -> None:
        """Go on with a bid that an earlier session left; where nobody remembers its round, it is all of it."""
        if not round_.target:
            round_.target, round_.bought = order.size, order.filled
        self._bid(round_, order.no, order.price, order.size, at)

    def _sold(self, fact: Fact, order: Order, round_: Round) -> None:
        if isinstance(fact, OrderFound):
            round_.end_buying(0)  # who sells has bought
        if order.in_play:
            self._sells[order.no] = round_
            round_.sold_at = order.placed_at
        elif self._sells.pop(order.no, None) is not None and round_ not in self._sells.values():
            round_.sold_at = None
        if isinstance(fact, Filled):
            round_.until = Micros(max(round_.until, fact.at + self._cooldown))

    # Looks.

    def _look(self, no: MarketNo | None, at: Micros, everywhere: bool) -> None:
        """End the buying that is over: too little is left, nothing has bid for a whole poll, or the market ends."""
        chosen = self._markets.values() if everywhere else [self._markets[no]] if no in self._markets else []
        for listing in chosen:
            deadline, blind = self.deadline(listing.terms), self._lost or listing.dark
            for outcome, round_ in listing.rounds.items():
                if not round_.target:
                    continue
                over = deadline is not None and at >= deadline
                if over or (at >= round_.look and not blind and self._done(listing, outcome, round_)):
                    round_.end_buying(at + self._cooldown)
                elif at >= round_.look:
                    round_.look = Micros(round_.look + ((at - round_.look) // self._poll + 1) * self._poll)

    def _done(self, listing: _Listing, outcome: Outcome, round_: Round) -> bool:
        """Whether buying ends at this look: what is left is under the least (FILLED_TRUNCATED), or nothing bids."""
        price = Price(max(round_.paid, listing.bids[outcome]))  # a bid of ours that stands alone is the best one
        return round_.bid is None or round_.left < least_size(listing.terms, price, self._amount)

    def wake(self, no: MarketNo, at: Micros) -> Micros | None:
        """Return when the next look, the end of a cool-down or the countdown comes."""
        listing = self._markets.get(no)
        return None if listing is None else min((each for each in self._wakes(listing, at) if each > at), default=None)

    def _wakes(self, listing: _Listing, at: Micros) -> Iterator[Micros]:
        deadline = self.deadline(listing.terms)
        for round_ in listing.rounds.values():
            yield round_.until
            if round_.target:
                yield round_.look
            for since in (round_.waits, round_.sold_at):
                if since is not None:
                    yield next_look(since, self._poll, at)
        if deadline is not None:
            yield deadline

    # Intents.

    def heard(self, intent: Intent) -> None:
        """Learn what is asked for: a bid begins a round or goes on with it, a sell that is not wanted waits."""
        if isinstance(intent, Place) and intent.market in self._markets:
            round_ = self._markets[intent.market].rounds[intent.outcome]
            if intent.side is Side.SELL:
                self._sells[intent.order] = round_
                round_.sold_at, round_.waits = intent.at, None
                return
            if not round_.target:
                round_.target = intent.size
            self._bid(round_, intent.order, intent.price, intent.size, intent.at)
        elif isinstance(intent, Cancel) and intent.order in self._sells and intent.reason.code == BELOW_FLOOR:
            self._sells[intent.order].waits = intent.at

    def _bid(self, round_: Round, order: OrderNo, price: Price, size: Size, at: Micros) -> None:
        round_.bid, round_.paid, round_.bid_size = order, price, size
        round_.look = Micros(at + self._poll)

    # Between sessions.

    def carry(self) -> dict[str, int]:
        """Return what is being bought, what waits for its floor, and when the next round may begin."""
        found: dict[str, int] = {}
        for (condition, outcome), round_ in self._rounds.items():
            values = {
                "target": round_.target,
                "bought": round_.bought,
                "until": round_.until,
                "waits": round_.waits or 0,
            }
            found |= {f"{condition} {outcome} {name}": int(value) for name, value in values.items() if value}
        return found

    def _restore(self, values: Mapping[str, int], at: Micros) -> None:
        """Go on where the last session ended; raises ValueError for what cannot be read."""
        for key, value in values.items():
            condition, outcome, name = key.rsplit(" ", 2)
            if name not in ("target", "bought", "until", "waits") or value < 0:
                raise ValueError(f"carried {key}: {value}")
            setattr(self.of(ConditionId(condition), Outcome(outcome)), name, value)
        for round_ in self._rounds.values():  # a clock that was ahead, or another tape, keeps nobody out for longer
            round_.until = Micros(min(round_.until, at + self._cooldown))
            if round_.waits is not None:
                round_.waits = Micros(min(round_.waits, at))
