"""An exchange of one market, moved by hand, with a desk that makes rounds in it; it checks what never may happen."""

from dataclasses import dataclass, field
from typing import Any

from scenes import FIRST, NOON, SECOND, Minds, book, market

from pmrun.plugins.hedging.maker_round import ROUNDING, MakerRound
from pmrun.plugins.hedging.rounds import Phase
from pmrun.plugins.pricing.maker_follow import MakerFollow
from pmrun.plugins.requote.follow_up import FollowUp
from pmrun.plugins.risk.on_drop import OnDrop
from pmrun.plugins.sizing.target import Target
from pmrun.runner.desk import Desk, DeskSettings
from pmrun.runner.facts import (
    BookChanged,
    Carried,
    Fact,
    FeedLost,
    FeedRestored,
    Filled,
    FundsSeen,
    HoldingSeen,
    Listed,
    OrderFound,
    OrderNews,
    Settled,
    TimerDue,
    Together,
)
from pmrun.runner.hooks import Hooks
from pmrun.runner.intents import Cancel, CancelAll, Intent, Place, Refuse
from pmrun.runner.market import Market, Outcome
from pmrun.runner.orders import News, Order, Settlement, TradeId
from pmrun.runner.ports import Observer
from pmrun.runner.units import (
    Cash,
    Micros,
    Price,
    Side,
    Size,
    cash_paid,
    cash_received,
    format_price,
    format_size,
    parse_price,
    parse_size,
)

PROFIT = parse_price("0.02")
COOLDOWN = 60
POLL = 10


def parts(target: str | None = "10", **changes: Any) -> dict[str, object]:
    """The components of the strategy, with a floor two cents above the cost; only YES is bought, unless both are."""
    only = {} if changes.pop("both", False) else {"risk.only": Minds({Outcome.NO})}
    return only | {
        "pricing": MakerFollow(),
        "sizing": Target(None if target is None else parse_size(target)),
        "hedging": MakerRound(
            **{"profit_threshold": PROFIT, "cooldown": Micros(COOLDOWN * SECOND), "countdown": None} | changes
        ),
        "requote": FollowUp(Micros(POLL * SECOND)),
        "risk.drop": OnDrop(0.05, Micros(60 * SECOND)),
    }


