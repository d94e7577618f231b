"""Laws of the embedded exchange's engine, whatever happens to it."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmrun.plugins.exchanges.embedded.crowd import Crowd
from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.ledger import COLLATERAL, CROWD, FEES, ROUNDING, VAULT, Account, Part
from pmrun.plugins.exchanges.embedded.terms import (
    OrderMoved,
    Placed,
    Printed,
    Refused,
    SettlementPace,
    Ticket,
    TimeInForce,
    TradeMoved,
)
from pmrun.plugins.executors.kernel import PRINT, SNAPSHOT
from pmrun.plugins.feeds.sim.sim import Simulated
from pmrun.runner.facts import MarketStatus
from pmrun.runner.market import ConditionId, FeeTerms, Market, Outcome, TokenId
from pmrun.runner.orders import Settlement
from pmrun.runner.units import SECOND, Cash, Micros, Price, Side, Size, cash_paid, cash_received, complement

BUY, SELL = Side.BUY, Side.SELL
YES, NO = TokenId("1001"), TokenId("1002")
MARKET = Market(
    condition=ConditionId("0x01"),
    question="Will it rain? (simulated)",
    slug="rain",
    yes=YES,
    no=NO,
    tick=Price(10),
    min_order_size=Size(1_000_000),
    fees=FeeTerms(rate_ppm=70_000),
)
NOON = Micros(1_790_000_000_000_000)
WALLETS = ("0xanne", "0xbob", "0xcleo")
FUNDS, SHARES = Cash(30_000_000), Size(20_000_000)
FAR = Micros(NOON + 10**12)
IN_FLIGHT = (Settlement.MATCHED, Settlement.MINED, Settlement.RETRYING)


def opened(seed=0, funds=FUNDS, shares=SHARES):
    engine = Engine([MARKET], seed=seed)
    for wallet in WALLETS:
        engine.deposit(wallet, funds, NOON)
        for token in (YES, NO):
            engine.grant(wallet, token, shares, NOON)
    return engine


# What may happen. Prices are few, so that things meet; sizes are odd, so that cash has to be rounded.

prices = st.sampled_from([Price(10 * n) for n in (331, 333, 337, 340, 500)])
sizes = st.integers(1_000_000, 12_000_000).map(Size)
sides = st.sampled_from([BUY, SELL])
wallets = st.sampled_from(WALLETS)
tokens = st.sampled_from([YES, NO])

places = st.tuples(
    st.just("place"),
    wallets,
    tokens,
    sides,
    prices,
    sizes,
    st.sampled_from([TimeInForce.GTC] * 4 + [TimeInForce.GTD, TimeInForce.FOK, TimeInForce.FAK]),
    st.booleans(),
)
acts = st.one_of(
    places,
    places,
    places,
    st.tuples(st.just("deposit"), wallets, st.integers(1, 5_000_000).map(Cash)),
    st.tuples(st.just("withdraw"), wallets, st.integers(1, 5_000_000).map(Cash)),
    st.tuples(st.just("cancel"), st.integers(0, 30)),
    st.tuples(st.just("cancel all"), wallets),
    st.tuples(st.just("crowd"), sides, prices, st.integers(0, 15_000_000).map(Size)),
    st.tuples(st.just("snapshot"), prices, prices, sizes),
    st.tuples(st.just("take"), sides, prices, sizes),
    st.tuples(st.just("fail"), st.integers(1, 2)),
    st.tuples(st.just("retry"), st.integers(1, 2)),
    st.tuples(st.just("halt"), st.booleans()),
    st.tuples(st.just("wait"), st.integers(1, 5_000_000)),
)


@dataclass
class Play:
    """An engine, and what was done to it."""

    engine: Engine
    now: Micros = NOON
    numbers: count = field(default_factory=count)
    tickets: dict[str, Ticket] = field(default_factory=dict)  # those that were taken
    deposited: Counter = field(default_factory=lambda: Counter(dict.fromkeys(WALLETS, FUNDS)))
    events: list = field(default_factory=list)

    def do(self, act):
        engine, (what, *terms) = self.engine, act
        match what:
            case "place":
                self.place(*terms)
            case "deposit":
                self.deposited[terms[0]] += terms[1]
                engine.deposit(*terms, self.now)
            case "withdraw":
                amount = Cash(min(terms[1], engine.balance(terms[0], None) - self.pending(terms[0])))
                self.deposited[terms[0]] -= amount
                engine.withdraw(terms[0], None, amount, self.now)
            case "cancel":
                ids = list(self.tickets)[terms[0] : terms[0] + 2]
                for order_id in ids:
                    engine.cancel(self.tickets[order_id].api_key, [order_id], self.now)
            case "cancel all":
                engine.cancel_where(key_of(terms[0]), self.now)
            case "crowd":
                engine.crowd_set(0, *terms, self.now)
            case "snapshot":
                bid, ask, size = terms
                engine.crowd_snapshot(0, ((bid, size),), ((ask, size),), self.now)
            case "take":
                engine.crowd_take(0, *terms, self.now)
            case "fail":
                engine.fail_next_settlement(*terms)
            case "retry":
                engine.retry_next_settlement(*terms)
            case "halt":
                engine.set_status(0, MarketStatus.HALTED if terms[0] else MarketStatus.TRADING, self.now)
            case "wait":
                self.now = Micros(self.now + terms[0])
                engine.advance(self.now)
        self.events += engine.drain()

    def place(self, wallet, token, side, price, size, time_in_force, post_only):
        ticket = Ticket(
            order_id=f"0x{next(self.numbers):064x}",
            wallet=wallet,
            api_key=key_of(wallet),
            token=token,
            side=side,
            price=price,
            size=size,
            time_in_force=time_in_force,
            expires_at=Micros(self.now + 3_000_000) if time_in_force is TimeInForce.GTD else None,
            post_only=post_only,
        )
        answer = self.engine.place(ticket, self.now)
        if isinstance(answer, Placed):
            self.tickets[ticket.order_id] = ticket
        return answer

    def trades(self):
        found = {trade.trade_id: trade for wallet in WALLETS for trade in self.engine.trades(key_of(wallet))}
        return list(found.values())

    def pending(self, wallet):
        return self.engine.ledger.of(Account(wallet, Part.PENDING), COLLATERAL)


def key_of(wallet):
    return f"key of {wallet}"


def halves(trade):
    """What each party of a trade did, as the trade says: wallet, order, token, side, price, size, fee."""
    for maker in trade.makers:
        own = maker.price if maker.token == trade.token else complement(maker.price)
        fee = MARKET.fees.taker_fee(own, maker.size)
        yield trade.taker_wallet, trade.taker_order_id, trade.token, trade.side, own, maker.size, fee
        yield maker.wallet, maker.order_id, maker.token, maker.side, maker.price, maker.size, 0


def owned(play, wallet):
    """What a wallet has to own, and what of it is on its way, by its deposits and its trades alone."""
    own = Counter({COLLATERAL: play.deposited[wallet], YES: SHARES, NO: SHARES})
    pending = Counter()
    for trade in play.trades():
        for who, _, token, side, price, size, fee in halves(trade):
            if who != wallet or trade.status is Settlement.FAILED:
                continue
            if side is BUY:
                gives, gets = (COLLATERAL, cash_paid(price, size) + fee), (token, size)
            else:
                gives, gets = (token, size), (COLLATERAL, cash_received(price, size) - fee)
            if trade.status in IN_FLIGHT:
                pending[gives[0]] += gives[1]
            else:
                own[gives[0]] -= gives[1]
                own[gets[0]] += gets[1]
    return own, pending


def promised(play, wallet):
    """What a wallet's resting orders keep."""
    kept = Counter()
    for order in play.engine.open_orders(key_of(wallet)):
        left = Size(order.size - order.matched)
        if order.side is BUY:
            kept[COLLATERAL] += cash_paid(order.price, left)
        else:
            kept[order.token] += left
    return kept


