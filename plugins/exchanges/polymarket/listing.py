"""Reads lists that come in pages, to their end or not at all (reference 4, 6.1)."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from pmrun.plugins.exchanges.polymarket.outcomes import CallFailed, IncompleteSnapshot
from pmrun.plugins.exchanges.polymarket.transport import Call, Transport
from pmrun.plugins.exchanges.polymarket.wire_pages import Page
from pmrun.runner.errors import ProtocolViolation

T = TypeVar("T")

_MOST_PAGES = 5_000
_MOST_OWN_PAGES = 500


async def read_pages(
    transport: Transport,
    call: Call,
    parse: Callable[[bytes], Page[T]],
    cursor_name: str = "next_cursor",
    most: int = _MOST_PAGES,
) -> list[Page[T]]:
    """Read every page of a public list; ProtocolViolation when its cursors lead nowhere."""
    pages: list[Page[T]] = []
    seen: set[str] = set()
    cursor: str | None = None
    while True:
        query = call.query if cursor is None else (*call.query, (cursor_name, cursor))
        answer = await transport.read(msgspec.structs.replace(call, query=query))
        pages.append(parse(answer.body))
        cursor = pages[-1].next_cursor
        if cursor is None:
            return pages
        if cursor in seen or len(pages) >= most:
            raise ProtocolViolation(f"page {len(pages)} of {call.path} leads on to {cursor!r}, which does not end")
        seen.add(cursor)


async def read_whole(transport: Transport, call: Call, parse: Callable[[bytes], Page[T]]) -> tuple[T, ...]:
    """Read every row of a list of our own; IncompleteSnapshot unless all of it came, and said so (O5)."""
    try:
        pages = await read_pages(transport, call, parse, most=_MOST_OWN_PAGES)
    except CallFailed as failed:
        raise IncompleteSnapshot(str(failed)) from None
    except ProtocolViolation as violation:
        raise IncompleteSnapshot(f"{call}: {violation}") from None
    check_whole(str(call), pages)
    return tuple(row for page in pages for row in page.rows)


def check_whole(call: str, pages: Sequence[Page[T]]) -> None:
    """Raise IncompleteSnapshot when a page lacks rows that it counts, or the last does not say that it is."""
    for number, page in enumerate(pages, start=1):
        if page.count is not None and len(page.rows) < page.count:
            raise IncompleteSnapshot(f"{call}: page {number} has {len(page.rows)} rows and says {page.count}")
    if not pages[-1].says_last:
        raise IncompleteSnapshot(f"{call}: page {len(pages)} neither leads on nor says that it is the last")
