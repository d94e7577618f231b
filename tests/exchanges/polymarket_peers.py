"""A stand-in for the exchange's sockets in memory, a market and frames of it, and a listener that keeps notes."""

import json
from collections.abc import Sequence

import trio
from trio.testing import memory_stream_pair
from trio_websocket import ConnectionClosed, wrap_client_stream, wrap_server_stream

from pmrun.plugins.exchanges.common.market_news import BookSeen
from pmrun.plugins.exchanges.polymarket.wire_prices import parse_books
from pmrun.runner.market import ConditionId, Market, TokenId
from pmrun.runner.units import Micros, Price, Size

T0 = 1_790_000_000_000  # ms
URL = "ws://exchange/ws/market"


def now() -> Micros:
    return Micros(T0 * 1_000 + int(trio.current_time() * 1_000_000))


def now_ms() -> int:
    return now() // 1_000


def market(number: int = 0, tick: int = 100) -> Market:
    return Market(
        condition=ConditionId(f"0x{number + 1:064x}"),
        question=f"Will it rain on day {number}?",
        slug=f"rain-{number}",
        yes=TokenId(str(1_000 + 2 * number)),
        no=TokenId(str(1_001 + 2 * number)),
        tick=Price(tick),
        min_order_size=Size(5_000_000),
    )


def gamma(terms: Market) -> dict:
    return {
        "id": "1",
        "conditionId": terms.condition,
        "version": "v1",
        "question": terms.question,
        "slug": terms.slug,
        "outcomes": '["Yes", "No"]',
        "clobTokenIds": json.dumps([terms.yes, terms.no]),
        "active": True,
        "closed": False,
        "acceptingOrders": True,
        "enableOrderBook": True,
        "orderPriceMinTickSize": terms.tick / 10_000,
        "orderMinSize": 5,
    }


def book(bids: dict, asks: dict, at: int, of: Market, token: str | None = None, **more: str) -> dict:
    return {
        "event_type": "book",
        "asset_id": token or of.yes,
        "market": of.condition,
        "timestamp": str(at),
        "hash": "",
        "bids": [{"price": price, "size": size} for price, size in bids.items()],
        "asks": [{"price": price, "size": size} for price, size in asks.items()],
        **more,
    }


def change(price: str, size: str, side: str, at: int, of: Market, token: str | None = None, **more: str) -> dict:
    one = {"asset_id": token or of.yes, "price": price, "size": size, "side": side, "hash": "", **more}
    return {"event_type": "price_change", "market": of.condition, "timestamp": str(at), "price_changes": [one]}


def a_print(price: str, size: str, side: str, at: int, of: Market, token: str | None = None) -> dict:
    return {
        "event_type": "last_trade_price",
        "asset_id": token or of.yes,
        "market": of.condition,
        "price": price,
        "size": size,
        "side": side,
        "timestamp": str(at),
        "transaction_hash": f"0x{at}",
    }


class Venue:
    """Serves market sockets: the books it is given on subscription, PONG for PING, and what the test sends.

    `pongs` and `frames` can be turned off: a dead peer, and one that is frozen. `latency` is that of its REST books.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.books: dict[str, dict] = {}  # by token, as REST shows them; sent on subscription
        self.sockets: list = []
        self.asked: list[str] = []  # every frame that clients sent, PINGs aside
        self.pings = 0
        self.attempts: list[float] = []
        self.refuse = False
        self.pongs = self.frames = self.dumps = True
        self.latency = 0.05
        self.probes: list[tuple[float, tuple[str, ...]]] = []
        self.probe_error: Exception | None = None

    async def connect(self, url: str):
        self.attempts.append(trio.current_time())
        if self.refuse:
            raise ConnectionRefusedError("connection refused")
        near, far = memory_stream_pair()
        self.nursery.start_soon(self._serve, far)
        return await wrap_client_stream(self.nursery, near, "exchange", "/ws/market")  # type: ignore[arg-type]

    async def _serve(self, stream) -> None:
        request = await wrap_server_stream(self.nursery, stream)
        socket = await request.accept()
        self.sockets.append(socket)
        try:
            while True:
                await self._answer(socket, await socket.get_message())
        except ConnectionClosed:
            if socket in self.sockets:
                self.sockets.remove(socket)

    async def _answer(self, socket, text: str) -> None:
        if text == "PING":
            self.pings += 1
            if self.pongs:
                await socket.send_message("PONG")
            return
        self.asked.append(text)
        if self.frames and self.dumps:
            wanted = json.loads(text).get("assets_ids", [])
            found = [self.books[token] for token in wanted if token in self.books]
            if found and '"unsubscribe"' not in text:
                await socket.send_message(json.dumps(found))

    async def send(self, *events: object) -> None:
        """Send to every socket, unless frozen."""
        if self.frames:
            for socket in list(self.sockets):
                for event in events:
                    await socket.send_message(event if isinstance(event, str) else json.dumps(event))

    async def move(self, shown: dict) -> None:
        """Change a book: REST shows it at once, sockets are told unless they are frozen."""
        self.books[shown["asset_id"]] = shown
        await self.send(shown)

    async def rest_books(self, tokens: Sequence[TokenId]) -> Sequence[BookSeen]:
        self.probes.append((trio.current_time(), tuple(tokens)))
        await trio.sleep(self.latency)
        if self.probe_error is not None:
            raise self.probe_error
        return parse_books(json.dumps([self.books[token] for token in tokens if token in self.books]))


class Notes:
    """Keeps what a listener is told, with the time in seconds."""

    def __init__(self) -> None:
        self.told: list[tuple] = []
        self.frames: list[str] = []
        self.news: list = []

    def on_frame(self, shard, raw, at):
        self.frames.append(raw)

    def on_news(self, shard, parsed, at):
        self.news.extend(parsed.news)

    def on_violation(self, shard, text, raw):
        self.told.append(("violation", shard, text))

    def on_lost(self, shard, why):
        self.told.append(("lost", shard, why, trio.current_time()))

    def on_back(self, shard):
        self.told.append(("back", shard, trio.current_time()))

    def words(self):
        return [note[0] for note in self.told]
