"""Sockets that are kept, shards, and a watchdog that tells quiet from frozen (O10)."""

import json
from functools import partial
from random import Random

import pytest
import trio
from polymarket_peers import T0, URL, Notes, Venue, book, change, market, now
from trio_websocket import ConnectionClosed

from pmrun.plugins.exchanges.common.local_books import LocalBooks
from pmrun.plugins.exchanges.common.sockets import KeptSocket, Pace, dialer
from pmrun.plugins.exchanges.polymarket.streams import MarketStreams, groups_of
from pmrun.plugins.exchanges.polymarket.user_stream import UserSocket
from pmrun.plugins.exchanges.polymarket.watch import Patience, Watchdog
from pmrun.runner.errors import ExchangeError
from pmrun.runner.market import TokenId
from pmrun.runner.units import Micros

RAIN, SNOW, HAIL = market(0), market(1), market(2)
QUIET = book({"0.48": "100", "0.47": "200"}, {"0.52": "100", "0.53": "200"}, T0, RAIN)
DAY = 24 * 3600.0


class Watched(Notes):
    """Keeps the books as a run does."""

    def __init__(self, markets):
        super().__init__()
        self.books = LocalBooks(markets)
        self.streams = None

    def numbers(self, shard):
        found = [self.books.market_of(group[0]) for group in self.streams.sockets[shard].groups]
        return [no for no in found if no is not None]

    def on_news(self, shard, parsed, at):
        super().on_news(shard, parsed, at)
        self.books.take(parsed, at)

    def on_lost(self, shard, why):
        super().on_lost(shard, why)
        self.books.lost(self.numbers(shard), now())

    def on_back(self, shard):
        super().on_back(shard)
        self.books.restored(self.numbers(shard), now())


@pytest.fixture
async def venue(nursery):
    return Venue(nursery)


@pytest.fixture
async def open_streams(venue, nursery):
    """Start streams over the venue for some markets; return them and their listener."""

    async def start(*markets, patience=None, seed=1, **settings):
        listener = Watched(markets)
        streams = MarketStreams(URL, venue.connect, listener, now, Random(seed), **settings)
        listener.streams = streams
        streams.want(groups_of(markets))
        await nursery.start(streams.run)
        if patience is not None:
            watchdog = Watchdog(streams, listener.books, venue.rest_books, patience)
            nursery.start_soon(watchdog.run)
            return streams, listener, watchdog
        return streams, listener

    return start


# One socket.


async def test_a_socket_subscribes_with_the_frame_of_the_documentation_and_gets_its_books(
    venue, open_streams, autojump_clock
):
    venue.books = {RAIN.yes: QUIET}
    _, told = await open_streams(RAIN)
    await trio.sleep(1)
    assert json.loads(venue.asked[0]) == {
        "type": "market", "assets_ids": [RAIN.yes, RAIN.no], "custom_feature_enabled": True,
    }  # fmt: skip
    assert told.words() == ["back"]
    assert told.frames == [json.dumps([QUIET])]
    assert told.books.book(0).best_bid == 4800


async def test_a_text_ping_goes_out_every_ten_seconds_and_its_pong_is_no_frame(venue, open_streams, autojump_clock):
    _, told = await open_streams(RAIN)
    await trio.sleep(95)
    assert venue.pings == 10
    assert told.frames == []
    assert len(venue.attempts) == 1


async def test_a_peer_that_owes_a_pong_for_thirty_seconds_is_left_for_a_new_connection(
    venue, open_streams, autojump_clock
):
    streams, told = await open_streams(RAIN)
    await trio.sleep(5)
    venue.pongs = False
    await trio.sleep(40)
    (lost,) = [note for note in told.told if note[0] == "lost"]
    assert "no PONG within 30 s" in lost[2]
    assert lost[3] == pytest.approx(30, abs=0.1)  # the last one came at the start
    assert streams.sockets[0].connections >= 2


async def test_a_closed_socket_is_opened_again_with_a_jittered_delay_and_takes_fresh_books(
    venue, open_streams, autojump_clock
):
    venue.books = {RAIN.yes: QUIET}
    _, told = await open_streams(RAIN)
    await trio.sleep(1)
    await venue.sockets[0].aclose(1012, "restart")
    await trio.sleep(5)
    assert told.words() == ["back", "lost", "back"]
    assert "1012 restart" in told.told[1][2]
    assert 0.25 <= venue.attempts[1] - 1 <= 0.5 + 0.01
    assert told.books.book(0).best_bid == 4800


