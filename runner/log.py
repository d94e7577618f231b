"""What the run says, to the terminal and to one file a module (R16)."""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pmrun.runner.facts import Fact, Filled, Listed, Merged, OrderNews, StatusChanged, TickChanged
from pmrun.runner.halts_said import WAITING, reason_said
from pmrun.runner.intents import Cancel, Drop, Halt, Intent, Number, Observed, Place, Refuse, Select
from pmrun.runner.orders import News
from pmrun.runner.timings import Measured
from pmrun.runner.units import Size, format_price, format_size
from pmrun.runner.unsent import never_sent

if TYPE_CHECKING:
    from loguru import Record

CONSOLE_FORMAT = "{time:HH:mm:ss} <level>{level: <7}</level> {extra[module]: <7} {message}"
FILE_FORMAT = "{time:YYYY-MM-DD HH:mm:ss.SSS} {level: <7} {message}"
_FEW = 3  # verdicts of one scan that are said one by one
MODULES = ("main", "orders", "markets", "exchange", "risk", "strategy")


class Level(StrEnum):
    """How much to say."""

    TRACE = "TRACE"
    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    OFF = "OFF"

    @classmethod
    def _missing_(cls, value: object) -> "Level | None":
        """Take small letters, and YAML's idea that OFF is the word for false."""
        text = "OFF" if value is False else str(value).upper()
        return cls.__members__.get(text)


@dataclass(frozen=True, slots=True, eq=False)
class Log:
    """Levels of the console and of the files under `logs/`, one a module (see MODULES).

    On a virtual clock single orders and fills are DEBUG: hours pass in a second, and the journal has them all.
    """

    console: Level = Level.INFO
    file: Level = Level.WARNING

    def start(self, directory: Path) -> None:
        """Send what is said to the terminal and below the run directory."""
        from loguru import logger

        logger.remove()
        logger.configure(extra={"module": "main"})
        if self.console is not Level.OFF:
            colour = sys.stderr.isatty()
            logger.add(_to_terminal, level=str(self.console), format=CONSOLE_FORMAT, colorize=colour, diagnose=False)
        if self.file is not Level.OFF:
            for module in MODULES:
                logger.add(
                    directory / "logs" / f"{module}.log",
                    level=str(self.file),
                    format=FILE_FORMAT,
                    filter=_only(module),
                    delay=False,
                    diagnose=False,
                    catch=False,  # a full disk ends the run with one line, not with loguru's traceback
                )

    def stop(self) -> None:
        """Close the files."""
        from loguru import logger

        logger.complete()
        logger.remove()

    def quieter(self, level: Level) -> Level:
        """Return the console's level, or a higher one."""
        return max(self.console, level, key=list(Level).index)

    def wants(self, level: Level) -> bool:
        """Whether anything of a level would be seen."""
        order = list(Level)
        return order.index(min(self.console, self.file, key=order.index)) <= order.index(level)


def _to_terminal(text: Any) -> None:
    sys.stderr.write(str(text))  # looked up each time: a progress bar may have taken its place


def _only(module: str) -> Any:
    def belongs(record: "Record") -> bool:
        return record["extra"].get("module") == module

    return belongs