@dataclass
class Floor:
    """Orders rest and leave at once when they are asked to; prices move and fills come when the test says so."""

    components: dict[str, Any] = field(default_factory=parts)
    terms: Market = field(default_factory=market)
    settles: bool = True  # a fill is final at once
    answers: bool = True  # orders rest, and leave, at once

    def __post_init__(self) -> None:
        """Open with a book at 0.50 to 0.52 and nothing held."""
        self.at = int(NOON)
        self.did: list[tuple[int, Intent]] = []  # seconds since noon
        self.orders: dict[int, Order] = {}
        self.trades = 0
        self.sessions = 0
        self.book = book("0.50x100", "0.52x100")
        self.lost = False
        self.watches: Observer | None = None  # who hears of every step, as it is taken
        self.sold_at: dict[Outcome, Price] = {}  # of the offer in play
        self.begin([], [])

    # What the test does.

    def begin(self, carried: list[Fact], known: list[Fact]) -> None:
        """Start a session that is told what is kept of the last one, and what the exchange knows."""
        self.sessions += 1
        self.desk = Desk(Hooks(self.components), DeskSettings(clean_start=True), f"s{self.sessions}")
        self.rounds = self.components["hedging"].rounds
        now = Micros(self.at)
        opening = [FundsSeen(now, Cash(10**10)), Listed(now, FIRST, self.terms), *known]
        self.tell(Together(now, (*carried, *opening, self._shown())))

    def _shown(self) -> BookChanged:
        return BookChanged(Micros(self.at), FIRST, 0, self.book)

    def touch(self, bid: str, ask: str) -> None:
        """Move the book of YES."""
        self.book = book(f"{bid}x100", f"{ask}x100")
        if not self.lost:
            self.tell(self._shown())

    def wait(self, seconds: float) -> None:
        """Let time pass, and the desk be woken where it asked to be."""
        until = self.at + round(seconds * SECOND)
        while (wake := self.desk.wake) is not None and wake <= until:
            self.at = max(self.at, wake)
            self.tell(TimerDue(Micros(self.at)))
        self.at = until

    def fill(self, order: Order, shares: str | int | None = None) -> Filled:
        """Fill an order, whole unless said otherwise, at its price."""
        size = order.remaining if shares is None else parse_size(shares) if isinstance(shares, str) else Size(shares)
        self.trades += 1
        cash = (cash_paid if order.side is Side.BUY else cash_received)(order.price, size)
        fact = Filled(Micros(self.at), order.no, TradeId(f"t{self.trades}"), order.price, size, cash)
        self.tell(fact)
        if self.settles:
            self.settle(fact)
        return fact

    def settle(self, fact: Filled, status: Settlement = Settlement.CONFIRMED) -> None:
        """Settle a fill."""
        self.tell(Settled(Micros(self.at), fact.order, fact.trade, status))

    def lose_feed(self) -> None:
        """Take the feed away."""
        self.lost = True
        self.tell(FeedLost(Micros(self.at)))

    def restore_feed(self) -> None:
        """Bring it back, with the book as it is by now."""
        self.lost = False
        self.tell(FeedRestored(Micros(self.at)))
        self.tell(self._shown())

    def restart(self, fresh: dict[str, Any], adopt: bool = True) -> None:
        """End the session without a word, and begin another one; bids are cancelled, sells are adopted or cancelled."""
        now = Micros(self.at)
        carried: list[Fact] = [Carried(now, node, values) for node, values in sorted(self.desk.hooks.carried().items())]
        inventory = self.desk.markets[FIRST].inventory
        known: list[Fact] = []
        for outcome in Outcome:
            holding = inventory.of(outcome)
            if holding.held:
                known.append(HoldingSeen(now, FIRST, outcome, holding.held, Cash(holding.cost)))
        left = [order for order in self.in_play(Side.SELL) if adopt]
        known += [
            OrderFound(now, FIRST, each.outcome, each.side, each.price, each.size, each.filled, f"x{each.no}")
            for each in left
        ]
        self.components = fresh
        self.begin(carried, known)

    def tell(self, fact: Fact) -> list[Intent]:
        """Tell the desk, carry out what it wants, and check that it may want that."""
        intents = self.desk.handle(fact)
        if self.watches is not None:
            self.watches.record(fact, intents)
        for intent in intents:
            self.did.append((round((self.at - NOON) / SECOND), intent))
            if isinstance(intent, Place):
                self._check_place(intent)
        self._check_state()
        if self.answers:
            self.answer(intents)
        return intents

    def answer(self, intents: list[Intent]) -> None:
        """Let orders rest and leave as was asked."""
        now = Micros(self.at)
        for intent in intents:
            if isinstance(intent, Place):
                self.tell(OrderNews(now, intent.order, News.RESTING))
            elif isinstance(intent, Cancel):
                self.tell(OrderNews(now, intent.order, News.CANCELED))
            elif isinstance(intent, CancelAll):
                for order in self.in_play():
                    if intent.side in (None, order.side):
                        self.tell(OrderNews(now, order.no, News.CANCELED))

    # What there is to see.

    def in_play(self, side: Side | None = None, outcome: Outcome | None = None) -> list[Order]:
        """Return the orders in play."""
        return [
            order for order in self.desk.in_play() if side in (None, order.side) and outcome in (None, order.outcome)
        ]

    @property
    def bid(self) -> Order:
        """The one bid in play."""
        (order,) = self.in_play(Side.BUY)
        return order

    @property
    def offer(self) -> Order:
        """The one sell in play."""
        (order,) = self.in_play(Side.SELL)
        return order

    def phase(self, outcome: Outcome = Outcome.YES) -> Phase:
        """Say where a token's round stands."""
        holding = self.desk.markets[FIRST].inventory.of(outcome)
        return self.rounds.of(self.terms.condition, outcome).phase(holding)

    def story(self) -> list[str]:
        """Say what was placed and cancelled, and why, in words."""
        found = []
        for second, intent in self.did:
            if isinstance(intent, Place):
                side, size, price = intent.side.lower(), format_size(intent.size), format_price(intent.price)
                found.append(f"{second}: {side} {size} {intent.outcome} at {price}, {intent.reason.code}")
            elif isinstance(intent, Cancel):
                found.append(f"{second}: cancel, {intent.reason.code}")
        return found

    def said(self) -> list[str]:
        """Say the codes of all refusals, in order."""
        return [reason.code for _, each in self.did if isinstance(each, Refuse) for reason in each.reasons]

    def floor(self, outcome: Outcome) -> Price:
        """Return what is asked at least, worked out anew."""
        holding = self.desk.markets[FIRST].inventory.of(outcome)
        average = -(-(max(0, holding.cost - ROUNDING) * 10_000) // holding.held)
        return Price(min(-(-(average + PROFIT) // self.terms.tick) * self.terms.tick, 10_000 - self.terms.tick))

    # What never may happen.

    def _check_place(self, order: Place) -> None:
        seen = self.book.seen_by(order.outcome)
        assert order.post_only, "an order that may take"
        assert order.price % self.terms.tick == 0, "off the grid"
        assert order.size % self.terms.size_step == 0, "finer than the exchange's step"
        assert order.size >= self.terms.min_order_size, "under the exchange's minimum"
        assert seen.best_bid is not None
        assert seen.best_ask is not None
        if order.side is Side.BUY:
            assert order.price <= seen.best_bid, "a buy above the best bid"
            assert order.price * order.size >= 10**10, "a buy worth less than a dollar"
            assert len(self.in_play(Side.BUY, order.outcome)) == 1, "two bids for one token"
        else:
            assert order.price > seen.best_bid, "a sell that crosses"
            assert order.price >= self.floor(order.outcome), "a sell below its floor"
            assert seen.best_ask >= self.floor(order.outcome), "a sell while the ask is below the floor"

    def _check_state(self) -> None:
        state = self.desk.markets.get(FIRST)
        if state is None:
            return
        for outcome in Outcome:
            round_ = self.rounds.of(self.terms.condition, outcome)
            coming = sum(order.remaining for order in self.in_play(Side.BUY, outcome))
            assert not round_.target or round_.bought + coming <= round_.target, "more bid for than the target"
            asked = sum(order.remaining for order in self.in_play(Side.SELL, outcome))
            assert asked <= max(0, state.inventory.of(outcome).confirmed), "more offered than can be sold"
