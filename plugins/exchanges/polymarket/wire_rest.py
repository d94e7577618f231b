"""What Polymarket says of itself and of calls that fail: time, version, geoblock, refusals (reference 3.9, 4)."""

import msgspec

from pmrun.plugins.exchanges.polymarket.wire_fields import (
    decode,
    moment,
)
from pmrun.runner.units import Micros


class Geoblock(msgspec.Struct, frozen=True):
    """Whether orders from where we are would be refused (reference 4.5)."""

    blocked: bool
    country: str = ""
    region: str = ""


class ErrorAnswer(msgspec.Struct, frozen=True):
    """Why a call failed (reference 3.9); an answer that is not JSON gives its first line."""

    message: str
    code: str | None = None
    retry_after: Micros | None = None


class _Version(msgspec.Struct):
    version: int


class _Error(msgspec.Struct):
    error: str | None = None
    error_msg: str | None = None
    error_text: str | None = msgspec.field(default=None, name="errorMsg")
    code: str | None = None
    retry_after_seconds: int | None = None


_ERROR = msgspec.json.Decoder(_Error)

_VERSION = msgspec.json.Decoder(_Version)

_GEOBLOCK = msgspec.json.Decoder(Geoblock)

_TIME = msgspec.json.Decoder(str | int)


def parse_version(raw: bytes | str) -> int:
    """Read `GET /version`: the generation of orders that the exchange takes (reference 1.4)."""
    return decode(_VERSION, raw, "version").version


def parse_geoblock(raw: bytes | str) -> Geoblock:
    """Read `GET /api/geoblock` (reference 4.5); our own address is left out."""
    return decode(_GEOBLOCK, raw, "geoblock")


def parse_time(raw: bytes | str) -> Micros:
    """Read `GET /time`: whole seconds (reference 4)."""
    return moment(decode(_TIME, raw, "time"), "time")


def parse_error(raw: bytes | str) -> ErrorAnswer:
    """Read the body of a failed call, whatever it is: JSON by its words, HTML by its first line (reference 3.9)."""
    try:
        wire = _ERROR.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
        return ErrorAnswer((text.strip().splitlines() or [""])[0][:200])
    wait = wire.retry_after_seconds
    message = wire.error or wire.error_msg or wire.error_text or ""
    return ErrorAnswer(message, wire.code, None if wait is None else Micros(wait * 1_000_000))