class LogObserver:
    """Says what a trader wants to read."""

    def __init__(self, log: Log) -> None:
        """Find out once what is worth saying."""
        from loguru import logger

        self._say = {module: logger.bind(module=module) for module in MODULES}
        self._orders = log.wants(Level.DEBUG)
        self._slugs: dict[int, str] = {}
        self._unsent: set[str] = set()  # those that were said to hold orders back
        self._verdicts: dict[int, str] = {}  # what was said of a market last: a rescan often says the same

    def record(self, fact: Fact, intents: Sequence[Intent]) -> None:
        """Say what matters of one step."""
        if type(fact) is not OrderNews or fact.news is News.REJECTED:
            self._fact(fact)
        verdicts = [intent for intent in intents if type(intent) in (Drop, Select) and self._is_news(intent)]
        if verdicts:
            self._scanned(verdicts)
        for intent in intents:
            self._intent(intent)

    def _fact(self, fact: Fact) -> None:
        match fact:
            case Listed():
                self._slugs[fact.market] = fact.terms.slug
            case Filled() if self._orders:
                self._say["orders"].debug(
                    "order {order} filled {size} at {price}",
                    order=fact.order,
                    size=format_size(fact.size),
                    price=format_price(fact.price),
                )
            case Merged() if self._orders and fact.size:
                self._say["orders"].debug(
                    "{market}: {size} pairs merged",
                    market=self._slugs.get(fact.market, fact.market),
                    size=format_size(fact.size),
                )
            case OrderNews() if never_sent(fact.reason):
                self._never_sent(fact)
            case OrderNews():
                self._say["exchange"].warning("order {order} rejected: {reason}", order=fact.order, reason=fact.reason)
            case TickChanged():
                self._say["markets"].info(
                    "{market}: tick is {tick}{how}",
                    market=self._slugs.get(fact.market, fact.market),
                    tick=format_price(fact.tick),
                    how=" (inferred)" if fact.inferred else "",
                )
            case StatusChanged():
                self._say["markets"].info(
                    "{market}: {status}", market=self._slugs.get(fact.market, fact.market), status=str(fact.status)
                )
            case _:
                pass

    def _never_sent(self, fact: OrderNews) -> None:
        """Say once of each reason that it keeps orders from leaving; the summary has how many."""
        if fact.reason not in self._unsent:
            self._unsent.add(fact.reason)
            said = "orders are never sent, the first is order {order}: {reason}; the summary counts them"
            self._say["orders"].warning(said, order=fact.order, reason=fact.reason)
        else:
            self._say["orders"].debug("order {order} never sent: {reason}", order=fact.order, reason=fact.reason)

    def _intent(self, intent: Intent) -> None:
        match intent:
            case Place() if self._orders:
                self._say["orders"].debug(
                    "placed {order}: {side} {outcome} {size} at {price} ({why})",
                    order=intent.order,
                    side=str(intent.side),
                    outcome=str(intent.outcome),
                    size=format_size(intent.size),
                    price=format_price(intent.price),
                    why=intent.reason.code,
                )
            case Cancel() if self._orders:
                self._say["orders"].debug("cancel {order} ({why})", order=intent.order, why=intent.reason.code)
            case Refuse() if intent.reasons[0].code == "hedge_alarm":
                self._say["risk"].error(
                    "{market} {outcome}: {size} shares cannot be sold, the exchange rejected {failed} orders in a row",
                    market=self._slugs.get(intent.market, intent.market),
                    outcome=str(intent.outcome),
                    size=format_size(intent.size or Size(0)),
                    failed=intent.reasons[0].numbers.get("failed", "several"),
                )
            case Refuse() if self._orders:
                self._say["risk"].debug(
                    "{market} {outcome}: refused ({why})",
                    market=self._slugs.get(intent.market, intent.market),
                    outcome=str(intent.outcome),
                    why=", ".join(reason.code for reason in intent.reasons),
                )
            case Halt():
                why = intent.reason.code
                if why in WAITING:
                    self._say["risk"].info("no quotes yet: {why}", why=why)
                else:
                    where = "" if intent.market is None else f" in {self._slugs.get(intent.market, intent.market)}"
                    said = reason_said(why, f"{intent.reason.by}{where}", intent.reason.numbers)
                    self._say["risk"].error("halted: {said}", said=said)
            case Observed():
                self._say["main"].warning(
                    "should not have been: {why} {numbers}", why=intent.reason.code, numbers=intent.reason.numbers
                )
            case _:
                pass

    def _scanned(self, verdicts: Sequence[Intent]) -> None:
        """Say what a scan changed: few markets one by one, many by how many each filter dropped."""
        say = self._say["strategy"].info
        if len(verdicts) > _FEW:
            counted = Counter(_verdict(intent) for intent in verdicts)
            say("scan: {counts}", counts=", ".join(f"{count} {verdict}" for verdict, count in counted.most_common()))
            say = self._say["strategy"].debug
        for intent in verdicts:
            assert isinstance(intent, Drop | Select)
            reason, market = intent.reason, self._slugs.get(intent.market, intent.market)
            why = f": {reason.code}{_judged(reason.numbers)}" if type(intent) is Drop else ""
            say("{market} {verdict}{why}", market=market, verdict=_verdict(intent), why=why)

    def _is_news(self, intent: Intent) -> bool:
        """Whether a scan says of a market what the last one did not; the store has every verdict."""
        assert isinstance(intent, Drop | Select)
        said = f"{intent.reason.by}: {intent.reason.code}"
        before, self._verdicts[intent.market] = self._verdicts.get(intent.market), said
        return said != before

    def close(self) -> None:
        """Nothing to finish."""


def _verdict(intent: Intent) -> str:
    return f"dropped by {intent.reason.by}" if isinstance(intent, Drop) else "selected"


def _judged(numbers: Mapping[str, Number]) -> str:
    """Write what was judged, and its limit."""
    found = [f"{name} {numbers[name]}" for name in ("value", "limit") if name in numbers]
    return f" ({', '.join(found)})" if found else ""


def say_substitutions(substitutions: Iterable[object], real: bool) -> None:
    """Say what stands in for what the exchange lacks (V5): a WARNING each where real orders leave, else at INFO."""
    from loguru import logger

    for each in substitutions:
        logger.bind(module="main").log("WARNING" if real else "INFO", "{said}", said=str(each))


def say_timings(measured: Iterable[Measured]) -> None:
    """Say how long the key operations took (R16), each a line at INFO."""
    from loguru import logger

    for each in measured:
        logger.bind(module="main").info(
            "[performance] {name}: {times:,} in {total:.2f} s, p50 {p50:.3f} ms, p99 {p99:.3f} ms, most {most:.1f} ms",
            name=each.name,
            times=each.times,
            total=each.total_ms / 1_000,
            p50=each.p50_ms,
            p99=each.p99_ms,
            most=each.max_ms,
        )


def say_unexplained(complaints: Iterable[str]) -> None:
    """Say what the parts of the PnL do not explain (P8), each a line at ERROR."""
    from loguru import logger

    for complaint in complaints:
        logger.bind(module="main").error("the PnL does not close: {complaint}", complaint=complaint)