async def test_delays_grow_by_full_jitter_up_to_half_a_minute_and_say_lost_once(venue, open_streams, autojump_clock):
    venue.refuse = True
    _, told = await open_streams(RAIN)
    await trio.sleep(3600)
    waits = [later - earlier for earlier, later in zip(venue.attempts, venue.attempts[1:], strict=False)]
    assert told.words() == ["lost"]
    assert all(0.25 <= wait <= 30 for wait in waits)
    assert waits[0] <= 0.5
    assert max(waits) > 15
    assert sum(waits[20:]) / len(waits[20:]) == pytest.approx(15, abs=4)


def test_two_runners_with_other_seeds_do_not_come_back_together():
    pace = Pace()
    assert [pace.delay(n, Random(1)) for n in range(9)] != [pace.delay(n, Random(2)) for n in range(9)]
    assert all(0.25 <= pace.delay(n, Random(n)) <= min(30, 0.25 * 2**n) for n in range(1, 60))


async def test_a_connection_that_lasted_starts_the_delays_anew(venue, open_streams, autojump_clock):
    venue.refuse = True
    await open_streams(RAIN)
    await trio.sleep(600)
    venue.refuse = False
    await trio.sleep(120)
    await venue.sockets[0].aclose()
    broken = trio.current_time()
    await trio.sleep(10)
    assert venue.attempts[-1] - broken <= 0.51


async def test_a_connection_that_is_never_answered_is_given_up(nursery, autojump_clock):
    async def connect(url):
        attempts.append(trio.current_time())
        await trio.sleep_forever()

    attempts: list[float] = []
    told = Notes()
    streams = MarketStreams(URL, connect, told, now, Random(1))
    streams.want(groups_of([RAIN]))
    nursery.start_soon(streams.run)
    await trio.sleep(10.5)
    assert told.told == [("lost", 0, "no connection within 10 s", 10.0)]
    assert len(attempts) == 2


async def test_a_frame_that_breaks_the_protocol_is_reported_and_its_shard_starts_over(
    venue, open_streams, autojump_clock
):
    venue.books = {RAIN.yes: QUIET}
    _, told = await open_streams(RAIN)
    await trio.sleep(1)
    await venue.send(change("1.5", "10", "BUY", T0 + 1, RAIN), change("0.49", "7", "BUY", T0 + 2, RAIN))
    await trio.sleep(5)
    assert told.words() == ["back", "violation", "lost", "back"]
    assert "price '1.5' is outside 0..1" in told.told[1][2]
    assert told.frames == [json.dumps([QUIET])] * 2  # nothing of the broken connection came after it
    assert told.books.book(0).best_bid == 4800


async def test_event_types_that_nobody_knows_are_counted_and_harm_nothing(venue, open_streams, autojump_clock):
    streams, told = await open_streams(RAIN)
    await trio.sleep(1)
    await venue.send({"event_type": "weather", "market": RAIN.condition}, [])
    await trio.sleep(1)
    assert streams.sockets[0].unknown == {"weather": 1}
    assert told.words() == ["back"]


async def test_a_bug_in_a_listener_is_not_taken_for_a_lost_connection(venue, nursery, autojump_clock):
    class Broken(Notes):
        def on_news(self, shard, parsed, at):
            raise KeyError("a bug")

    venue.books = {RAIN.yes: QUIET}
    streams = MarketStreams(URL, venue.connect, Broken(), now, Random(1))
    streams.want(groups_of([RAIN]))
    with pytest.RaisesGroup(KeyError, flatten_subgroups=True):
        await streams.run()


async def test_a_bug_or_a_shutdown_closes_the_socket_within_its_deadline(venue, autojump_clock):
    async with trio.open_nursery() as inner:
        streams = MarketStreams(URL, venue.connect, Notes(), now, Random(1))
        streams.want(groups_of([RAIN]))
        inner.start_soon(streams.run)
        await trio.sleep(3)
        inner.cancel_scope.cancel()
    assert trio.current_time() <= 4.01
    await trio.sleep(0)
    assert venue.sockets == []


# Shards.


async def test_tokens_are_spread_over_sockets_and_a_market_is_never_torn_apart(venue, open_streams, autojump_clock):
    many = [market(number) for number in range(250)]
    streams, _ = await open_streams(*many)
    await trio.sleep(1)
    assert [len(socket.tokens) for socket in streams.sockets.values()] == [200, 200, 100]
    assert len(venue.sockets) == 3
    assert all(streams.shard_of(one.yes) == streams.shard_of(one.no) for one in many)


