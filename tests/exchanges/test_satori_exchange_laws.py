"""Laws of the embedded exchange as SatoriEx: money, escrow, and what is told in the end, whatever happens (V2, V6)."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from satori_scene import BUY, NO, NOON, RAIN, RAIN_NO, RAIN_YES, SELL, YES

from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.ledger import COLLATERAL, CROWD, FEES, ISSUER, VAULT, Account, Part
from pmrun.plugins.exchanges.embedded.satori.host import Ground, SatoriHost
from pmrun.plugins.exchanges.embedded.satori.settings import SHARE, SatoriSettings
from pmrun.plugins.exchanges.embedded.terms import Request
from pmrun.runner.facts import MarketStatus
from pmrun.runner.units import SECOND, Cash, Micros, Price, Side, Size

FUNDS, SHARES = Cash(30_000_000), Size(20 * SHARE)
TRADERS = 3
PRICES = st.integers(46, 54).map(lambda cents: cents * 100)
ORDERS = st.tuples(
    st.just("place"),
    st.integers(0, TRADERS - 1),
    st.sampled_from([BUY, SELL]),
    st.sampled_from([RAIN_YES, RAIN_NO]),
    PRICES,
    st.integers(1, 40),
)
CANCELS = st.tuples(st.sampled_from(["cancel", "admin"]), st.integers(0, 30))
WAITS = st.tuples(st.just("wait"), st.sampled_from([1_000, 50_000, 300_000, 2_000_000]))
CROWD_SETS = st.tuples(st.just("crowd"), st.sampled_from(list(Side)), PRICES, st.integers(0, 9_500_000))
CROWD_TAKES = st.tuples(st.just("take"), st.sampled_from(list(Side)), PRICES, st.integers(1, 30_500_000))
HALTS = st.tuples(st.just("halt"), st.booleans())
FLOWS = st.lists(
    ORDERS | ORDERS | ORDERS | CANCELS | WAITS | CROWD_SETS | CROWD_TAKES | HALTS, min_size=15, max_size=45
)


class Floor:
    """The exchange without a network: calls are answered at once, and time is what we say."""

    def __init__(self):
        self.time = NOON
        self.engine = Engine([RAIN], lot=SHARE)
        terms = SatoriSettings(limits=False, telling_latency=(Micros(5_000), Micros(900_000)))
        self.host = SatoriHost(Ground.of(self.engine), lambda: self.time, None, terms)
        self.traders = [
            self.host.add_account(f"{n}@example.com", "secret", FUNDS, {YES: SHARES, NO: SHARES})
            for n in range(TRADERS)
        ]
        self.heard = [[] for _ in self.traders]
        for trader, heard in zip(self.traders, self.heard, strict=True):
            self.host.connect("/ws", heard.append, lambda code, reason: None, {"token": [trader.token]})
        self.orders = []
        self.seen = {}

    def call(self, trader, method, path, body=None):
        headers = {"authorization": f"Bearer {self.traders[trader].token}"}
        sent = b"" if body is None else json.dumps(body).encode()
        reply = self.host.answer(Request(method=method, path=f"/api/v1{path}", headers=headers, body=sent))
        return reply.status, json.loads(reply.body)

    def do(self, step):
        kind, *rest = step
        getattr(self, kind)(*rest)
        self.host.pump()
        self.wait(100_000)  # about half of what waits is matched before the next step
        self.host.pump()

    def place(self, trader, side, outcome, price, quantity):
        body = {"market_id": RAIN.condition, "outcome_id": outcome, "side": side, "price": price, "quantity": quantity}
        status, answer = self.call(trader, "POST", "/orders", body)
        assert status in (202, 400, 409), answer
        if status == 202:
            self.orders.append((trader, answer["data"]["order"]["id"]))

    def cancel(self, number):
        if self.orders:
            trader, order_id = self.orders[number % len(self.orders)]
            status, answer = self.call(trader, "POST", f"/orders/{order_id}/cancel")
            assert status == 202
            assert answer["data"]["status"] in ("cancelled", "filled")

    def admin(self, number):
        if self.orders:
            self.host.admin_cancel(self.orders[number % len(self.orders)][1])

    def wait(self, duration):
        self.time = Micros(self.time + duration)

    def crowd(self, side, price, size):
        self.engine.crowd_set(0, side, Price(price), Size(size), self.time)

    def take(self, side, price, size):
        self.engine.crowd_take(0, side, Price(price), Size(size), self.time)

    def halt(self, on):
        self.engine.set_status(0, MarketStatus.HALTED if on else MarketStatus.TRADING, self.time)

    def told(self, trader, order_id):
        return self.call(trader, "GET", f"/orders/{order_id}")[1]["data"]

    def check(self):
        """Nothing was made or lost, nobody is below zero, and what is locked is what orders promise."""
        self.engine.ledger.check()
        for number, trader in enumerate(self.traders):
            promised = Counter()
            for owner, order_id in self.orders:
                view = self.engine.order(order_id)
                if owner == number and view.status in ("PENDING", "LIVE"):
                    left = view.size - view.matched
                    assert left % SHARE == 0
                    asset = COLLATERAL if view.side is Side.BUY else view.token
                    promised[asset] += view.price * left // 10_000 if view.side is Side.BUY else left
            for asset in (COLLATERAL, YES, NO):
                assert self.engine.ledger.of(Account(trader.user_id, Part.ESCROW), asset) == promised[asset]
                assert self.engine.ledger.of(Account(trader.user_id, Part.PENDING), asset) == 0

    def never_back(self):
        """An order moves forward only; a cancelled one may still turn out to be filled."""
        rank = {"pending": 0, "open": 1, "partial": 2, "cancelled": 3, "filled": 4}
        for trader, order_id in self.orders:
            now = self.told(trader, order_id)
            before = self.seen.get(order_id, now)
            assert rank[now["status"]] >= rank[before["status"]]
            assert now["filled_quantity"] >= before["filled_quantity"]
            assert now["filled_quantity"] + now["remaining_quantity"] == now["quantity"]
            self.seen[order_id] = now

    def settle_down(self):
        self.halt(False)
        self.wait(10 * SECOND)
        self.host.pump()
        self.wait(10 * SECOND)
        self.host.pump()


@given(FLOWS)
@settings(max_examples=25, deadline=None)
def test_money_is_neither_made_nor_lost_and_escrow_is_what_orders_promise(flow):
    floor = Floor()
    for step in flow:
        floor.do(step)
        floor.check()
        floor.never_back()


@given(FLOWS)
@settings(max_examples=25, deadline=None)
def test_in_the_end_everything_was_told_and_agrees_with_the_ledger(flow):
    floor = Floor()
    for step in flow:
        floor.do(step)
    floor.settle_down()
    floor.check()
    for number, trader in enumerate(floor.traders):
        frames = [json.loads(text) for text in floor.heard[number]]
        fills = [frame for frame in frames if frame["type"] == "order_filled"]
        for owner, order_id in floor.orders:
            if owner == number:
                mine = [fill["trade"] for fill in fills if fill["order_id"] == order_id]
                told, view = floor.told(number, order_id), floor.engine.order(order_id)
                assert sum(fill["quantity"] for fill in mine) == told["filled_quantity"] == view.matched // SHARE
                assert sum(fill["price"] * fill["quantity"] * 100 for fill in mine) == told["filled_notional_e6"]
                assert (told["status"] in ("open", "partial")) == (view.status == "LIVE")
        assert cash_after(fills) == floor.engine.ledger.balance(trader.user_id, None)
        balances = [frame for frame in frames if frame["type"] == "wallet_changed"]
        if balances:
            assert balances[-1]["total_e6"] == cash_after(fills)
        for token, outcome in ((YES, RAIN_YES), (NO, RAIN_NO)):
            assert shares_after(fills, outcome) == floor.engine.ledger.balance(trader.user_id, token)


def cash_after(fills):
    """What an owner has who knows nothing but the fills that were told."""
    cash = FUNDS
    for fill in (each["trade"] for each in fills):
        worth = fill["price"] * fill["quantity"] * 100
        cash += (worth if fill["side"] == SELL else -worth) - fill["fee_e6"] + fill["rebate_e6"]
    return cash


def shares_after(fills, outcome):
    mine = [fill["trade"] for fill in fills if fill["trade"]["outcome_id"] == outcome]
    return SHARES + SHARE * sum(fill["quantity"] * (1 if fill["side"] == BUY else -1) for fill in mine)


@given(FLOWS, st.sampled_from([0, 5_000, 10_000]))
@settings(max_examples=15, deadline=None)
def test_every_way_out_releases_the_escrow_and_a_resolution_pays_what_shares_are_worth(flow, settled):
    floor = Floor()
    for step in flow:
        floor.do(step)
    floor.engine.resolve(0, Price(settled), floor.time)
    floor.host.pump()
    floor.settle_down()
    ledger = floor.engine.ledger
    ledger.check()
    for trader in floor.traders:
        assert ledger.of(Account(trader.user_id, Part.ESCROW), COLLATERAL) == 0
        assert ledger.balance(trader.user_id, YES) == ledger.balance(trader.user_id, NO) == 0
    for owner, order_id in floor.orders:
        assert floor.told(owner, order_id)["status"] in ("cancelled", "filled")
    issued = -ledger.of(ISSUER, COLLATERAL)
    held = sum(ledger.balance(trader.user_id, None) for trader in floor.traders)
    assert issued == held + sum(ledger.of(account, COLLATERAL) for account in (CROWD, FEES, VAULT))


@pytest.mark.parametrize("seed", range(3))
def test_the_same_seed_gives_the_same_latencies(seed):
    def session():
        floor = Floor()
        floor.host.matcher._random.seed(seed)
        for number in range(12):
            floor.do(("place", number % TRADERS, BUY if number % 2 else SELL, RAIN_YES, 5000, 3))
        floor.settle_down()
        return [[text for text in heard if "order_filled" in text] for heard in floor.heard]

    first = session()
    assert any(first)
    assert session() == first
