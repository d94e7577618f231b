"""Why an order never left this machine, in pmrun's own words: executors say them, and counts go by them."""

from typing import Final

OVER_CAP: Final = "over the cap "
SHED: Final = "not sent: places are shed"
NO_TURN: Final = "no order call was free in time"
PULLED: Final = "pulled before it was sent"
WOULD_TAKE: Final = "it would take, and this exchange has no post-only orders"
BOOK_UNKNOWN: Final = "the book is not known: whether it would take cannot be said"
_HELD_BACK: Final = (OVER_CAP, SHED, NO_TURN, PULLED, WOULD_TAKE, BOOK_UNKNOWN)
_ERRORS: Final = ("cannot be signed: ", "not sent: ")  # a rule's, or there was no way to the exchange
_UNSENT: Final = (*_HELD_BACK, *_ERRORS)


def never_sent(reason: str) -> bool:
    """Whether the reason why an order ended says that no exchange ever saw it."""
    return reason.startswith(_UNSENT)


def held_back(reason: str) -> bool:
    """Whether we kept the order from leaving on purpose: no error of anybody's (P9)."""
    return reason.startswith(_HELD_BACK)
