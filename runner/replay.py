"""Feeds a recorded run's facts to a fresh desk and compares what it wants, byte for byte."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pmrun.runner.assembly import Plan
from pmrun.runner.assembly import plan as make_plan
from pmrun.runner.book import Book
from pmrun.runner.desk import Desk
from pmrun.runner.errors import DataError, VerificationFailed
from pmrun.runner.facts import Fact, each
from pmrun.runner.hooks import Hooks
from pmrun.runner.journal import (
    VERSION,
    BookAt,
    End,
    Header,
    Line,
    as_fact,
    first_difference,
    journal_hash,
    plain,
    read_journal,
)
from pmrun.runner.journal_writer import encode_intents, encode_step
from pmrun.runner.manifest import config_hash
from pmrun.runner.run import ORDER_NAME
from pmrun.runner.runs import SUMMARY, read_json, read_yaml

BookSource = Callable[[BookAt], Book]


class Verified(NamedTuple):
    """What a replay compared."""

    facts: int
    intents: int
    journal_hash: str
    cut: str | None = None  # the last record of a run that was killed, or that is still going


class _Fault(NamedTuple):
    """One thing that is not as recorded."""

    where: str
    what: str


def replay(directory: Path) -> Verified:
    """Replay a run and compare every intent; raises VerificationFailed naming the first fact and field that differ.

    A run without a summary and without the journal's last line was killed: what it wrote until then is compared.
    """
    manifest = read_json(directory, "manifest.json")
    config = read_yaml(directory, "config.yaml")
    faults = list(_changed_settings(directory, config, manifest))
    result, fault = _compare(directory, config, manifest)
    if fault is not None:
        faults.append(fault)
    killed = result.cut is not None and not (directory / SUMMARY).exists()
    recorded = result.journal_hash if killed or faults else read_json(directory, SUMMARY).get("journal_hash")
    if result.cut is not None and not killed:
        faults.append(_Fault("journal", f"cut off after {result.cut}"))
    if result.journal_hash != recorded and not any(f.where == "journal" for f in faults):
        faults.append(_Fault("journal", f"hash is {result.journal_hash}, recorded {recorded}"))
    if faults:
        raise VerificationFailed("; ".join(f"{fault.where}: {fault.what}" for fault in faults))
    return result


def _changed_settings(directory: Path, config: dict[str, Any], manifest: dict[str, Any]) -> Iterator[_Fault]:
    """Name the setting in which config.yaml is not what the journal was written with."""
    first = next(read_journal(directory), None)
    if first is None and not (directory / SUMMARY).exists():
        raise DataError(f"{directory}: the run was cut off before anything of it was written down")
    if first is None or not isinstance(first.entries[0], Header):
        raise DataError(f"{directory}: the journal has no first line")
    version = first.entries[0].version
    if version != VERSION:
        reason = f"this pmrun verifies version {VERSION}; use the pmrun that made the run"
        raise DataError(f"{directory}: a journal of version {version}; {reason}")
    found = first_difference(first.entries[0].config, plain_values(config))
    if found:
        key, recorded, now = found
        yield _Fault("setting", f"{key} was {recorded}, is {now}")
    elif manifest.get("config_hash") != config_hash(config):
        yield _Fault("setting", "config.yaml and manifest.json disagree (config_hash)")


def plain_values(config: dict[str, Any]) -> Any:
    """Return a configuration as JSON has it."""
    import json

    return json.loads(json.dumps(config, default=str))


class _Different(Exception):
    """Where a replay first differs."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(where, what)
        self.fault = _Fault(where, what)


def _compare(directory: Path, config: dict[str, Any], manifest: dict[str, Any]) -> tuple[Verified, _Fault | None]:
    plan = make_plan(config)
    run = _Replay(plan.desk(ORDER_NAME), _book_source(plan, manifest))
    fault = None
    try:
        for line in read_journal(directory):
            run.step(line)
    except _Different as different:
        fault = different.fault
    cut = None if run.ended or fault is not None else run.current
    return Verified(run.facts, run.intents, journal_hash(directory), cut), fault


class _Replay:
    """A desk that is fed a journal's facts and asked for the same intents."""

    def __init__(self, desk: Desk, books: BookSource) -> None:
        self._desk = desk
        self._books = books
        self.facts = self.intents = 0
        self.current = "the start"
        self.ended = False

    def step(self, line: Line) -> None:
        """Take one line; raises _Different."""
        first, *recorded = line.entries
        if not line.chained:
            found = plain(line.raw)[0]
            what = f"line {line.number} ({found.get('k')}) is not what was written: {_short(found)}"
            raise _Different("journal", f"{what}, after {self.current}")
        if isinstance(first, Header):
            return
        if isinstance(first, End):
            self.ended = True
            if (first.facts, first.intents) != (self.facts, self.intents):
                counted = f"{self.facts} facts and {self.intents} intents"
                raise _Different("journal", f"says {first.facts} facts and {first.intents} intents, has {counted}")
            return
        fact = as_fact(first, self._find)
        self.facts += len(each(fact))
        self.current = f"fact {self.facts} ({_name(fact)} at {_time(fact.at)})"
        wanted = self._desk.handle(fact)
        self.intents += len(recorded)
        if encode_step(fact, wanted) != line.raw:
            self._explain(encode_intents(recorded), encode_intents(wanted))

    def _find(self, entry: BookAt) -> Book:
        book = self._books(entry)
        for field, recorded, replayed in (("bid", entry.bid, book.best_bid), ("ask", entry.ask, book.best_ask)):
            if recorded != replayed:
                where = f"fact {self.facts + 1} (book of market {entry.market} at {_time(entry.at)})"
                raise _Different(where, f"{field}: recorded {recorded}, the tape has {replayed}")
        return book

    def _explain(self, recorded: list[bytes], wanted: list[bytes]) -> None:
        for index in range(max(len(recorded), len(wanted))):
            left = plain(recorded[index]) if index < len(recorded) else None
            right = plain(wanted[index]) if index < len(wanted) else None
            if left is None or right is None:
                what = f"recorded {_short(left)}, replayed {_short(right)}"
                raise _Different(self.current, f"intent {index + 1}: {what}")
            found = first_difference(left, right)
            if found is not None:
                field, old, new = found
                raise _Different(self.current, f"{left.get('k')}.{field}: recorded {old}, replayed {new}")
        raise _Different(self.current, "the fact reads the same, but is written differently")


def _name(fact: Fact) -> str:
    facts = each(fact)
    return type(facts[0]).__name__ if len(facts) == 1 else f"{len(facts)} facts, the last a {type(facts[-1]).__name__}"


def _book_source(plan: Plan, manifest: dict[str, Any]) -> BookSource:
    """Open the feed again for the books that the journal refers to; raises VerificationFailed for other data."""
    opened: list[Any] = []

    def book(entry: BookAt) -> Book:
        if not opened:
            data = plan.feed.open()
            recorded = manifest.get("feed", {}).get("data_hash")
            if data.info.data_hash != recorded:
                raise VerificationFailed(
                    f"data: {data.info.source} has hash {data.info.data_hash}, recorded {recorded}"
                )
            opened.append(plan.executor.books_of(data, plan.depth(Hooks(plan.components))))
        return opened[0](entry.market, entry.upto)  # type: ignore[no-any-return]

    return book


def _short(value: dict[str, Any] | None) -> str:
    if value is None:
        return "nothing"
    return " ".join(f"{key}={item}" for key, item in value.items() if key not in ("at", "reason", "reasons", "facts"))


def _time(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1_000_000, UTC).isoformat(timespec="microseconds")
