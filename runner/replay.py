"""Feeds a recorded run's facts to a fresh desk and compares what it wants, byte for byte."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pmrun.runner.assembly import plan as make_plan
from pmrun.runner.book import Book
from pmrun.runner.errors import DataError, VerificationFailed
from pmrun.runner.journal import (
    BookAt,
    End,
    Header,
    Line,
    as_fact,
    encode_intent,
    first_difference,
    journal_hash,
    plain,
    read_journal,
)
from pmrun.runner.manifest import config_hash
from pmrun.runner.runs import read_json
from pmrun.runner.run import ORDER_NAME

BookSource = Callable[[BookAt], Book]


class Verified(NamedTuple):
    """What a replay compared."""

    facts: int
    intents: int
    journal_hash: str


class _Fault(NamedTuple):
    """One thing that is not as recorded."""

    where: str
    what: str


def replay(directory: Path) -> Verified:
    """Replay a run and compare every intent; raises VerificationFailed naming the first fact and field that differ."""
    manifest = read_json(directory, "manifest.json")
    summary = read_json(directory, "summary.json")
    config = read_config(directory)
    faults = list(_changed_settings(directory, config, manifest))
    result, fault = _compare(directory, config, manifest)
    if fault is not None:
        faults.append(fault)
    if result.journal_hash != summary.get("journal_hash") and not any(f.where == "journal" for f in faults):
        faults.append(_Fault("journal", f"hash is {result.journal_hash}, recorded {summary.get('journal_hash')}"))
    if faults:
        raise VerificationFailed("; ".join(f"{fault.where}: {fault.what}" for fault in faults))
    return result


def read_config(directory: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load((directory / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise DataError(f"{directory / 'config.yaml'}: {error}") from None
    if not isinstance(config, dict):
        raise DataError(f"{directory / 'config.yaml'}: not a configuration")
    return config


def _changed_settings(directory: Path, config: dict[str, Any], manifest: dict[str, Any]) -> Iterator[_Fault]:
    """Name the setting in which config.yaml is not what the journal was written with."""
    first = next(read_journal(directory), None)
    if first is None or not isinstance(first.entry, Header):
        raise DataError(f"{directory}: the journal has no first line")
    found = first_difference(first.entry.config, plain_values(config))
    if found:
        key, recorded, now = found
        yield _Fault("setting", f"{key} was {recorded}, is {now}")
    elif manifest.get("config_hash") != config_hash(config):
        yield _Fault("setting", "config.yaml and manifest.json disagree (config_hash)")


def plain_values(config: dict[str, Any]) -> Any:
    """Return a configuration as JSON has it."""
    import json

    return json.loads(json.dumps(config, default=str))


def _compare(directory: Path, config: dict[str, Any], manifest: dict[str, Any]) -> tuple[Verified, _Fault | None]:
    plan = make_plan(config)
    desk = plan.desk(ORDER_NAME)
    books = _book_source(plan, manifest, desk.hooks.depth)
    expected: list[bytes] = []  # what the desk wants now and the journal has not shown yet
    facts = intents = 0
    current = "the start"
    ended = False
    for line in read_journal(directory):
        fault = _altered(line, current)
        if fault:
            return Verified(facts, intents, journal_hash(directory)), fault
        entry = line.entry
        if isinstance(entry, End):
            ended = True
        if isinstance(entry, Header):
            continue
        fact, fault = _fact_of(line, books, facts + 1)
        if fault:
            return Verified(facts, intents, journal_hash(directory)), fault
        if fact is None and not isinstance(entry, End):
            intents += 1
            fault = _differs(line, expected, current)
        elif expected:
            fault = _Fault(current, f"replay also wants {_short(plain(expected[0]))}")
        if fault:
            return Verified(facts, intents, journal_hash(directory)), fault
        if fact is not None:
            facts += 1
            current = f"fact {facts} ({type(fact).__name__} at {_time(fact.at)})"
            expected = [encode_intent(intent) for intent in desk.handle(fact)]
    if not ended:
        return Verified(facts, intents, journal_hash(directory)), _Fault("journal", f"cut off after {current}")
    return Verified(facts, intents, journal_hash(directory)), None


def _altered(line: Line, current: str) -> _Fault | None:
    if line.chained:
        return None
    kind = plain(line.raw).get("k")
    return _Fault("journal", f"line {line.number} ({kind}) after {current} is not what was written: {_short(plain(line.raw))}")


def _fact_of(line: Line, books: BookSource, number: int) -> tuple[Any, _Fault | None]:
    entry = line.entry
    if not isinstance(entry, BookAt):
        return as_fact(entry), None
    book = books(entry)
    for field, recorded, replayed in (("bid", entry.bid, book.best_bid), ("ask", entry.ask, book.best_ask)):
        if recorded != replayed:
            where = f"fact {number} (book of market {entry.market} at {_time(entry.at)})"
            return None, _Fault(where, f"{field}: recorded {recorded}, the tape has {replayed}")
    return as_fact(entry, book), None


def _differs(line: Line, expected: list[bytes], current: str) -> _Fault | None:
    if not expected:
        return _Fault(current, f"recorded {_short(plain(line.raw))}, replay wants nothing")
    wanted = expected.pop(0)
    if wanted == line.raw:
        return None
    recorded, replayed = plain(line.raw), plain(wanted)
    found = first_difference(recorded, replayed)
    if found is None:
        return _Fault(current, "the same values, written differently")
    field, left, right = found
    return _Fault(current, f"{recorded.get('k')}.{field}: recorded {left}, replayed {right}")


def _book_source(plan: Any, manifest: dict[str, Any], depth: Any) -> BookSource:
    """Open the feed again for the books that the journal refers to; raises VerificationFailed for other data."""
    opened: list[Any] = []

    def book(entry: BookAt) -> Book:
        if not opened:
            data = plan.feed.open()
            recorded = manifest.get("feed", {}).get("data_hash")
            if data.info.data_hash != recorded:
                raise VerificationFailed(f"data: {data.info.source} has hash {data.info.data_hash}, recorded {recorded}")
            opened.append(plan.executor.books_of(data, depth))
        return opened[0](entry.market, entry.upto)  # type: ignore[no-any-return]

    return book


def _short(value: dict[str, Any]) -> str:
    return " ".join(f"{key}={item}" for key, item in value.items() if key not in ("at", "reason", "reasons"))


def _time(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1_000_000, UTC).isoformat(timespec="microseconds")
