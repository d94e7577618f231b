"""Writes the journal of a run as it goes; `journal` says what is in it, and reads it."""

import hashlib
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from pmrun.runner.book import Book
from pmrun.runner.facts import BookChanged, Fact, Together
from pmrun.runner.intents import Intent
from pmrun.runner.journal import FILE, VERSION, BookAt, BookIs, End, Header, Moment

_BLOCK: Final = 1 << 18  # bytes hashed and written at a time: few enough to be in the processor's cache still
_BOOK_CHANGED: Final = BookChanged  # compiled, what is imported is looked up at each use and a constant is not
_BOOK_AT: Final = BookAt
_TOGETHER: Final = Together
_FIELDS: Final = msgspec.structs.astuple
_crc32: Final = zlib.crc32
_encoder = msgspec.json.Encoder()
_encode: Final = _encoder.encode
_encode_into: Final = _encoder.encode_into


def _recorded(fact: Fact) -> Any:
    """Return a fact as the journal has it: books by reference where they can be looked up."""
    if type(fact) is _BOOK_CHANGED:
        return _book_recorded(fact)
    if type(fact) is _TOGETHER:
        facts: Any = fact.facts
        return Moment(fact.at, tuple([_book_recorded(one) if type(one) is _BOOK_CHANGED else one for one in facts]))
    return fact


def _book_recorded(fact: BookChanged) -> Any:
    fields: Any = _FIELDS(fact)
    at, market, upto, book = fields
    shown: Book = book
    if upto:
        return _BOOK_AT(at, market, upto, shown.best_bid, shown.best_ask)
    return BookIs(at, market, shown.bids, shown.asks)


def encode_step(fact: Fact, intents: Sequence[Intent]) -> bytes:
    """Write a fact, and what the desk made of it, as the journal has them."""
    return _encode([_recorded(fact), *intents])


def encode_intents(intents: Sequence[Intent]) -> list[bytes]:
    """Write each intent as the journal has it."""
    return [_encode(intent) for intent in intents]


class JournalWriter:
    """Writes the journal as the run goes; an observer."""

    takes_together = True

    def __init__(self, directory: Path, config: dict[str, Any]) -> None:
        """Open the file and write the settings."""
        self._file = (directory / FILE).open("wb")
        self._hash = hashlib.sha256()
        self._crc = 0
        self._line = bytearray()
        self._block = bytearray()  # lines that are not written yet
        self.facts = 0
        self.intents = 0
        self._write([Header(VERSION, config)])

    def record(self, fact: Fact, intents: Sequence[Intent]) -> None:
        """Write a step."""
        self.facts += len(fact.facts) if type(fact) is _TOGETHER else 1
        self.intents += len(intents)
        self._write([_recorded(fact), *intents])

    def _write(self, entries: list[Any]) -> None:
        line, block = self._line, self._block
        _encode_into(entries, line)
        self._crc = crc = _crc32(line, self._crc)
        block += line
        block += b" %08x\n" % crc
        if len(block) >= _BLOCK:
            self._flush()

    def _flush(self) -> None:
        self._hash.update(self._block)
        self._file.write(self._block)
        self._block.clear()

    def flush(self) -> None:
        """Hand everything written so far to the operating system."""
        self._flush()
        self._file.flush()

    @property
    def hash(self) -> str:
        """The hash of everything written so far."""
        self._flush()
        return self._hash.hexdigest()

    def close(self) -> None:
        """Write the last line and close."""
        if not self._file.closed:
            self._write([End(self.facts, self.intents)])
            self._flush()
            self._file.close()
