"""How far a local book can be trusted: what speaks against it, since when, and when it is asked for by REST."""

from collections import Counter

import msgspec

from pmrun.plugins.exchanges.common.local_book import BEFORE_ALL, LocalBook
from pmrun.plugins.exchanges.common.market_news import LevelChange, TouchSeen
from pmrun.runner.units import SECOND, Micros, seconds


class Doubts(msgspec.Struct, frozen=True, kw_only=True):
    """When a book that may be wrong is asked for by REST, in microseconds.

    Messages were recorded to arrive up to 3.75 s out of order, and until the last of them the book gives another hash:
    so a difference counts once it has lasted for `grace`.
    """

    check_every: Micros = SECOND  # a market's hash
    grace: Micros = seconds(5)
    missing_after: Micros = seconds(5)  # a subscribed market without a book
    ask_again: Micros = seconds(10)


class Trust:
    """What is known of one book beside its levels."""

    __slots__ = ("_asked_at", "_checked_at", "_doubts", "_settings", "_touch", "_unchecked", "up_since")

    def __init__(self, settings: Doubts) -> None:
        """Start with a shard that is lost."""
        self.up_since: Micros | None = None  # None: the shard is lost, and no book from elsewhere would be kept up
        self._settings = settings
        self._doubts: dict[str, Micros] = {}  # by what speaks against the book: since when
        self._touch: tuple[Micros, TouchSeen] | None = None  # stated beside the book, and when it came
        self._unchecked = False
        self._checked_at = self._asked_at = BEFORE_ALL

    def forget(self) -> None:
        """Start anew: the book was dropped, and is to be asked for as soon as it is missed."""
        self._doubts.clear()
        self._touch = None
        self._asked_at = BEFORE_ALL

    def told(self, at: Micros) -> None:
        """Learn that the book was told to be so at an exchange time: an older touch says nothing any more."""
        self._unchecked = True
        if self._touch is not None and at >= self._touch[1].at:
            self._touch = None

    def stated_beside(self, touch: TouchSeen, at: Micros) -> None:
        """Remember best prices that may come before the levels that made them: compared when those had their time."""
        self._touch = at, touch

    def compare_touch(self, book: LocalBook, stated: LevelChange | TouchSeen, at: Micros) -> None:
        """Doubt a book whose best prices are not the exchange's; a message that names none says nothing."""
        if book.known and (stated.best_bid is not None or stated.best_ask is not None):
            self._judge("touch", not book.touch_differs(stated.best_bid, stated.best_ask, stated.token), at)

    def needs_book(self, book: LocalBook, at: Micros, counts: Counter[str]) -> bool:
        """Whether the book is to be read by REST now; asked again later if nothing came of it."""
        if self.up_since is None:
            return False
        self._check(book, at, counts)
        missing = not book.known and at - self.up_since >= self._settings.missing_after
        doubted = any(at - since >= self._settings.grace for since in self._doubts.values())
        if not (missing or doubted) or at - self._asked_at < self._settings.ask_again:
            return False
        self._asked_at = at
        self._doubts.clear()
        counts["missing books" if missing else "suspect books"] += 1
        return True

    def _check(self, book: LocalBook, at: Micros, counts: Counter[str]) -> None:
        if self._touch is not None and at - self._touch[0] >= self._settings.grace:
            touch, self._touch = self._touch[1], None
            self.compare_touch(book, touch, at)
        due = at - self._checked_at >= self._settings.check_every
        if not due or not (self._unchecked or self._doubts):
            return
        self._checked_at, self._unchecked = at, False
        agrees = book.agrees()
        if agrees is not None:
            counts["hashes right" if agrees else "hashes wrong"] += 1
            self._judge("hash", agrees, at)

    def _judge(self, by: str, right: bool, at: Micros) -> None:
        if right:
            self._doubts.pop(by, None)
        else:
            self._doubts.setdefault(by, at)