def check_money(play):
    engine = play.engine
    engine.ledger.check()
    for wallet in WALLETS:
        own, pending = owned(play, wallet)
        kept = promised(play, wallet)
        for asset in (COLLATERAL, YES, NO):
            token = None if asset == COLLATERAL else asset
            assert engine.balance(wallet, token) == own[asset]
            assert engine.ledger.of(Account(wallet, Part.PENDING), asset) == pending[asset]
            assert engine.ledger.of(Account(wallet, Part.ESCROW), asset) == kept[asset]
            assert engine.spendable(wallet, token) == own[asset] - pending[asset] - kept[asset] >= 0
    pairs = engine.ledger.of(VAULT, COLLATERAL)
    assert -pairs == engine.ledger.of(VAULT, YES) == engine.ledger.of(VAULT, NO)
    assert engine.ledger.of(ROUNDING, COLLATERAL) >= 0
    assert engine.ledger.of(FEES, COLLATERAL) >= 0


def check_trades(play):
    matched = Counter()
    for trade in play.trades():
        assert trade.size == sum(part.size for part in trade.makers)
        for _, order_id, token, side, price, size, _ in halves(trade):
            matched[order_id] += size
            ticket = play.tickets.get(order_id)
            if ticket is not None:
                assert (ticket.token, ticket.side) == (token, side)
                assert price <= ticket.price if side is BUY else price >= ticket.price
    for order_id, ticket in play.tickets.items():
        view = play.engine.order(order_id)
        assert view.matched == matched[order_id] <= ticket.size
        assert (view.status == "MATCHED") == (view.matched == ticket.size)


