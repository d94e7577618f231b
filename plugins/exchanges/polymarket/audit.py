"""What is left out of what is kept of calls (O9): all that could be used against us."""

import re

import msgspec

from pmrun.plugins.exchanges.common.secret import WITHHELD
from pmrun.plugins.exchanges.polymarket.wire_rest import parse_error

_SIGNATURE = re.compile(rb'("signature"\s*:\s*)"[^"]*"')


def without_signatures(body: bytes) -> bytes:
    """Leave the signatures of orders out of a request."""
    return _SIGNATURE.sub(rb'\1"<signature>"', body)


def is_credential(path: str) -> bool:
    """Whether an answer may hold secrets that we do not know yet."""
    return path.startswith("/auth/") and path.endswith("-key")


def without_credentials(raw: bytes) -> bytes:
    """Withhold an answer that may hold new secrets; only a plain refusal is kept."""
    refusal = parse_error(raw)
    return msgspec.json.encode({"error": refusal.message}) if raw.startswith(b'{"error":') else WITHHELD.encode()