async def test_a_market_that_is_added_is_subscribed_on_a_socket_with_room(venue, open_streams, autojump_clock):
    streams, told = await open_streams(RAIN, SNOW, assets_per_socket=4)
    venue.books = {HAIL.yes: book({"0.10": "5"}, {"0.20": "5"}, T0, HAIL)}
    await trio.sleep(1)
    streams.want(groups_of([SNOW]))
    await trio.sleep(1)
    streams.want(groups_of([SNOW, HAIL]))
    await trio.sleep(1)
    assert [json.loads(text) for text in venue.asked[1:]] == [
        {"operation": "unsubscribe", "assets_ids": [RAIN.yes, RAIN.no]},
        {"operation": "subscribe", "assets_ids": [HAIL.yes, HAIL.no], "custom_feature_enabled": True},
    ]
    assert told.words() == ["back"]
    assert [news.token for news in told.news] == [HAIL.yes]


async def test_a_full_socket_gets_a_second_one_beside_it_and_an_empty_one_is_closed(
    venue, open_streams, autojump_clock
):
    streams, told = await open_streams(RAIN, assets_per_socket=2)
    await trio.sleep(1)
    streams.want(groups_of([RAIN, SNOW]))
    await trio.sleep(1)
    assert len(venue.sockets) == 2
    streams.want(groups_of([SNOW]))
    await trio.sleep(2)
    assert len(venue.sockets) == 1
    assert list(streams.sockets) == [1]
    assert told.words() == ["back", "back"]  # a shard that nobody wants any more is not lost


async def test_after_a_reconnect_what_is_wanted_now_is_subscribed(venue, open_streams, autojump_clock):
    streams, _ = await open_streams(RAIN)
    await trio.sleep(1)
    await venue.sockets[0].aclose()
    await trio.sleep(0)
    streams.want(groups_of([RAIN, SNOW]))
    await trio.sleep(5)
    assert json.loads(venue.asked[-1])["assets_ids"] == [RAIN.yes, RAIN.no, SNOW.yes, SNOW.no]


# The user socket.

AUTH = ("key-1", "c2VjcmV0", "canary-passphrase")


class UserNotes:
    def __init__(self):
        self.told = []

    def on_frame(self, raw, at):
        self.told.append("frame")

    def on_news(self, parsed, at):
        self.told.append([type(news).__name__ for news in parsed.news])

    def on_violation(self, text, raw):
        self.told.append("violation")

    def on_lost(self, why):
        self.told.append("lost")

    def on_back(self):
        self.told.append("back")


async def test_the_user_socket_proves_itself_and_asks_for_a_resync_on_every_connection(venue, nursery, autojump_clock):
    told = UserNotes()
    user = UserSocket(URL, venue.connect, lambda: AUTH, told, now, Random(1))
    nursery.start_soon(user.run)
    await trio.sleep(1)
    assert json.loads(venue.asked[0]) == {
        "type": "user", "auth": {"apiKey": AUTH[0], "secret": AUTH[1], "passphrase": AUTH[2]},
    }  # fmt: skip
    await venue.sockets[0].aclose()
    await trio.sleep(1)
    assert told.told == ["back", "lost", "back"]
    assert user.connections == 2
    await venue.send({"event_type": "order", "type": "NONSENSE"})
    await trio.sleep(2)
    assert told.told[3:] == ["violation", "lost", "back"]


async def test_credentials_that_are_refused_are_tried_ever_more_rarely(venue, nursery, autojump_clock):
    """A socket with bad credentials is closed without a word (reference 5.3)."""

    async def answer(socket, text):
        await socket.aclose()

    venue._answer = answer
    told = UserNotes()
    nursery.start_soon(UserSocket(URL, venue.connect, lambda: AUTH, told, now, Random(1)).run)
    await trio.sleep(600)
    assert told.told == ["lost"]
    assert len(venue.attempts) < 70


async def test_no_secret_is_in_what_a_user_socket_shows(venue):
    user = UserSocket(URL, venue.connect, lambda: AUTH, UserNotes(), now, Random(1))
    shown = repr(user) + repr(vars(user))
    assert not any(secret in shown for secret in AUTH)


# Quiet or frozen.


async def test_a_market_quiet_for_a_day_with_a_healthy_link_never_alarms(venue, open_streams, autojump_clock):
    venue.books = {RAIN.yes: QUIET}
    rarely = Pace(ping_every=25)  # PINGs cost the most time here, and prove the least
    _, told, watchdog = await open_streams(RAIN, patience=Patience(), pace=rarely)
    await trio.sleep(DAY)
    assert told.words() == ["back"]
    assert watchdog.counts["probes"] == watchdog.counts["quiet"] <= 1442  # at 10, 20, 40, 80 s and then every minute
    assert told.books.book(0).best_bid == 4800


