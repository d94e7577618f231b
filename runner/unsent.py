"""Why an order never left this machine, in pmrun's own words: executors say them, and counts go by them."""

from typing import Final

NOT_SENT: Final = "not sent: "  # begins whatever else keeps an order from leaving
NO_TURN: Final = "no order call was free in time"
PULLED: Final = "pulled before it was sent"
WOULD_TAKE: Final = "it would take, and this exchange has no post-only orders"
BOOK_UNKNOWN: Final = "the book is not known: whether it would take cannot be said"
_OURS: Final = (NOT_SENT, NO_TURN, PULLED, WOULD_TAKE, BOOK_UNKNOWN, "over the cap ", "cannot be signed: ")


def never_sent(reason: str) -> bool:
    """Whether the reason why an order ended says that no exchange ever saw it."""
    return reason.startswith(_OURS)
