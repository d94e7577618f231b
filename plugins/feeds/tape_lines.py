"""The lines of a tape's frames: whole ones, gaps between them, and how far a recording that was killed can be read."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from pmrun.runner.errors import DataError
from pmrun.runner.market import ConditionId

_GZIP = 31  # zlib's word for a gzip member


class Gap(msgspec.Struct):
    """Frames may be missing: of these markets, or of any when it does not say; `until` is set where it ends."""

    why: str = ""
    until: int | None = None
    markets: list[ConditionId] | None = None


class Line(msgspec.Struct):
    """When it was received, in ms, and a frame `m` or a gap."""

    t: int
    m: msgspec.Raw = msgspec.Raw()
    gap: Gap | None = None


decode_line = msgspec.json.Decoder(Line).decode
_decode_about = msgspec.json.Decoder(dict[str, Any]).decode


def whole_lines(path: Path) -> Iterator[bytes]:
    """Read a file to its end; raises DataError when it is damaged or cut off."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            yield from file
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path}: damaged or cut off: {error}") from None


def was_killed(folder: Path) -> bool:
    """Whether our recorder wrote this tape and did not come to its end."""
    try:
        return _decode_about((folder / "record.json").read_bytes()).get("ended", "") is None
    except (OSError, msgspec.DecodeError):
        return False


def lines_to_the_cut(path: Path) -> Iterator[bytes]:
    """Read the whole lines of gzip members, of which the last may have been cut off."""
    begun = b""
    try:
        with path.open("rb") as file:
            engine = zlib.decompressobj(_GZIP)
            while block := file.read(1 << 16):
                while block:
                    *lines, begun = (begun + engine.decompress(block)).split(b"\n")
                    yield from lines
                    block = engine.unused_data
                    if engine.eof:
                        engine = zlib.decompressobj(_GZIP)
    except (OSError, zlib.error) as error:
        raise DataError(f"{path}: damaged: {error}") from None
