"""What is kept of every call (O9): all of it but what could be used against us."""

import re
from collections.abc import Iterable

import msgspec

from pmrun.plugins.exchanges.polymarket.budget import Kind
from pmrun.plugins.exchanges.polymarket.credentials import Secret
from pmrun.plugins.exchanges.polymarket.wire_rest import parse_error
from pmrun.runner.units import Micros

_SIGNATURE = re.compile(rb'("signature"\s*:\s*)"[^"]*"')
_WITHHELD = b"<secret>"


class Exchanged(msgspec.Struct, frozen=True, kw_only=True):
    """One call and its answer, as they were on the wire, secrets removed."""

    at: Micros
    took: Micros
    kind: Kind
    method: str
    url: str  # without the query
    query: tuple[tuple[str, str], ...]
    address: str | None  # of the key that signed; no other header is kept
    request: str
    status: int | None  # None when no answer came
    answer: str
    why: str = ""  # no answer came


def as_text(raw: bytes) -> str:
    """Make a body readable; bytes that are no text are kept as their numbers."""
    return raw.decode("utf-8", "backslashreplace")


def without_signatures(body: bytes) -> bytes:
    """Leave the signatures of orders out of a request."""
    return _SIGNATURE.sub(rb'\1"<signature>"', body)


def without_secrets(raw: bytes, secrets: Iterable[Secret]) -> bytes:
    """Take out every secret that somebody sends back to us."""
    for secret in secrets:
        text = secret.reveal().removeprefix("0x").encode()
        if text and text in raw:
            raw = raw.replace(text, _WITHHELD)
    return raw


def is_credential(path: str) -> bool:
    """Whether an answer may hold secrets that we do not know yet."""
    return path.startswith("/auth/") and path.endswith("-key")


def without_credentials(raw: bytes) -> bytes:
    """Withhold an answer that may hold new secrets; only a plain refusal is kept."""
    refusal = parse_error(raw)
    return msgspec.json.encode({"error": refusal.message}) if raw.startswith(b'{"error":') else _WITHHELD