def check_book(play):
    """The book is our resting orders and the crowd, without empty levels, the best first; ours cross nobody."""
    mine = {BUY: Counter(), SELL: Counter()}
    for wallet in WALLETS:
        for order in play.engine.open_orders(key_of(wallet)):
            yes = order.outcome is Outcome.YES
            side = order.side if yes else order.side.opposite
            mine[side][order.price if yes else complement(order.price)] += order.size - order.matched
    bids, asks = play.engine.levels(0)
    for side, levels in ((BUY, bids), (SELL, asks)):
        there = mine[side] + Counter(play.engine.crowd_levels(0, side))
        assert list(levels) == sorted(there.items(), reverse=side is BUY)
        assert all(size > 0 for _, size in levels)
    if play.engine.status(0) is MarketStatus.TRADING:
        assert max(mine[BUY], default=0) < min(asks, default=(10_000, 0))[0]
        assert min(mine[SELL], default=10_000) > max(bids, default=(0, 0))[0]


@given(st.lists(acts, min_size=5, max_size=40), st.integers(0, 3))
def test_money_trades_and_books_are_right_after_every_step(script, seed):
    play = Play(opened(seed))
    for act in script:
        play.do(act)
        check_money(play)
        check_trades(play)
        check_book(play)
    for wallet in WALLETS:
        play.do(("cancel all", wallet))
    play.engine.advance(FAR)
    check_money(play)
    assert play.engine.next_due() is None
    for wallet in WALLETS:
        for asset in (COLLATERAL, YES, NO):
            assert play.engine.ledger.of(Account(wallet, Part.ESCROW), asset) == 0
            assert play.engine.ledger.of(Account(wallet, Part.PENDING), asset) == 0


@given(st.lists(acts, min_size=5, max_size=40), st.sampled_from([Price(0), Price(10_000), Price(5_000)]))
def test_once_a_market_is_resolved_and_all_is_settled_nobody_holds_a_share(script, settled_yes):
    play = Play(opened())
    for act in script:
        play.do(act)
    play.engine.resolve(0, settled_yes, play.now)
    play.engine.advance(FAR)
    ledger = play.engine.ledger
    ledger.check()
    for token in (YES, NO):
        assert not ledger.holders(token)
    for wallet in WALLETS:
        assert play.engine.spendable(wallet, None) == play.engine.balance(wallet, None)
    assert 0 <= ledger.of(VAULT, COLLATERAL) < 10  # what rounding left of odd halves


@given(st.lists(acts, min_size=5, max_size=40))
def test_owners_are_told_everything_that_happens_to_their_orders_and_trades(script):
    play = Play(opened())
    for act in script:
        play.do(act)
    told = {}
    matched = Counter()
    for event in play.events:
        if isinstance(event, OrderMoved):
            order = event.order
            assert (order.order_id in told) == (event.kind != "PLACEMENT")
            assert order.matched >= matched[order.order_id]
            matched[order.order_id] = order.matched
            told[order.order_id] = order
    assert told == {order_id: play.engine.order(order_id) for order_id in play.tickets}
    latest = {event.trade.trade_id: event.trade for event in play.events if isinstance(event, TradeMoved)}
    assert latest == {trade.trade_id: trade for trade in play.trades()}
    times = [event.at for event in play.events]
    assert times == sorted(times)


@given(st.lists(acts, min_size=5, max_size=30), st.integers(0, 3))
def test_the_same_seed_and_the_same_acts_give_the_same_events(script, seed):
    first, second = Play(opened(seed)), Play(opened(seed))
    for act in script:
        first.do(act)
        second.do(act)
    assert first.events == second.events


