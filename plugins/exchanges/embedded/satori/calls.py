"""A call on its way to who answers it, and the table of all calls (V1)."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from pmrun.plugins.exchanges.embedded.satori.codes import Code, Refusal
from pmrun.plugins.exchanges.embedded.satori.identity import Session
from pmrun.plugins.exchanges.embedded.terms import Request
from pmrun.runner.units import Micros

BASE = "/api/v1"
PAGE = 100  # rows of a page where the caller does not say, and at most


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call with what its path names."""

    request: Request
    parts: tuple[str, ...]
    at: Micros
    session: Session | None = None

    @property
    def caller(self) -> Session:
        """Return who calls; Refusal when nobody signed in."""
        if self.session is None:
            raise Refusal(Code.TOKEN_INVALID)
        return self.session

    def asked(self, name: str) -> str:
        """Return the first value of a query parameter, "" when it is absent."""
        return (self.request.query.get(name) or [""])[0]

    def number(self, name: str, default: int, most: int) -> int:
        """Return a whole number of the query from 1 on, cut to `most`; Refusal when it is something else."""
        text = self.asked(name)
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text)):
            raise Refusal(Code.BAD_REQUEST)
        return min(int(text), most)

    def body(self) -> dict[str, Any]:
        """Return the object in the body; Refusal when there is none."""
        try:
            found = msgspec.json.decode(self.request.body)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise Refusal(Code.BAD_REQUEST) from None
        if not isinstance(found, dict):
            raise Refusal(Code.BAD_REQUEST)
        return found


def text_of(body: dict[str, Any], name: str) -> str:
    """Return a text of a body; Refusal when it is something else."""
    found = body.get(name)
    if not isinstance(found, str):
        raise Refusal(Code.BAD_REQUEST)
    return found


def paged(rows: list[Any], call: Call) -> dict[str, Any]:
    """Return one page of rows, with how many there are."""
    page, size = call.number("page", 1, 1_000_000), call.number("page_size", PAGE, PAGE)
    start = (page - 1) * size
    return {"items": rows[start : start + size], "total": len(rows), "page": page, "page_size": size}


class Route(NamedTuple):
    """Who answers one kind of call."""

    method: str
    template: str  # below the base: parts that start with a colon stand for any text
    answer: Callable[[Call], Any]  # returns the data of a 200, or a whole Reply
    scope: str | None = None  # what a token must allow; None: anybody may call

    @property
    def orders(self) -> bool:
        """Whether it counts as an order call."""
        return self.method == "POST" and self.template.startswith("/orders")


class Routes:
    """Finds who answers a call."""

    def __init__(self, *routes: Route) -> None:
        """Take the table."""
        self._by_shape: dict[tuple[str, int], list[Route]] = {}
        for route in routes:
            self._by_shape.setdefault(_shape(route.method, route.template), []).append(route)

    def find(self, request: Request) -> tuple[Route, tuple[str, ...]]:
        """Return who answers, and what the path names; Refusal when nobody does."""
        path = request.path.removeprefix(BASE).rstrip("/")
        if request.path.startswith(BASE):
            for route in self._by_shape.get(_shape(request.method, path), ()):
                named = tuple(_named(route.template, path))
                if None not in named:
                    return route, tuple(part for part in named if part)
        raise Refusal(Code.NO_SUCH_CALL)


def _shape(method: str, path: str) -> tuple[str, int]:
    return method, path.count("/")


def _named(template: str, path: str) -> Iterator[str | None]:
    """Yield what stands for each named part, None where the path is another one."""
    for wanted, found in zip(template.split("/"), path.split("/"), strict=True):
        if wanted.startswith(":"):
            yield found or None
        elif wanted != found:
            yield None