async def test_a_probe_that_shows_an_older_book_is_no_alarm(venue, open_streams, autojump_clock):
    venue.books = {RAIN.yes: QUIET}
    _, told, watchdog = await open_streams(RAIN, patience=Patience())
    await trio.sleep(1)
    await venue.send(change("0.48", "70", "BUY", T0 + 50, RAIN))  # REST goes on showing the book before it
    await trio.sleep(300)
    assert told.words() == ["back"]
    assert watchdog.counts["probes"] > 3


@pytest.mark.parametrize("seed", range(5))
async def test_a_frozen_socket_of_a_moving_market_is_found_in_time(venue, open_streams, autojump_clock, seed):
    patience = Patience()
    venue.books = {RAIN.yes: QUIET}
    _, told, _ = await open_streams(RAIN, patience=patience, seed=seed)
    chance = Random(seed)
    await trio.sleep(chance.uniform(1, 200))
    await venue.send(change("0.48", "90", "BUY", T0 + 1, RAIN))
    last = trio.current_time()
    venue.frames = False  # PONGs still come
    while told.words() == ["back"]:
        await trio.sleep(chance.uniform(0.1, 2))
        await venue.move(book({"0.45": str(chance.randint(1, 99))}, {"0.52": "1"}, T0 + int(trio.current_time()), RAIN))
    lost = told.told[1]
    assert lost[0] == "lost"
    assert "frozen" in lost[2]
    assert lost[3] - last <= patience.quiet_after + 2 * patience.grace + venue.latency
    assert told.books.without_book() == [0]


async def test_a_market_that_moves_after_a_long_quiet_is_found_frozen_within_the_longest_wait(
    venue, open_streams, autojump_clock
):
    patience = Patience()
    venue.books = {RAIN.yes: QUIET}
    _, told, _ = await open_streams(RAIN, patience=patience)
    await trio.sleep(3601)
    venue.frames = False
    await venue.move(book({"0.45": "7"}, {"0.52": "1"}, T0 + 3_601_000, RAIN))
    moved = trio.current_time()
    await trio.sleep(70)
    assert told.told[1][0] == "lost"
    assert told.told[1][3] - moved <= patience.longest_wait + 2 * patience.grace + venue.latency


async def test_a_frame_in_flight_is_not_taken_for_a_freeze(venue, open_streams, autojump_clock):
    venue.books = {RAIN.yes: QUIET}
    _, told, watchdog = await open_streams(RAIN, patience=Patience())
    for number in range(60):  # REST is always a second and a half ahead of the stream
        shown = book({"0.48": str(number + 1)}, {"0.52": "1"}, T0 + number + 1, RAIN)
        venue.books[RAIN.yes] = shown
        await trio.sleep(1.5)
        await venue.send(shown)
        await trio.sleep(12)
    assert watchdog.counts["probes"] > 30
    assert told.words() == ["back"]


async def test_a_subscription_that_is_never_answered_with_a_book_is_frozen_too(venue, open_streams, autojump_clock):
    venue.books, venue.dumps = {RAIN.yes: QUIET}, False
    _, told, _ = await open_streams(RAIN, patience=Patience())
    await trio.sleep(13)
    assert told.words()[:2] == ["back", "lost"]


async def test_one_frozen_market_on_a_lively_socket_is_found_by_the_audit(venue, open_streams, autojump_clock):
    venue.books = {RAIN.yes: QUIET, SNOW.yes: book({"0.3": "1"}, {"0.4": "1"}, T0, SNOW)}
    _, told, _ = await open_streams(RAIN, SNOW, patience=Patience())
    venue.books[RAIN.yes] = book({"0.45": "7"}, {"0.52": "1"}, T0 + 9_000, RAIN)
    await trio.sleep(0.5)
    venue.books[RAIN.yes] = book({"0.44": "7"}, {"0.52": "1"}, T0 + 10_000, RAIN)  # never told
    for number in range(150):
        await trio.sleep(1)
        await venue.move(book({"0.3": str(number + 1)}, {"0.4": "1"}, T0 + number + 1, SNOW))
    lost = next(note for note in told.told if note[0] == "lost")
    assert lost[3] <= 2 * 60 + 2 + 1
    assert told.books.book(0).best_bid == 4400


async def test_when_rest_does_not_answer_fresh_books_are_taken_from_a_new_connection(
    venue, open_streams, autojump_clock
):
    venue.books, venue.probe_error = {RAIN.yes: QUIET}, ExchangeError("502 Bad Gateway")
    _, told, watchdog = await open_streams(RAIN, patience=Patience())
    await trio.sleep(45)
    assert told.words()[:2] == ["back", "lost"]
    assert "502 Bad Gateway" in told.told[1][2]
    assert watchdog.counts["unverified"] == 1
    assert told.told[1][3] == pytest.approx(40, abs=2.5)


