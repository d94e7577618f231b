"""The record of a run: every fact that entered the desk and every intent that left it, in order, chained by hashes.

One line a step: a JSON list of the fact (or the facts of one moment) and the intents it led to, a blank, and the CRC-32
of all JSON so far, so that a changed line can be named. The journal's hash is the SHA-256 of the file. A book that
came from a tape is written as a reference to it; the tape's own hash is
in the manifest.
"""

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pmrun.runner.book import Book
from pmrun.runner.errors import DataError
from pmrun.runner.facts import FACTS, BookChanged, Fact, Together
from pmrun.runner.intents import INTENTS
from pmrun.runner.market import MarketNo
from pmrun.runner.units import Micros, Price, Size

VERSION = 3  # 3: pairs are merged; 2: news of an order leaves out what it does not say
FILE = "journal.jsonl"


class BookAt(msgspec.Struct, frozen=True, tag_field="k", tag="book_at", gc=False):
    """A book of a tape: what the first `upto` frames make of it, with its touch to check by."""

    at: Micros
    market: MarketNo
    upto: int
    bid: Price | None
    ask: Price | None


class BookIs(msgspec.Struct, frozen=True, tag_field="k", tag="book", gc=False):
    """A book that cannot be looked up again, level by level."""

    at: Micros
    market: MarketNo
    bids: tuple[tuple[Price, Size], ...]
    asks: tuple[tuple[Price, Size], ...]


class Header(msgspec.Struct, frozen=True, tag_field="k", tag="journal"):
    """The first line: the settings the desk was built from."""

    version: int
    config: dict[str, Any]


class End(msgspec.Struct, frozen=True, tag_field="k", tag="end"):
    """The last line: a journal without it was cut off."""

    facts: int
    intents: int


_SINGLE = tuple(kind for kind in FACTS if kind not in (BookChanged, Together))
_single_type: Any = reduce(or_, (BookAt, BookIs, *_SINGLE))


class Moment(msgspec.Struct, frozen=True, tag_field="k", tag="together", gc=False):
    """Several facts of one moment."""

    at: Micros
    facts: tuple[_single_type, ...]


_entry_type: Any = reduce(or_, (Header, End, Moment, BookAt, BookIs, *_SINGLE, *INTENTS))
_decode = msgspec.json.Decoder(list[_entry_type]).decode


class Line(NamedTuple):
    """One line of a journal as it was found."""

    number: int
    raw: bytes
    chained: bool  # whether it is what was written
    entries: list[Any]  # a fact (or Header, End) and intents


def read_journal(directory: Path) -> Iterator[Line]:
    """Read a journal; raises DataError for a line that is no entry.

    A last line that is not whole was being written when the run was killed: it is left out.
    """
    path = directory / FILE
    crc = 0
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    with file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            raw, _, mark = line.rstrip(b"\n").rpartition(b" ")
            crc = zlib.crc32(raw, crc)
            chained = mark == b"%08x" % crc
            if not chained and len(mark) == 8:
                crc = int(mark, 16) if all(c in b"0123456789abcdef" for c in mark) else crc
            try:
                entries = _decode(raw)
            except (msgspec.DecodeError, ValueError) as error:
                raise DataError(f"{path}: line {number}: {error}") from None
            if not entries:
                raise DataError(f"{path}: line {number}: an empty step")
            yield Line(number, raw, chained, entries)


def journal_hash(directory: Path) -> str:
    """Return the hash of a journal file."""
    with (directory / FILE).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def as_fact(entry: Any, find: Callable[[BookAt], Book]) -> Fact:
    """Return the fact of an entry; `find` looks up a book that is only referred to."""
    match entry:
        case BookIs(at=at, market=market, bids=bids, asks=asks):
            return BookChanged(at, market, 0, Book(bids, asks))
        case BookAt(at=at, market=market, upto=upto):
            return BookChanged(at, market, upto, find(entry))
        case Moment(at=at, facts=facts):
            return Together(at, tuple(as_fact(one, find) for one in facts))
        case _:
            return entry  # type: ignore[no-any-return]


def first_difference(recorded: Any, replayed: Any, path: str = "") -> tuple[str, Any, Any] | None:
    """Return the first field, in reading order, in which two JSON values differ, with both values."""
    if isinstance(recorded, dict) and isinstance(replayed, dict):
        for key in [*recorded, *(key for key in replayed if key not in recorded)]:
            found = first_difference(recorded.get(key), replayed.get(key), f"{path}.{key}" if path else key)
            if found:
                return found
        return None
    if isinstance(recorded, list) and isinstance(replayed, list) and len(recorded) == len(replayed):
        for index, (left, right) in enumerate(zip(recorded, replayed, strict=True)):
            found = first_difference(left, right, f"{path}[{index}]")
            if found:
                return found
        return None
    return None if recorded == replayed else (path, recorded, replayed)


def plain(raw: bytes) -> Any:
    """Return JSON as plain values."""
    return json.loads(raw)
