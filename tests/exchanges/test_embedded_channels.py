"""The sockets of the embedded exchange: what is heard there is what happened, and nothing else."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pmrun.plugins.exchanges.common.book_hash import is_whole
from pmrun.plugins.exchanges.common.market_news import (
    BookSeen,
    LevelsSeen,
    MarketListed,
    MarketResolved,
    News,
    PrintSeen,
    TickSeen,
    TouchSeen,
)
from pmrun.plugins.exchanges.embedded.channels import Connection
from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.fault_script import read_script
from pmrun.plugins.exchanges.embedded.faults import Faults
from pmrun.plugins.exchanges.embedded.host import Host
from pmrun.plugins.exchanges.embedded.identity import ApiKey
from pmrun.plugins.exchanges.embedded.settings import HostSettings
from pmrun.plugins.exchanges.embedded.terms import Request, Ticket, TimeInForce
from pmrun.plugins.exchanges.embedded.wire_own import NOBODY
from pmrun.plugins.exchanges.polymarket.news import (
    OrderKind,
    OrderSeen,
    OrderStatus,
    TraderSide,
    TradeSeen,
    TradeStatus,
)
from pmrun.plugins.exchanges.polymarket.wire import parse_frame
from pmrun.plugins.exchanges.polymarket.wire_prices import parse_book
from pmrun.runner.book import Book
from pmrun.runner.errors import ProtocolViolation
from pmrun.runner.facts import MarketStatus
from pmrun.runner.market import ConditionId, Market, Outcome, TokenId
from pmrun.runner.units import ONE, SECOND, Cash, Micros, Price, Side, Size

NOON = 1_772_366_400 * SECOND
SHARE = 1_000_000
ALICE, BOB = "0x" + "A1" * 20, "0x" + "B2" * 20


def market(name: str, number: int) -> Market:
    return Market(
        condition=ConditionId(f"0x{number:064x}"),
        question=f"Will it {name}?",
        slug=name,
        yes=TokenId(str((number << 200) | 1 << 90)),
        no=TokenId(str((number << 200) | 1 << 91)),
        tick=Price(100),
        min_order_size=Size(5 * SHARE),
        simulated=True,
    )


RAIN, SNOW = market("rain", 1), market("snow", 2)


class Peer:
    """What one end of a socket has heard."""

    def __init__(self, host: Host, path: str) -> None:
        self.raw: list[str] = []
        self.closed: list[tuple[int, str]] = []
        self._host = host
        self.connection: Connection = host.connect(path, self.raw.append, self._close)

    def _close(self, code: int, reason: str) -> None:
        self.closed.append((code, reason))

    def say(self, **message: Any) -> list[News]:
        self.connection.receive(json.dumps(message))
        return self.heard()

    def heard(self) -> list[News]:
        self._host.pump()
        raw, self.raw[:] = list(self.raw), []
        parsed = [parse_frame(frame) for frame in raw]
        assert all(not one.unknown for one in parsed)
        return [news for one in parsed for news in one.news]


class Scene:
    """An exchange at noon."""

    def __init__(self, script: Sequence[dict[str, Any]] = (), **settings: Any) -> None:
        self.at = Micros(NOON)
        self.engine = Engine((RAIN, SNOW), seed=5)
        self.faults = Faults(read_script(list(script)), seed=5) if script else None
        self.rung = 0
        self.host = Host(self.engine, lambda: self.at, faults=self.faults, settings=HostSettings(**settings), seed=5)
        self.host.wake = self._ring
        self.placed = 0

    def _ring(self) -> None:
        self.rung += 1

    def listen(self, *tokens: TokenId, **options: Any) -> Peer:
        peer = Peer(self.host, "/ws/market")
        peer.say(type="market", assets_ids=list(tokens), **options)
        return peer

    def owner(self, address: str) -> ApiKey:
        key = self.host._identity.create(address, 0)
        self.host.accounts.welcome(address, self.at)
        return key

    def follow(self, key: ApiKey, *conditions: ConditionId) -> Peer:
        peer = Peer(self.host, "/ws/user")
        auth = {"apiKey": key.key, "secret": key.secret, "passphrase": key.passphrase}
        peer.say(type="user", auth=auth, **({"markets": list(conditions)} if conditions else {}))
        return peer

    def place(self, key: ApiKey, side: Side, price: int, shares: int, token: TokenId = RAIN.yes, **more: Any) -> str:
        self.placed += 1
        order_id = f"0x{self.placed:064x}"
        ticket = Ticket(
            order_id=order_id,
            wallet=key.address,
            api_key=key.key,
            token=token,
            side=side,
            price=Price(price),
            size=Size(shares * SHARE),
        )
        self.engine.place(replace(ticket, **more), self.at)
        return order_id

    def crowd(self, side: Side, price: int, shares: int, number: int = 0) -> None:
        self.engine.crowd_set(number, side, Price(price), Size(shares * SHARE), self.at)

    def wait(self, seconds: float) -> None:
        self.at = Micros(self.at + round(seconds * SECOND))
        self.host.pump()


# The market channel.


def test_a_subscription_is_answered_with_all_books_in_one_array() -> None:
    scene = Scene()
    scene.crowd(Side.BUY, 4800, 30)
    peer = Peer(scene.host, "/ws/market")
    peer.connection.receive(json.dumps({"type": "market", "assets_ids": [RAIN.yes, RAIN.no, "77"]}))
    scene.host.pump()
    (frame,) = peer.raw
    assert len(json.loads(frame)) == 2
    yes, no = peer.heard()
    assert isinstance(yes, BookSeen) and isinstance(no, BookSeen)
    assert (yes.token, yes.bids, yes.asks) == (RAIN.yes, ((4800, 30 * SHARE),), ())
    assert (no.token, no.bids, no.asks) == (RAIN.no, (), ((5200, 30 * SHARE),))
    assert is_whole(yes, tick=RAIN.tick, min_order_size=RAIN.min_order_size, neg_risk=False)


def test_a_subscription_to_nothing_that_is_listed_is_answered_with_an_empty_array() -> None:
    scene = Scene()
    peer = Peer(scene.host, "/ws/market")
    peer.connection.receive('{"type":"market","assets_ids":["77"]}')
    scene.host.pump()
    assert peer.raw == ["[]"]
    assert scene.host.fired["empty_array"] == 1


def test_without_an_initial_dump_only_changes_are_heard() -> None:
    scene = Scene()
    peer = scene.listen(RAIN.yes, initial_dump=False)
    assert peer.heard() == []
    scene.crowd(Side.BUY, 4800, 30)
    (changes,) = peer.heard()
    assert isinstance(changes, LevelsSeen)


def test_ping_is_answered_with_pong_and_nonsense_with_silence() -> None:
    scene = Scene()
    for path in ("/ws/market", "/ws/user"):
        peer = Peer(scene.host, path)
        for said in ("", "ping", "{", "[]", "null", '{"type":7}', '{"operation":"subscribe"}', "[" * 5000):
            peer.connection.receive(said)
        peer.connection.receive("PING")
        scene.host.pump()
        assert [frame for frame in peer.raw if frame != "[]"] == ["PONG"]
        assert not peer.closed


def test_a_change_tells_both_tokens_with_the_touch_and_the_hash_of_the_book_it_leads_to() -> None:
    scene = Scene()
    scene.crowd(Side.SELL, 5200, 40)
    peer = scene.listen(RAIN.yes)
    scene.crowd(Side.BUY, 4800, 30)
    (news,) = peer.heard()
    assert isinstance(news, LevelsSeen)
    yes, no = news.changes
    assert (yes.token, yes.side, yes.price, yes.size) == (RAIN.yes, Side.BUY, 4800, 30 * SHARE)
    assert (no.token, no.side, no.price, no.size) == (RAIN.no, Side.SELL, 5200, 30 * SHARE)
    assert (yes.best_bid, yes.best_ask, no.best_bid, no.best_ask) == (4800, 5200, 4800, 5200)
    for change in (yes, no):
        reply = scene.host.answer(Request(method="GET", path="/book", query={"token_id": [change.token]}))
        assert parse_book(reply.body).hash == change.hash
    scene.crowd(Side.BUY, 4800, 0)
    (gone,) = peer.heard()
    assert isinstance(gone, LevelsSeen)
    assert (gone.changes[0].size, gone.changes[0].best_bid) == (0, None)


def test_a_trade_is_printed_once_and_followed_by_the_book_that_states_it() -> None:
    scene = Scene()
    scene.crowd(Side.SELL, 5200, 40)
    peer = scene.listen(RAIN.yes, RAIN.no)
    scene.engine.crowd_take(0, Side.BUY, Price(5200), Size(4 * SHARE), scene.at)
    heard = peer.heard()
    (print_,) = [news for news in heard if isinstance(news, PrintSeen)]
    own = print_.token == RAIN.yes
    assert (print_.price, print_.taker_side) == ((5200, Side.BUY) if own else (4800, Side.SELL))
    assert print_.size == 4 * SHARE
    books = [news for news in heard if isinstance(news, BookSeen)]
    assert [book.token for book in books] == [RAIN.yes, RAIN.no]
    assert {book.last_trade_price for book in books} == {5200}
    assert all(is_whole(book, tick=RAIN.tick, min_order_size=RAIN.min_order_size, neg_risk=False) for book in books)


def test_prints_come_on_either_token() -> None:
    scene = Scene()
    peer = scene.listen(RAIN.yes, RAIN.no)
    for _ in range(30):
        scene.crowd(Side.SELL, 5200, 40)
        scene.engine.crowd_take(0, Side.BUY, Price(5200), Size(SHARE), scene.at)
    tokens = [news.token for news in peer.heard() if isinstance(news, PrintSeen)]
    assert len(tokens) == 30
    assert set(tokens) == {RAIN.yes, RAIN.no}


def test_only_subscribed_tokens_are_heard_and_unsubscribed_ones_no_more() -> None:
    scene = Scene()
    peer = scene.listen(RAIN.yes)
    scene.crowd(Side.BUY, 4800, 30, number=1)
    assert peer.heard() == []
    (book,) = peer.say(operation="subscribe", assets_ids=[SNOW.no, RAIN.yes])  # the second one is known already
    assert isinstance(book, BookSeen)
    assert book.token == SNOW.no
    scene.crowd(Side.BUY, 4700, 30, number=1)
    assert len(peer.heard()) == 1
    peer.say(operation="unsubscribe", assets_ids=[SNOW.no])
    scene.crowd(Side.BUY, 4600, 30, number=1)
    assert peer.heard() == []


def test_the_custom_features_tell_the_touch_new_markets_and_answers() -> None:
    scene = Scene()
    plain, custom = scene.listen(RAIN.yes), scene.listen(RAIN.yes, custom_feature_enabled=True)
    scene.crowd(Side.BUY, 4800, 30)
    assert [type(news) for news in plain.heard()] == [LevelsSeen]
    _, touch = custom.heard()
    assert isinstance(touch, TouchSeen)
    assert (touch.token, touch.best_bid, touch.best_ask) == (RAIN.yes, 4800, None)
    scene.crowd(Side.BUY, 4700, 30)  # behind the touch
    assert [type(news) for news in custom.heard()] == [LevelsSeen]
    scene.host.announce(1)
    (listed,) = custom.heard()
    assert isinstance(listed, MarketListed)
    assert (listed.condition, listed.tokens, listed.tick) == (SNOW.condition, (SNOW.yes, SNOW.no), 100)
    plain.heard()
    scene.engine.resolve(0, ONE, scene.at)
    (resolved,) = [news for news in custom.heard() if isinstance(news, MarketResolved)]
    assert (resolved.winning_token, resolved.winning_outcome) == (RAIN.yes, "Yes")
    assert not [news for news in plain.heard() if isinstance(news, MarketResolved)]


def test_a_new_tick_is_told_for_both_tokens_and_followed_by_the_books() -> None:
    scene = Scene()
    peer = scene.listen(RAIN.yes, RAIN.no)
    scene.engine.set_tick(0, Price(10), scene.at)
    heard = peer.heard()
    ticks = [news for news in heard if isinstance(news, TickSeen)]
    assert [(tick.token, tick.old, tick.new) for tick in ticks] == [(RAIN.yes, 100, 10), (RAIN.no, 100, 10)]
    books = [news for news in heard if isinstance(news, BookSeen)]
    assert [(book.token, book.tick) for book in books] == [(RAIN.yes, 10), (RAIN.no, 10)]


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["crowd", "take", "bid", "ask", "cancel", "snapshot"]),
        st.sampled_from(list(Side)),
        st.integers(1, 99),
        st.integers(0, 30),
    ),
    max_size=40,
)


@given(moves=MOVES)
def test_whoever_follows_the_frames_of_either_token_has_the_book(moves: list[tuple[str, Side, int, int]]) -> None:
    scene = Scene()
    key = scene.owner(ALICE)
    for token in (RAIN.yes, RAIN.no):
        for side in (Side.BUY, Side.SELL):
            scene.crowd(side, 3000 if side is Side.BUY else 7000, 10)
        scene.engine.grant(key.address, token, Size(10_000 * SHARE), scene.at)
    peers = {token: scene.listen(token) for token in (RAIN.yes, RAIN.no)}
    peer_books = {token: local_book(parse_once(scene, token)) for token in peers}
    for kind, side, cents, shares in moves:
        scene.at = Micros(scene.at + 1_000)
        price = Price(100 * cents)
        if kind == "crowd":
            scene.crowd(side, price, shares)
        elif kind == "take":
            scene.engine.crowd_take(0, side, price, Size(max(1, shares) * SHARE), scene.at)
        elif kind in ("bid", "ask"):
            own, token = Side.BUY if kind == "bid" else Side.SELL, RAIN.yes if cents % 2 else RAIN.no
            scene.place(key, own, price, max(5, shares), token)
        elif kind == "cancel":
            scene.engine.cancel_where(key.key, scene.at)
        else:
            scene.engine.crowd_snapshot(0, ((Price(2000), Size(SHARE)),), ((Price(8000), Size(SHARE)),), scene.at)
        for token, peer in peers.items():
            for news in peer.heard():
                apply(peer_books[token], news, token)
    book = Book(*scene.engine.levels(0))
    for token, (bids, asks) in peer_books.items():
        seen = book.seen_by(Outcome.YES if token == RAIN.yes else Outcome.NO)
        assert sorted(bids.items(), reverse=True) == list(seen.bids)
        assert sorted(asks.items()) == list(seen.asks)


def parse_once(scene: Scene, token: TokenId) -> BookSeen:
    return parse_book(scene.host.answer(Request(method="GET", path="/book", query={"token_id": [token]})).body)


Sides = tuple[dict[Price, Size], dict[Price, Size]]


def local_book(book: BookSeen) -> Sides:
    return dict(book.bids), dict(book.asks)


def apply(book: Sides, news: News, token: TokenId) -> None:
    if isinstance(news, BookSeen):
        for side, levels in zip(book, (news.bids, news.asks), strict=True):
            side.clear()
            side.update(levels)
    elif isinstance(news, LevelsSeen):
        for change in news.changes:
            if change.token == token:
                levels = book[0] if change.side is Side.BUY else book[1]
                levels.pop(change.price, None)
                if change.size:
                    levels[change.price] = change.size


# The user channel.


@pytest.mark.parametrize("auth", [None, {}, {"apiKey": "x", "secret": "y", "passphrase": "z"}])
def test_bad_credentials_close_the_socket_without_a_word(auth: Any) -> None:
    scene = Scene()
    peer = Peer(scene.host, "/ws/user")
    assert peer.say(type="user", auth=auth) == []
    ((_, reason),) = peer.closed
    assert reason == ""


def test_a_wrong_secret_closes_the_socket() -> None:
    scene = Scene()
    key = scene.owner(ALICE)
    peer = Peer(scene.host, "/ws/user")
    peer.say(type="user", auth={"apiKey": key.key, "secret": key.secret + "A", "passphrase": key.passphrase})
    assert len(peer.closed) == 1


def test_an_owner_hears_of_its_orders_and_nobody_else_does() -> None:
    scene = Scene()
    alice, bob = scene.owner(ALICE), scene.owner(BOB)
    mine, theirs = scene.follow(alice), scene.follow(bob)
    order_id = scene.place(alice, Side.BUY, 4000, 10)
    scene.engine.cancel(alice.key, [order_id], scene.at)
    placed, canceled = mine.heard()
    assert isinstance(placed, OrderSeen) and isinstance(canceled, OrderSeen)
    assert (placed.kind, placed.status, placed.order_id) == (OrderKind.PLACEMENT, OrderStatus.LIVE, order_id)
    assert (placed.price, placed.original_size, placed.size_matched) == (4000, 10 * SHARE, 0)
    assert (placed.token, placed.side, placed.owner, placed.created_at) == (RAIN.yes, Side.BUY, alice.key, NOON)
    assert (canceled.kind, canceled.status) == (OrderKind.CANCELLATION, OrderStatus.CANCELED)
    assert theirs.heard() == []


def test_a_trade_is_told_to_both_sides_at_every_stage() -> None:
    scene = Scene()
    alice, bob = scene.owner(ALICE), scene.owner(BOB)
    maker, taker = scene.follow(alice), scene.follow(bob)
    resting = scene.place(alice, Side.BUY, 4000, 10)
    crossing = scene.place(bob, Side.BUY, 6000, 10, RAIN.no)  # mints a pair with it
    scene.wait(10)
    heard = {"maker": maker.heard(), "taker": taker.heard()}
    for peer, side in (("maker", TraderSide.MAKER), ("taker", TraderSide.TAKER)):
        trades = [news for news in heard[peer] if isinstance(news, TradeSeen)]
        assert [trade.status for trade in trades] == [TradeStatus.MATCHED, TradeStatus.MINED, TradeStatus.CONFIRMED]
        assert len({trade.trade_id for trade in trades}) == 1
        assert {trade.trader_side for trade in trades} == {side}
        assert {trade.taker_order_id for trade in trades} == {crossing}
        (fill,) = trades[0].maker_fills
        assert (fill.order_id, fill.owner, fill.token, fill.side) == (resting, alice.key, RAIN.yes, Side.BUY)
        assert (fill.price, fill.size) == (4000, 10 * SHARE)
        updates = [news for news in heard[peer] if isinstance(news, OrderSeen) and news.kind is OrderKind.UPDATE]
        assert [(update.size_matched, update.status) for update in updates] == [(10 * SHARE, OrderStatus.MATCHED)]


def test_the_crowd_has_a_name_that_is_nobodys() -> None:
    scene = Scene()
    alice = scene.owner(ALICE)
    peer = scene.follow(alice)
    scene.crowd(Side.SELL, 5000, 20)
    scene.place(alice, Side.BUY, 5000, 10)
    (trade,) = [news for news in peer.heard() if isinstance(news, TradeSeen)]
    assert {fill.owner for fill in trade.maker_fills} == {NOBODY}
    assert trade.owner == alice.key


def test_a_failed_trade_is_told_as_failed() -> None:
    scene = Scene()
    alice = scene.owner(ALICE)
    peer = scene.follow(alice)
    scene.crowd(Side.SELL, 5000, 20)
    scene.engine.fail_next_settlement()
    scene.place(alice, Side.BUY, 5000, 10)
    scene.wait(10)
    statuses = [news.status for news in peer.heard() if isinstance(news, TradeSeen)]
    assert statuses[0] is TradeStatus.MATCHED
    assert statuses[-1] is TradeStatus.FAILED


def test_a_market_that_is_not_listened_to_is_not_heard() -> None:
    scene = Scene()
    alice = scene.owner(ALICE)
    peer = scene.follow(alice, RAIN.condition)
    scene.place(alice, Side.BUY, 4000, 10, SNOW.yes)
    assert peer.heard() == []
    peer.say(operation="subscribe", markets=[SNOW.condition])
    scene.place(alice, Side.BUY, 4000, 10, SNOW.yes)
    assert len(peer.heard()) == 1
    peer.say(operation="unsubscribe", markets=[SNOW.condition])
    scene.place(alice, Side.BUY, 4000, 10, SNOW.yes)
    assert peer.heard() == []


def test_an_expired_order_and_a_resolved_market_are_told_as_what_they_are() -> None:
    scene = Scene()
    alice = scene.owner(ALICE)
    peer = scene.follow(alice)
    scene.place(alice, Side.BUY, 4000, 10, time_in_force=TimeInForce.GTD, expires_at=Micros(NOON + 120 * SECOND))
    scene.place(alice, Side.BUY, 4000, 10)
    scene.wait(120)
    *_, ended = peer.heard()
    assert isinstance(ended, OrderSeen)
    assert (ended.status, ended.expiration) == (OrderStatus.EXPIRED, NOON + 180 * SECOND)
    scene.engine.resolve(0, Price(0), scene.at)
    (ended,) = [news for news in peer.heard() if isinstance(news, OrderSeen)]
    assert ended.status_text == "CANCELED_MARKET_RESOLVED"


# Time and trouble.


def test_news_leaves_after_its_latency_and_in_order() -> None:
    scene = Scene(news_latency=Micros(50_000), answer_latency=Micros(20_000))
    peer = Peer(scene.host, "/ws/market")
    peer.connection.receive(json.dumps({"type": "market", "assets_ids": [RAIN.yes]}))
    assert scene.rung == 1
    scene.wait(0.05)
    assert len(peer.raw) == 1
    scene.crowd(Side.BUY, 4800, 30)
    scene.host.pump()
    scene.wait(0.01)
    scene.crowd(Side.BUY, 4800, 31)
    peer.connection.receive("PING")
    assert scene.host.pump() == scene.at + 40_000
    scene.wait(0.039)
    assert len(peer.raw) == 1
    scene.wait(0.001)
    assert len(peer.raw) == 2
    scene.wait(0.01)
    assert ['"size":"31"' in frame for frame in peer.raw[2:]] == [True, False]
    assert peer.raw[-1] == "PONG"
    assert scene.host.answer(Request(method="GET", path="/ok")).delay == 20_000


def test_a_peer_that_left_hears_nothing_more_and_what_waits_for_it_is_dropped() -> None:
    scene = Scene(news_latency=Micros(50_000))
    peer = scene.listen(RAIN.yes)
    peer.connection.gone()
    scene.wait(1)
    scene.crowd(Side.BUY, 4800, 30)
    scene.wait(1)
    assert peer.raw == []


def test_a_socket_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ProtocolViolation, match="'/ws/sports'"):
        Peer(Scene().host, "/ws/sports")


def test_settlement_makes_news_without_anybody_calling() -> None:
    scene = Scene()
    alice = scene.owner(ALICE)
    peer = scene.follow(alice)
    scene.crowd(Side.SELL, 5000, 20)
    scene.place(alice, Side.BUY, 5000, 10)
    peer.heard()
    due = scene.host.pump()
    assert due is not None
    scene.at = due
    (mined,) = peer.heard()
    assert isinstance(mined, TradeSeen)
    assert (mined.status, mined.at) == (TradeStatus.MINED, due // 1000 * 1000)


def test_scripted_faults_reach_sockets_markets_and_trades() -> None:
    script = [
        {"fault": "tick_change", "at": 5, "where": {"market": 0}},
        {"fault": "halted", "at": 10, "for": 5, "where": {"market": 1}},
        {"fault": "gap", "at": 20, "for": 1},
        {"fault": "disconnect", "at": 30, "where": {"channel": "market"}},
        {"fault": "resolved", "at": 40, "where": {"market": 0}},
    ]
    scene = Scene(script)
    scene.host.pump()
    peer = scene.listen(RAIN.yes)
    scene.wait(5)
    assert any(isinstance(news, TickSeen) for news in peer.heard())
    scene.wait(5.1)
    assert scene.engine.status(1) is MarketStatus.HALTED
    scene.wait(5)
    assert scene.engine.status(1) is MarketStatus.TRADING
    scene.wait(5)
    scene.crowd(Side.BUY, 4800, 30)
    assert peer.heard() == []
    scene.wait(1)
    scene.crowd(Side.BUY, 4800, 31)
    assert len(peer.heard()) == 1
    scene.wait(9)
    assert len(peer.closed) == 1
    scene.wait(10)
    assert scene.engine.status(0) is MarketStatus.RESOLVED
    assert {name: scene.host.fired[name] for name in ("tick_change", "halted", "gap", "disconnect", "resolved")} == {
        "tick_change": 1,
        "halted": 1,
        "gap": 1,
        "disconnect": 1,
        "resolved": 1,
    }


def test_the_secrets_of_a_login_do_not_show() -> None:
    from pmrun.plugins.exchanges.embedded import channels

    read = msgspec.json.decode(b'{"auth":{"secret":"canary"}}', type=channels._UserRequest)
    assert "canary" not in repr(read)


def test_what_a_wallet_holds_is_what_its_fills_say() -> None:
    scene = Scene(funds=Cash(100 * SHARE))
    alice = scene.owner(ALICE)
    peer = scene.follow(alice)
    scene.crowd(Side.SELL, 5000, 20)
    scene.place(alice, Side.BUY, 5000, 12)
    scene.place(alice, Side.SELL, 6000, 5)
    scene.wait(10)
    fills = {
        (news.trade_id, fill.order_id): fill.size
        for news in peer.heard()
        if isinstance(news, TradeSeen) and news.status is TradeStatus.CONFIRMED
        for fill in news.maker_fills
    }
    assert sum(fills.values()) == scene.engine.balance(ALICE, RAIN.yes) == 12 * SHARE
