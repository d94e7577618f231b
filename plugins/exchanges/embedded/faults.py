"""Everything that goes wrong on the simulated exchange, by script and seed; nothing does without a script."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from pmrun.plugins.exchanges.embedded import (
    fault_answers,
    fault_calls,
    fault_custody,
    fault_drift,
    fault_frames,
    fault_markets,
)
from pmrun.plugins.exchanges.embedded.fault_acts import Act, Acting, check_markets
from pmrun.plugins.exchanges.embedded.fault_markets import Board, MarketActing, Markets
from pmrun.plugins.exchanges.embedded.fault_script import load_script
from pmrun.plugins.exchanges.embedded.fault_terms import Fault, Name
from pmrun.plugins.exchanges.embedded.fault_timing import Behaviour, Leaving, Trigger, Visit
from pmrun.plugins.exchanges.embedded.terms import Reply, Request
from pmrun.runner.errors import ConfigError
from pmrun.runner.units import Micros

KEEPALIVE = "PONG"  # a frozen socket answers PING all the same (reference 5.4)

_SIMPLE: dict[Name, type[Behaviour]] = {
    Name.FREEZE: fault_frames.Freeze,
    Name.GAP: fault_frames.Gap,
    Name.DUPLICATE: fault_frames.Duplicate,
    Name.REORDER: fault_frames.Reorder,
    Name.DELAY: fault_frames.Delay,
    Name.DISCONNECT: fault_frames.Disconnected,
    Name.SERVER_ERROR: fault_calls.ServerError,
    Name.RESTARTING: fault_calls.Restarting,
    Name.RATE_LIMITED: fault_calls.RateLimited,
    Name.CANCEL_ONLY: fault_calls.Mode,
    Name.POST_ONLY: fault_calls.PostOnly,
    Name.DISABLED: fault_calls.Disabled,
    Name.LOST_AFTER_ACCEPT: fault_calls.LostAfterAccept,
    Name.LOST_BEFORE: fault_calls.LostBefore,
    Name.PARTIAL_BATCH: fault_calls.PartialBatch,
    Name.GHOST_FILL: fault_markets.Unsettled,
    Name.RETRYING_TRADE: fault_markets.Unsettled,
    Name.STALE_SNAPSHOT: fault_answers.StaleSnapshot,
    Name.INCOMPLETE_PAGE: fault_answers.IncompletePage,
    Name.NEW_FIELD: fault_drift.NewField,
    Name.NEW_ENUM: fault_drift.NewEnum,
    Name.HEARTBEAT_LOSS: fault_calls.HeartbeatLoss,
    Name.CLOCK_SKEW: fault_calls.ClockSkew,
    Name.TOKEN_EXPIRED: fault_custody.TokensExpired,
    Name.LATE_FILL: fault_custody.LateFill,
    Name.REJECTED_LATER: fault_custody.RejectedLater,
    Name.ADMIN_CANCEL: fault_custody.AdminCancel,
}
_OF_MARKETS: dict[Name, type[MarketActing]] = {
    Name.TICK_CHANGE: fault_markets.TickChange,
    Name.RESOLVED: fault_markets.ResolvedEarly,
    Name.HALTED: fault_markets.Halted,
}


class Faults:
    """The faults of one session; `fired` counts by name how often each had its effect.

    A window counts once, however many frames or calls it changed; a fault that found nothing to change is not counted.
    Time starts with the first `advance`; the same script, seed and calls give the same faults.
    """

    def __init__(self, script: Sequence[Fault] = (), seed: int = 0) -> None:
        """Take a script that was read by `read_script` or `load_script`."""
        self.script = tuple(script)
        self.fired: Counter[str] = Counter()
        self._board = Board()
        self._working = [self._behaviour(fault, seed, number) for number, fault in enumerate(self.script, start=1)]
        self._acting = [working for working in self._working if isinstance(working, Acting)]
        self._before = _with_own("before", self._working)
        self._legs = _with_own("legs", self._working)
        self._after = _with_own("after", self._working)
        self._frames = _with_own("frames", self._working)
        self._watch = _with_own("watch", self._working)
        self._shift = _with_own("shift", self._working)
        self._late = _with_own("late", self._working)
        self._rejects = _with_own("rejects", self._working)
        self._started = False
        self._visit = Visit()
        self._last_leaving: dict[str, Micros] = {}  # by channel: frames that are not loose keep their order

    @classmethod
    def load(cls, path_or_name: str | Path, seed: int = 0) -> "Faults":
        """Read a YAML file, or a script that comes with the exchange by its name; ConfigError if it cannot be."""
        return cls(load_script(path_or_name), seed)

    @property
    def silent(self) -> tuple[str, ...]:
        """The faults of the script that have not had any effect."""
        return tuple(dict.fromkeys(fault.name.value for fault in self.script if not self.fired[fault.name]))

    def bind(self, engine: Markets) -> None:
        """Choose markets among these; ConfigError for a fault aimed at one that is not there."""
        check_markets(self.script, len(engine.markets))
        self._board.bind(engine)

    def next_due(self, at: Micros) -> Micros | None:
        """Return when `advance` next has something to do."""
        if not self._started:
            return at if self.script else None
        return min((working.due for working in self._acting if working.due is not None), default=None)

    def advance(self, at: Micros) -> list[Act]:
        """Return what is to be carried out by now, in order of time; the first call starts the clock of the script."""
        if not self._started:
            self._started = True
            for working in self._working:
                working.begin(at)
        acts: list[Act] = []
        while (first := self._first_due()) is not None and (moment := first.due) is not None and moment <= at:
            acts += first.hand_out(moment)
        return acts

    def before(self, call: Request, at: Micros) -> Reply | None:
        """Return what is answered instead of asking the exchange."""
        visit = self._visit = Visit()
        for working in self._before:
            reply = working.before(call, at, visit)
            if reply is not None:
                visit.spoken = True
                return reply
            if visit.instead is not None or visit.lose:
                return None
        return None

    def legs(self, count: int, at: Micros) -> list[str | None]:
        """Return a sentence for each leg of a batch that is to fail without reaching the engine."""
        marked = self._visit.legs
        found: list[str | None] = list(marked) if len(marked) == count else [None] * count
        for working in self._legs:
            found = [one or other for one, other in zip(found, working.legs(count, at), strict=True)]
        return found

    def after(self, call: Request, reply: Reply, at: Micros) -> Reply:
        """Return what is answered in the end; an answer that `before` gave is left alone."""
        visit, self._visit = self._visit, Visit()
        if visit.spoken:
            return reply
        for watcher in self._watch:
            watcher.watch(reply.body.decode("utf-8", "replace"))
        if visit.instead is not None:
            return replace(visit.instead, delay=reply.delay)
        for working in self._after:
            if not reply.lost and fault_calls.reaches(working.where, call):
                reply = working.after(call, reply, at)
        return replace(reply, lost=True) if visit.lose else reply

    def opened(self, channel: str, at: Micros) -> None:
        """Hear of a new socket with a name of its own, such as "market#7": a freeze that is on does not touch it."""
        for working in self._working:
            working.opened(channel, at)

    def frames(self, channel: str, frame: str, at: Micros) -> list[tuple[Micros, str]]:
        """Return what leaves instead of a frame, each with an extra delay; `channel` may name a socket: "market#7"."""
        if (not self._frames and not self._watch) or frame == KEEPALIVE:
            return [(Micros(0), frame)]
        for watcher in self._watch:
            watcher.watch(frame)
        leaving: Sequence[Leaving] = [Leaving(frame)]
        for working in self._frames:
            if leaving and self._aims_at_frame(working, channel, frame):
                leaving = working.frames(channel, leaving, at)
        return [(self._extra(channel, found, at), found.text) for found in leaving]

    def clock(self, at: Micros) -> Micros:
        """Return what the exchange's own clock shows."""
        return Micros(at + sum(working.shift(at) for working in self._shift))

    def late(self, at: Micros) -> int:
        """Return how much later than usual the fill that was just matched is told."""
        return sum(working.late(at) for working in self._late)

    def rejects(self, at: Micros) -> bool:
        """Tell whether the order whose turn it is fails its last validation."""
        return any(working.rejects(at) for working in self._rejects)

    def require(self, foreign: frozenset[Name], protocol: str) -> None:
        """Raise ConfigError for a fault that a protocol has no use for."""
        for number, fault in enumerate(self.script, start=1):
            if fault.name in foreign:
                allowed = ", ".join(name for name in Name if name not in foreign)
                raise ConfigError(f"fault {number}", fault.name, f"{protocol} has one of {allowed}")

    def _behaviour(self, fault: Fault, seed: int, number: int) -> Behaviour:
        trigger = Trigger(fault, seed, number, self.fired)
        if fault.name in _OF_MARKETS:
            return _OF_MARKETS[fault.name](fault, trigger, self._board)
        return _SIMPLE[fault.name](fault, trigger)

    def _first_due(self) -> Acting | None:
        waiting = [(working.due, place) for place, working in enumerate(self._acting) if working.due is not None]
        return self._acting[min(waiting)[1]] if waiting else None

    def _aims_at_frame(self, working: Behaviour, channel: str, frame: str) -> bool:
        where = working.where
        if where.calls_only or where.channel not in (None, fault_frames.kind_of(channel)):
            return False
        if where.market is not None and not self._board.mentions(where.market, frame):
            return False
        return where.event is None or fault_drift.speaks_of(where.event, frame)

    def _extra(self, channel: str, leaving: Leaving, at: Micros) -> Micros:
        earliest = Micros(max(at + leaving.extra, self._last_leaving.get(channel, at)))
        if not leaving.loose:
            self._last_leaving[channel] = earliest
        return Micros(earliest - at)


def _with_own(hook: str, working: Sequence[Behaviour]) -> list[Behaviour]:
    """Return those that do something in a hook: frames are many, and most faults have nothing to do with them."""
    return [one for one in working if getattr(type(one), hook) is not getattr(Behaviour, hook)]
