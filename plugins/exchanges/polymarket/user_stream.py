"""The news of our own orders at Polymarket, by socket (O3, O6; reference 5.3)."""

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

import msgspec

from pmrun.plugins.exchanges.common.market_news import Parsed
from pmrun.plugins.exchanges.common.secret import WITHHELD
from pmrun.plugins.exchanges.common.sockets import Connect, KeptSocket, OnSocket, Pace
from pmrun.plugins.exchanges.polymarket.news import OrderSeen, TradeSeen
from pmrun.plugins.exchanges.polymarket.wire import parse_frame
from pmrun.plugins.exchanges.polymarket.wire_fields import decode
from pmrun.runner.errors import ProtocolViolation
from pmrun.runner.market import ConditionId
from pmrun.runner.units import Micros

UserAuth = tuple[str, str, str]  # API key, secret, passphrase
PACE = Pace()
_EVENTS = msgspec.json.Decoder(list[msgspec.Raw])
TELLING = 8  # characters of a secret in a row that do not come there by chance


class UserListener:
    """What is told of the user stream; nothing of it may block. A subclass overrides what it needs."""

    def on_frame(self, raw: str, at: Micros) -> None:
        """Take a frame as it was sent."""

    def on_news(self, parsed: Parsed, at: Micros) -> None:
        """Take what the frame says."""

    def on_violation(self, text: str, raw: str) -> None:
        """Learn that a frame broke the protocol; `on_lost` and `on_back` follow."""

    def on_lost(self, why: str) -> None:
        """Learn that news of our orders may be missing from now on."""

    def on_back(self) -> None:
        """Learn that news come again, on the first connection too: what was missed is to be read by REST."""


def user_hello(auth: UserAuth, markets: Sequence[ConditionId] = ()) -> str:
    """Return the first frame of a user socket; without markets it is told of all (reference 5.3). It holds secrets."""
    key, secret, passphrase = auth
    frame = {"type": "user", "auth": {"apiKey": key, "secret": secret, "passphrase": passphrase}}
    whole = {**frame, "markets": list(markets)} if markets else frame
    return msgspec.json.encode(whole).decode()


class UserSocket(OnSocket):
    """The news of our own orders and trades; after every connection what was missed has to be read by REST."""

    def __init__(
        self, url: str, connect: Connect, auth: Callable[[], UserAuth], listener: UserListener,
        now: Callable[[], Micros], rng: Random, pace: Pace = PACE, markets: Sequence[ConditionId] = (),
    ) -> None:  # fmt: skip
        """Take how to get the credentials: they are read when a connection needs them, and kept nowhere."""
        self.frames = 0
        self.unknown: Counter[str] = Counter()
        self._auth = auth
        self._listener = listener
        self._now = now
        self._markets = tuple(markets)
        self._socket = KeptSocket(url, connect, self, rng, pace)

    def hello(self) -> str:
        """Return the subscription, with the credentials."""
        return user_hello(self._auth(), self._markets)

    def take(self, text: str) -> None:
        """Read a frame and hand it on."""
        at = self._now()
        try:
            parsed = parse_frame(text)
        except ProtocolViolation as violation:
            self._listener.on_violation(str(violation), text)
            self._socket.drop(f"the exchange broke its protocol: {violation}")
            return
        self.frames += 1
        self.unknown.update(parsed.unknown)
        self._listener.on_frame(text, at)
        self._listener.on_news(_with_words(parsed, text), at)

    def lost(self, why: str) -> None:
        """Hand it on."""
        self._listener.on_lost(why)

    def back(self) -> None:
        """Hand it on."""
        self._listener.on_back()


def _with_words(parsed: Parsed, text: str) -> Parsed:
    """Keep with our own news the words they came in (O2)."""
    texts = _split(text)
    if len(texts) != len(parsed.news):  # something among them is not known
        texts = [text] * len(parsed.news)
    news = zip(parsed.news, texts, strict=True)
    return Parsed(
        tuple(
            msgspec.structs.replace(each, said=said) if isinstance(each, OrderSeen | TradeSeen) else each
            for each, said in news
        ),
        parsed.unknown,
    )


def _split(text: str) -> list[str]:
    """Return the events of a frame that has been read, each as it came."""
    if not text.lstrip().startswith("["):
        return [text]
    return [bytes(event).decode() for event in decode(_EVENTS, text, "frame")]


class DiscreetSocket(UserSocket):
    """A user socket that says nothing of what it sent: its first frame holds secrets, and a peer may repeat them."""

    def take(self, text: str) -> None:
        """Read a frame without them."""
        for secret in self._auth()[1:]:
            text = text.replace(secret, WITHHELD)
        super().take(text)

    def lost(self, why: str) -> None:
        """Hand on why, unless it holds a part of one: a reason is cut to a length."""
        super().lost(WITHHELD if any(part in why for secret in self._auth()[1:] for part in parts(secret)) else why)


def parts(secret: str) -> list[str]:
    """Return everything in a secret that is long enough to be known again."""
    return [secret[at : at + TELLING] for at in range(max(1, len(secret) - TELLING + 1))]
