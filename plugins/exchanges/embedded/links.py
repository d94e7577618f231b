"""Two ends of a connection in memory that can be cut and frozen, with a bounded buffer each way, as kernels have."""

import trio
from trio.testing import MemoryReceiveStream, MemorySendStream, memory_stream_pair

BUFFER = 65_536  # bytes that may be on their way, unread

MemoryStream = trio.StapledStream[MemorySendStream, MemoryReceiveStream]


class _Pipe:
    """One direction: how much was sent and not yet read, and who waits for room."""

    def __init__(self) -> None:
        self.unread = 0
        self.closed = False
        self.waiting = trio.lowlevel.ParkingLot()


class Link:
    """A connection: `client` and `server` are its ends."""

    def __init__(self, frozen: bool = False) -> None:
        """Connect two ends."""
        one, other = memory_stream_pair()
        there, back = _Pipe(), _Pipe()
        self.broken = False
        self.thawed = trio.Event()
        if not frozen:
            self.thawed.set()
        self.client = End(self, one, there, back)
        self.server = End(self, other, back, there)

    def cut(self) -> None:
        """Break it: both ends find out at once, without an end of the stream."""
        self.broken = True
        self.thaw()
        self.client.close()
        self.server.close()

    def freeze(self) -> None:
        """Let nothing arrive at either end."""
        if self.thawed.is_set() and not self.broken:
            self.thawed = trio.Event()

    def thaw(self) -> None:
        """Let what was sent meanwhile arrive."""
        self.thawed.set()


class End(trio.abc.Stream):
    """One end of a link."""

    def __init__(self, link: Link, stream: MemoryStream, outgoing: _Pipe, incoming: _Pipe) -> None:
        """Take the stream, and the pipes it shares with the other end."""
        self._link = link
        self._stream = stream
        self._outgoing = outgoing
        self._incoming = incoming

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send; waits while the other end has too much to read."""
        while self._outgoing.unread >= BUFFER and not self._outgoing.closed:
            await self._outgoing.waiting.park()
        self._check()
        self._outgoing.unread += len(data)
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Return at once: sending looks for room itself."""
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Read; waits while the link is frozen."""
        self._check()
        data = await self._read(max_bytes)
        await self._link.thawed.wait()
        self._check()
        self._incoming.unread -= len(data)
        self._incoming.waiting.unpark_all()
        return data

    async def _read(self, max_bytes: int | None) -> bytes | bytearray:
        try:
            return await self._stream.receive_some(max_bytes)
        except trio.ClosedResourceError:
            self._check()
            raise

    def close(self) -> None:
        """Close this end at once; the other one reads the end of the stream."""
        self._stream.send_stream.close()
        self._stream.receive_stream.close()
        for pipe in (self._incoming, self._outgoing):
            pipe.closed = True
            pipe.waiting.unpark_all()

    async def aclose(self) -> None:
        """Close this end."""
        self.close()
        await trio.lowlevel.checkpoint()

    def _check(self) -> None:
        if self._link.broken:
            raise trio.BrokenResourceError("the connection broke")
