"""What REST said of all our orders at one time, and what that taught."""

import msgspec

from pmrun.plugins.exchanges.common.order_record import Record
from pmrun.plugins.exchanges.polymarket.news import TradeSeen
from pmrun.plugins.exchanges.polymarket.wire_orders import OpenOrder
from pmrun.runner.facts import Fact
from pmrun.runner.units import Micros


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything REST said at one time: complete, or there is none (O5)."""

    started: Micros  # when the first page was asked for
    since: Micros  # from when on trades were asked for
    orders: tuple[OpenOrder, ...]
    trades: tuple[TradeSeen, ...]


class Judged(msgspec.Struct, frozen=True):
    """What a snapshot taught: facts, and the orders it does not know, which are to be asked for one by one.

    An `older` one shows less than we know already: what it lacks says nothing.
    """

    facts: list[Fact]
    absent: list[Record]
    older: bool