@given(sides, tokens, prices, sizes, st.lists(st.tuples(tokens, sizes), min_size=1, max_size=4))
def test_a_failed_settlement_restores_every_balance_exactly(side, token, price, size, makers):
    engine = opened(funds=Cash(100_000_000), shares=Size(100_000_000))
    play = Play(engine)
    engine.fail_next_settlement(100)
    before = {account: engine.ledger.of(*account) for account in accounts()}
    for maker_token, maker_size in makers:
        rests = side.opposite if maker_token == token else side
        own = price if maker_token == token else complement(price)
        play.place("0xanne", maker_token, rests, own, maker_size, TimeInForce.GTC, False)
    taken = play.place("0xbob", token, side, price, size, TimeInForce.GTC, False)
    assert isinstance(taken, Refused) == (cash_paid(price, size) < 1_000_000)
    engine.advance(FAR)
    for wallet in WALLETS:
        engine.cancel_where(key_of(wallet), FAR)
    assert {account: engine.ledger.of(*account) for account in accounts()} == before
    assert all(trade.status is Settlement.FAILED for trade in play.trades())
    if isinstance(taken, Placed):
        expected = min(size, sum(maker_size for _, maker_size in makers))
        assert engine.order(taken.order_id).matched == expected


def accounts():
    owners = [Account(wallet, part) for wallet in WALLETS for part in (Part.AVAILABLE, Part.ESCROW, Part.PENDING)]
    return [(owner, asset) for owner in (*owners, VAULT, FEES, ROUNDING, CROWD) for asset in (COLLATERAL, YES, NO)]


# Price, then time, against lists that are scanned.


class Lists:
    """The queue as slowly as possible: everything that rests in one list, in order of arrival."""

    def __init__(self):
        self.rest = []  # [side, price, who, left]
        self.fills = []

    def take(self, side, limit, size, only_ours=False):
        sign = 1 if side is BUY else -1
        there = [each for each in self.rest if each[0] is not side and sign * each[1] <= sign * limit]
        for each in sorted(there, key=lambda each: sign * each[1]):  # stable: by price, then time
            took = min(size, each[3]) if each[2] or not only_ours else 0
            each[3] -= took
            size -= took
            if took:
                self.fills.append((each[1], each[2], took))
        self.rest = [each for each in self.rest if each[3]]
        return size

    def join(self, side, price, who, size):
        if size:
            self.rest.append([side, price, who, size])

    def crowd(self, side, price, size):
        chunks = [each for each in self.rest if (each[0], each[1], each[2]) == (side, price, None)]
        now = sum(each[3] for each in chunks)
        if size >= now:
            self.join(side, price, None, self.take(side, price, size - now, only_ours=True))
        else:
            seen = kept = 0
            for each in chunks:
                seen += each[3]
                each[3] = seen * size // now - kept
                kept += each[3]
            self.rest = [each for each in self.rest if each[3]]

    def levels(self, side):
        totals = Counter()
        for each in self.rest:
            if each[0] is side:
                totals[each[1]] += each[3]
        return sorted(totals.items(), reverse=side is BUY)


few_prices = st.sampled_from([Price(4990), Price(5000), Price(5010)])
flow = st.one_of(
    st.tuples(st.just("order"), tokens, sides, few_prices, st.integers(4_000_000, 12_000_000).map(Size)),
    st.tuples(st.just("crowd"), sides, few_prices, st.integers(0, 15_000_000).map(Size)),
    st.tuples(st.just("take"), sides, few_prices, sizes),
)


@given(st.lists(flow, min_size=5, max_size=60))
def test_matching_is_by_price_then_time(script):
    play, lists = Play(opened(funds=Cash(10**9), shares=Size(10**9))), Lists()
    got = []
    for what, *terms in script:
        if what == "order":
            token, side, price, size = terms
            answer = play.place("0xanne", token, side, price, size, TimeInForce.GTC, False)
            yes_side, yes_price = (side, price) if token == YES else (side.opposite, complement(price))
            lists.join(yes_side, yes_price, answer.order_id, lists.take(yes_side, yes_price, size))
        elif what == "crowd":
            play.engine.crowd_set(0, *terms, play.now)
            lists.crowd(*terms)
        else:
            play.engine.crowd_take(0, *terms, play.now)
            lists.take(*terms)
        assert list(play.engine.levels(0)[0]) == lists.levels(BUY)
        assert list(play.engine.levels(0)[1]) == lists.levels(SELL)
        trades = [event.trade for event in play.engine.drain() if isinstance(event, TradeMoved)]
        got += [(part.order_id, part.size) for trade in trades for part in trade.makers if part.api_key]
    assert got == [(who, size) for _, who, size in lists.fills if who]


