"""What the desk wants done, and what it would have wanted but for an objection."""

from typing import Any

import msgspec

from pmrun.runner.market import MarketNo, Outcome
from pmrun.runner.orders import OrderNo, Purpose
from pmrun.runner.units import Micros, Price, Side, Size

Number = int | float | str


class Reason(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Why, as a code that never changes, and the numbers behind it."""

    code: str
    by: str = ""  # the component that said so, by its node in the configuration
    numbers: dict[str, Number] = {}


class _Intent(msgspec.Struct, frozen=True, tag_field="k", gc=False):
    at: Micros


class Place(_Intent, tag="place", frozen=True):
    """Rest an order (or, where `post_only` is false, take)."""

    order: OrderNo
    market: MarketNo
    outcome: Outcome
    side: Side
    price: Price
    size: Size
    purpose: Purpose
    post_only: bool
    reason: Reason


class Cancel(_Intent, tag="cancel", frozen=True):
    """Take an order off the book."""

    order: OrderNo
    reason: Reason


class CancelAll(_Intent, tag="cancel_all", frozen=True, omit_defaults=True):
    """Take everything off the book, or everything on one side."""

    reason: Reason
    side: Side | None = None


class Halt(_Intent, tag="halt", frozen=True):
    """Stop quoting a market (None: all of them) until a person has looked, or a limit that says so allows it again."""

    market: MarketNo | None
    reason: Reason


class Drop(_Intent, tag="drop", frozen=True):
    """Do not trade this market: a filter, or the universe, said no (R1)."""

    market: MarketNo
    reason: Reason


class Select(_Intent, tag="select", frozen=True):
    """Trade this market from now on: it passed the filters, and this is what it was ranked by (R1)."""

    market: MarketNo
    reason: Reason


class Merge(_Intent, tag="merge", frozen=True):
    """Turn pairs of YES and NO that are held into a dollar each; `no` is the desk's number of the request."""

    no: int
    market: MarketNo
    size: Size
    reason: Reason


class Refuse(_Intent, tag="refuse", frozen=True):
    """An order that was not placed, or does not rest any more, and why: nobody carries it out."""

    market: MarketNo
    outcome: Outcome
    side: Side
    price: Price | None
    size: Size | None
    purpose: Purpose
    reasons: tuple[Reason, ...]


class Observed(_Intent, tag="observed", frozen=True):
    """Something that should not have been: counted and shown, never applied."""

    reason: Reason


Intent = Place | Cancel | CancelAll | Halt | Drop | Select | Merge | Refuse | Observed
INTENTS: tuple[type[Any], ...] = Intent.__args__