async def test_a_probe_that_hangs_delays_no_other_shard(venue, open_streams, autojump_clock):
    venue.books = {RAIN.yes: QUIET, SNOW.yes: book({"0.3": "1"}, {"0.4": "1"}, T0, SNOW)}
    ask = venue.rest_books

    async def slow(tokens):
        if RAIN.yes in tokens:
            await trio.sleep_forever()
        return await ask(tokens)

    venue.rest_books = slow
    _, told, watchdog = await open_streams(RAIN, SNOW, patience=Patience(), assets_per_socket=2)
    await trio.sleep(1)
    venue.frames = False
    venue.books[SNOW.yes] = book({"0.2": "1"}, {"0.4": "1"}, T0 + 5, SNOW)
    await trio.sleep(13)
    assert [note[1] for note in told.told if note[0] == "lost"] == [1]
    assert watchdog.counts["failed"] >= 0


async def test_the_probes_of_a_large_shard_rotate(venue, open_streams, autojump_clock):
    many = [market(number) for number in range(60)]
    venue.books = {one.yes: book({"0.3": "1"}, {"0.4": "1"}, T0, one) for one in many}
    await open_streams(*many, patience=Patience(sample=20))
    await trio.sleep(200)
    asked = [token for _, tokens in venue.probes for token in tokens]
    assert all(len(tokens) == 20 for _, tokens in venue.probes)
    assert {TokenId(one.yes) for one in many} <= set(asked)


# Real sockets, with another library on the other side.


async def test_on_real_sockets_a_market_is_followed_through_a_restart_of_the_exchange(nursery):
    serve = pytest.importorskip("websockets.trio.server").serve
    seen: list[str] = []

    async def handler(peer):
        seen.append(await peer.recv())
        at = T0 + 10 * len(seen)
        await peer.send(json.dumps([{**QUIET, "timestamp": str(at)}]))
        await peer.send(json.dumps(change("0.49", str(len(seen)), "BUY", at + 1, RAIN)))
        if len(seen) == 1:
            await peer.aclose(1012, "restart")
            return
        while await peer.recv() == "PING":
            await peer.send("PONG")

    server = await nursery.start(partial(_serving, serve, handler))
    port = server.listeners[0].socket.getsockname()[1]
    told = Watched([RAIN])
    streams = MarketStreams(
        f"ws://127.0.0.1:{port}/ws/market", dialer(nursery), told, lambda: Micros(T0 * 1_000), Random(1),
        Pace(shortest_delay=0.01, longest_delay=0.02, close_within=0.1),
    )  # fmt: skip
    told.streams = streams
    streams.want(groups_of([RAIN]))
    with trio.fail_after(5):
        await nursery.start(streams.run)
        while told.words() != ["back", "lost", "back"] or len(told.frames) < 4:
            await trio.sleep(0.01)
    assert told.books.book(0).bids[:2] == ((4900, 2_000_000), (4800, 100_000_000))
    assert "1012 restart" in told.told[1][2]
    nursery.cancel_scope.cancel()


async def _serving(serve, handler, task_status):
    await serve(handler, 0, host="127.0.0.1", task_status=task_status)


async def test_a_refused_handshake_on_a_real_socket_harms_nobody_else(nursery):
    serve = pytest.importorskip("websockets.trio.server").serve

    async def handler(peer):
        raise AssertionError("never accepted")

    def refuse(connection, request):
        return connection.respond(403, "go away")

    async def serving(task_status):
        await serve(handler, 0, host="127.0.0.1", process_request=refuse, task_status=task_status)

    server = await nursery.start(serving)
    port = server.listeners[0].socket.getsockname()[1]
    told = Notes()

    class Owner:
        def hello(self):
            return "{}"

        def take(self, text):
            raise AssertionError(text)

        def lost(self, why):
            told.told.append(why)

        def back(self):
            raise AssertionError("refused")

    kept = KeptSocket(f"ws://127.0.0.1:{port}/", dialer(nursery), Owner(), Random(1), Pace())
    with trio.move_on_after(0.15):
        await kept.run()
    assert told.told == ["cannot connect: refused with status 403"]
    nursery.cancel_scope.cancel()


def test_a_lost_connection_is_what_the_library_says_it_is():
    """Nothing but broken connections leads to a reconnect; the list is the library's own errors."""
    from pmrun.plugins.exchanges.common.sockets import BROKEN

    assert ConnectionClosed in BROKEN
    assert not any(issubclass(KeyError, kind) for kind in BROKEN)
