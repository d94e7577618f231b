"""What was said of our orders, word for word: kept with them for audit, on the facts that it led to (O2)."""

from typing import Any

import msgspec

from pmrun.plugins.exchanges.common.order_record import Record
from pmrun.runner.facts import Fact, OrderNews
from pmrun.runner.orders import News
from pmrun.runner.units import Micros

LONGEST = 2_000  # characters of a message that are kept
CUT = "…"


def heard(record: Record, text: str, facts: list[Fact], at: Micros) -> list[Fact]:
    """Keep a message of the user socket with an order; where it was no news, with a fact that says only that."""
    return _with(record, facts, at, ws=clipped(text)) if text else facts


def answered(record: Record, text: str, facts: list[Fact], at: Micros) -> list[Fact]:
    """Keep the answer to a call about an order."""
    return _with(record, facts, at, rest=clipped(text)) if text else facts


def looked_up(record: Record, text: str, facts: list[Fact], at: Micros) -> list[Fact]:
    """Keep what REST lists of an order, unless it says the same as before."""
    if text == record.listed_as:
        return facts
    record.listed_as = text
    return answered(record, text, facts, at)


def clipped(text: str) -> str:
    """Cut a message to the length that is kept."""
    return text if len(text) <= LONGEST else text[: LONGEST - len(CUT)] + CUT


def _with(record: Record, facts: list[Fact], at: Micros, **said: Any) -> list[Fact]:
    """Put the words on the last news of the order among the facts, or on news of their own."""
    for place in reversed(range(len(facts))):
        fact = facts[place]
        if isinstance(fact, OrderNews) and fact.order == record.no:
            return [*facts[:place], msgspec.structs.replace(fact, **said), *facts[place + 1 :]]
    return [*facts, OrderNews(at, record.no, News.SEEN, "", record.order_id, **said)]
