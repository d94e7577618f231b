"""Writes a tape folder that loses at most what was not flushed, and never says more than was received."""

import zlib
from pathlib import Path
from typing import Any

import msgspec

from pmrun.runner.errors import ConfigError, DataError
from pmrun.runner.units import Micros

FRAMES, MARKETS, ABOUT = "frames.jsonl.gz", "markets.json", "record.json"
_GZIP = 31  # zlib's word for a gzip member
_MILLISECOND = 1_000


class TapeWriter:
    """Appends lines to `frames.jsonl.gz`; every flush is a gzip member of its own, so that a cut costs the last one."""

    def __init__(self, folder: Path) -> None:
        """Make the folder; raises ConfigError when it holds a tape already, DataError when it cannot be written."""
        self.folder = folder
        self.bytes = 0  # of the frames as sent
        self._lines: list[bytes] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / FRAMES).open("xb", buffering=0)
        except FileExistsError:
            raise ConfigError(
                "record --to", folder, "there is something already; a tape is never written over"
            ) from None
        except OSError as error:
            raise _unwritable(folder, error) from None

    def markets(self, rows: list[bytes]) -> None:
        """Write `markets.json`: the objects exactly as they were received."""
        self._write(MARKETS, b"[" + b",\n".join(rows) + b"]\n")

    def about(self, facts: dict[str, Any]) -> None:
        """Write `record.json` anew, all at once."""
        self._write(f"{ABOUT}.new", msgspec.json.format(msgspec.json.encode(facts), indent=1) + b"\n")
        try:
            (self.folder / f"{ABOUT}.new").replace(self.folder / ABOUT)
        except OSError as error:
            raise _unwritable(self.folder / ABOUT, error) from None

    def _write(self, name: str, content: bytes) -> None:
        try:
            (self.folder / name).write_bytes(content)
        except OSError as error:
            raise _unwritable(self.folder / name, error) from None

    def frame(self, raw: str, at: Micros) -> None:
        """Add a frame: its text stands in the line as it was sent.

        A line break between its tokens, which JSON allows and a line does not, becomes a space.
        """
        text = raw.encode()
        self.bytes += len(text)
        if b"\n" in text or b"\r" in text:
            text = text.replace(b"\n", b" ").replace(b"\r", b" ")
        self._lines.append(b'{"t":%d,"m":%b}\n' % (at // _MILLISECOND, text))

    def gap(self, at: Micros, gap: dict[str, Any]) -> None:
        """Add a mark that frames are missing."""
        self._lines.append(b'{"t":%d,"gap":%b}\n' % (at // _MILLISECOND, msgspec.json.encode(gap)))

    def flush(self) -> None:
        """Hand everything to the system, as one gzip member."""
        if not self._lines:
            return
        lines, self._lines = b"".join(self._lines), []
        engine = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
        left = memoryview(engine.compress(lines) + engine.flush())
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise _unwritable(self.folder / FRAMES, error) from None

    def close(self) -> None:
        """Flush and close."""
        try:
            self.flush()
        finally:
            self._file.close()


def _unwritable(path: Path, error: OSError) -> DataError:
    return DataError(f"{path}: cannot be written: {error.strerror or error}")
