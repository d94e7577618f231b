"""How the embedded exchange answers: JSON with exact numbers, its error bodies, and pages by cursor."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from pmrun.plugins.exchanges.embedded.terms import Reply, Request
from pmrun.runner.units import SECOND, Micros

T = TypeVar("T")

JSON_HEADERS = {"content-type": "application/json"}
FIRST_CURSOR, LAST_CURSOR = "MA==", "LTE="
Handler = Callable[[Request, Micros], Any]  # returns what becomes JSON, or a whole Reply

_ENCODER = msgspec.json.Encoder(decimal_format="number")


class CallRefused(Exception):
    """A call that is answered with an error, in the exchange's own sentence (reference 3.9)."""

    def __init__(
        self,
        status: int,
        sentence: str,
        *,
        code: str | None = None,
        retry_after: int | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> None:
        """Take the HTTP status, the sentence, and what else the body carries; `retry_after` is in seconds."""
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.code = code
        self.retry_after = retry_after
        self.fields = dict(fields or {})

    def reply(self) -> Reply:
        """Return the error as it is sent; "not found" makes it a 404 wherever it comes from (reference 3.9)."""
        body: dict[str, Any] = dict(self.fields) or {"error": self.sentence}
        headers = dict(JSON_HEADERS)
        if self.code is not None:
            body["code"] = self.code
        if self.retry_after is not None:
            headers["retry-after"] = str(self.retry_after)
            if self.code is not None:
                body["retry_after_seconds"] = self.retry_after
        status = 404 if self.status == 400 and "not found" in self.sentence.lower() else self.status
        return Reply(status=status, body=encode(body), headers=headers)


def encode(value: Any) -> bytes:
    """Write JSON; decimals become exact numbers."""
    return _ENCODER.encode(value)


def answer(value: Any, headers: Mapping[str, str] | None = None) -> Reply:
    """Return a successful reply."""
    return Reply(body=encode(value), headers={**JSON_HEADERS, **(headers or {})})


def decode(kind: type[T], body: bytes, sentence: str) -> T:
    """Read a request's body; CallRefused with 400 and the exchange's sentence when it cannot be."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise CallRefused(400, sentence) from None


def one(request: Request, name: str) -> str:
    """Return the first value of a query parameter, "" when it is absent."""
    return (request.query.get(name) or [""])[0]


def epoch_seconds(text: str) -> Micros | None:
    """Read a time in whole seconds from a query; None when it is absent."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise CallRefused(400, "Invalid trade params payload")
    return Micros(int(text) * SECOND)


def page(rows: Sequence[Any], request: Request, size: int) -> dict[str, Any]:
    """Cut one page of a list out of `rows` by the request's `next_cursor` (reference 4)."""
    start = _offset(one(request, "next_cursor") or FIRST_CURSOR)
    data = rows[start : start + size]
    end = start + len(data)
    following = _cursor(end) if end < len(rows) else LAST_CURSOR
    return {"limit": size, "count": len(data), "next_cursor": following, "data": list(data)}


def _cursor(offset: int) -> str:
    return base64.b64encode(str(offset).encode()).decode()


def _offset(cursor: str) -> int:
    try:
        offset = int(base64.b64decode(cursor, validate=True).decode("ascii"))
    except (binascii.Error, ValueError):
        offset = -2
    if offset == -1:
        raise CallRefused(400, "next item should be greater than or equal to 0")
    if not 0 <= offset < 10**9:
        raise CallRefused(400, "invalid next_cursor")
    return offset
