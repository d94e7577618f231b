"""What waits to leave on one socket: the host puts frames in without blocking, the network takes them out."""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import trio

TOO_SLOW = 1008  # policy violation: the peer does not read
TEXT_ONLY = 1003
UNREAD_FRAMES = 10_000
PATIENCE = 1.0  # seconds a peer that does not read has to take the close frame


class Closing(NamedTuple):
    """How a socket is to be closed."""

    code: int
    reason: str


class Outbox:
    """The frames of one socket in their order, at most `limit` of them: a peer that does not read is let go (1008)."""

    def __init__(self, limit: int = UNREAD_FRAMES, patience: float = PATIENCE) -> None:
        """Start empty; `patience` is what a peer with a full outbox has left to take the close frame (seconds)."""
        self._limit = limit
        self._patience = patience
        self._frames: deque[str] = deque()
        self._closing: Closing | None = None
        self._news = trio.Event()
        self._ending = trio.Event()

    def __len__(self) -> int:
        """Count the frames that wait."""
        return len(self._frames)

    def send(self, text: str) -> None:
        """Add a frame; once the socket is closing, frames are dropped."""
        if self._closing is not None:
            return
        if len(self._frames) >= self._limit:
            self._frames.clear()
            self.close(TOO_SLOW, f"{self._limit:,} frames were not read")
            return
        self._frames.append(text)
        self._news.set()

    def close(self, code: int, reason: str) -> None:
        """Close the socket after the frames that wait; the first close counts."""
        if self._closing is None:
            self._closing = Closing(code, reason)
            self._news.set()
            self._ending.set()

    async def deliver(
        self,
        send: Callable[[str], Awaitable[None]],
        close: Callable[[int, str], Awaitable[None]],
        cut: Callable[[], None],
    ) -> None:
        """Send frames until the socket is to be closed, and close it; `cut` breaks it when the peer does not follow."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cut_off, cut)
            closing = await self._forward(send)
            await close(*closing)

    async def _forward(self, send: Callable[[str], Awaitable[None]]) -> Closing:
        while True:
            while self._frames:
                await send(self._frames.popleft())
            if self._closing is not None:
                return self._closing
            self._news = trio.Event()
            await self._news.wait()

    async def _cut_off(self, cut: Callable[[], None]) -> None:
        # A send that was begun cannot be taken back without tearing the stream: it gets a little longer, then the end.
        await self._ending.wait()
        await trio.sleep(self._patience)
        cut()