@given(st.lists(acts, max_size=25), sides, prices, sizes)
def test_the_volume_of_a_print_is_used_once(script, side, price, size):
    play = Play(opened())
    for act in script:
        play.do(act)
    play.do(("halt", False))
    against = 1 if side is BUY else 0
    before = sum(rests for _, rests in play.engine.levels(0)[against])
    play.do(("wait", 1))
    gone = before - sum(rests for _, rests in play.engine.levels(0)[against])
    filled = sum(play.engine.order(order_id).matched for order_id in play.tickets)
    crowd = sum(play.engine.crowd_levels(0, side.opposite).values())
    play.events.clear()
    play.do(("take", side, price, size))
    after = sum(rests for _, rests in play.engine.levels(0)[against])
    printed = sum(event.size for event in play.events if isinstance(event, Printed))
    ours = sum(play.engine.order(order_id).matched for order_id in play.tickets) - filled
    theirs = crowd - sum(play.engine.crowd_levels(0, side.opposite).values())
    assert ours + theirs == printed <= size
    dropped = sum(event.kind == "CANCELLATION" for event in play.events if isinstance(event, OrderMoved))
    if not dropped:
        assert before - gone - after == printed


# A whole feed.


@pytest.fixture(scope="module")
def simulated():
    return Simulated(seed=3, markets=16, length=Micros(900 * SECOND)).open()


def plain_books(rows, until):
    """The books that a feed describes up to a time, by market and side."""
    books = {}
    for at, market, kind, side, price, size in zip(
        *(column.tolist() for column in (rows.at, rows.market, rows.kind, rows.side, rows.price, rows.size)),
        strict=True,
    ):
        if at > until or kind == PRINT:
            continue
        if kind == SNAPSHOT:
            books[market, 0], books[market, 1] = {}, {}
        else:
            books[market, side][price] = size
            if not size:
                del books[market, side][price]
    return books


@pytest.mark.parametrize("minute", [1, 5, 14])
def test_without_orders_of_ours_the_book_is_that_of_the_feed(simulated, minute):
    until = Micros(simulated.info.first_at + minute * 60_000_000)
    engine = Engine(simulated.markets)
    Crowd(engine, simulated).advance(until)
    books = plain_books(simulated.rows, until)
    for market in range(len(simulated.markets)):
        if engine.status(market) is MarketStatus.TRADING:
            bids, asks = engine.levels(market)
            assert list(bids) == sorted(books[market, 0].items(), reverse=True)
            assert list(asks) == sorted(books[market, 1].items())
    assert not engine.ledger.entries


def quote(play, market, now):
    """Bid for both tokens at the touch."""
    terms, (bids, asks) = play.engine.markets[market], play.engine.levels(market)
    for token, price in ((terms.yes, bids and bids[0][0]), (terms.no, asks and complement(asks[0][0]))):
        if price:
            play.now = now
            play.place("0xanne", token, BUY, price, Size(50_000_000), TimeInForce.GTC, True)


def test_makers_in_a_simulated_feed_are_filled_and_their_money_is_right(simulated):
    engine, random = Engine(simulated.markets, seed=1), Random(1)
    played, play = Crowd(engine, simulated), Play(engine)
    engine.deposit("0xanne", Cash(10**10), simulated.info.first_at)
    for second in range(1, 900, 5):
        now = Micros(simulated.info.first_at + second * SECOND)
        played.advance(now)
        if second % 100 == 1:
            engine.cancel_where(key_of("0xanne"), now)
            for market in range(len(simulated.markets)):
                quote(play, market, now)
        if random.random() < 0.05:
            random.choice([engine.fail_next_settlement, engine.retry_next_settlement])()
        engine.ledger.check()
    engine.cancel_where(key_of("0xanne"), now)
    engine.advance(FAR)
    engine.ledger.check()
    trades = engine.trades(key_of("0xanne"))
    assert len(trades) > 10
    assert {trade.status for trade in trades} == {Settlement.CONFIRMED, Settlement.FAILED}
    assert engine.spendable("0xanne", None) == engine.balance("0xanne", None)


def test_settlement_takes_the_time_it_is_given():
    engine = Engine([MARKET], SettlementPace(mined_after=Micros(7), confirmed_after=Micros(0)))
    engine.deposit("0xanne", FUNDS, NOON)
    Play(engine).place("0xanne", YES, BUY, Price(5000), Size(5_000_000), TimeInForce.GTC, False)
    engine.crowd_take(0, SELL, Price(5000), Size(5_000_000), NOON)
    engine.drain()
    engine.advance(Micros(NOON + 6))
    assert not engine.drain()
    engine.advance(Micros(NOON + 7))
    assert [event.trade.status for event in engine.drain()] == [Settlement.MINED, Settlement.CONFIRMED]
