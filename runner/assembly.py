"""Builds a run from its composed configuration: the only place that knows the shape of one.

Every mistake is found here, before anything starts, and named with its full key, its value and what is allowed (C4).
"""

import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from pmrun.runner.bracket import check_bracket
from pmrun.runner.capabilities import RUNNER, RUNNER_NEEDS, Capability, Substitution, needs_of, settle
from pmrun.runner.compiled import check_compiled
from pmrun.runner.desk import Desk, DeskSettings, Pace
from pmrun.runner.errors import ConfigError
from pmrun.runner.hooks import GROUP, SINGLE, WHOLE_BOOK, Depth, Hooks
from pmrun.runner.memory import NOTHING, Remembered
from pmrun.runner.options import options
from pmrun.runner.packs import component_class
from pmrun.runner.ports import Executor, Feed, Report
from pmrun.runner.units import Cash, Micros, Size
from pmrun.runner.universe import Rescan
from pmrun.runner.values import convert, settings_of, shown

TARGET = "_target_"
# What the desk asks, in the order in which it is asked where YAML does not say.
DESK_NODES = ("pricing", "sizing", "ranking", "hedging", "requote", "refill")
DESK_GROUPS = ("filters", "adjust", "risk")
SHELL_NODES = ("feed", "fill", "executor", "rewards", "store", "report", "log", "memory", "rules")
PLAIN = {
    "strategy": str,
    "exchange": str,
    "thesis": str,
    "seed": int,
    "desk": dict,
    "universe": dict,
    "rescan": dict,
    "live": dict,
    "timings": bool,
    "bracket": bool,
}
REQUIRED = {"pricing": "price", "sizing": "size_order", "ranking": "rank_market", "hedging": "hedge"}
OFFERS = {
    "feed": ("open",),
    "executor": ("open", "books_of"),
    "rewards": ("open",),
    "store": ("open",),
    "report": ("write",),
    "log": ("start", "stop", "wants"),
    "memory": ("open", "unkept"),
    "rules": ("market",),
}
OPTIONAL = {"ranking", "hedging", "requote", "refill", "rewards", "store", "report", "memory", "rules", *DESK_GROUPS}


@dataclass(frozen=True, slots=True)
class DeskConfig:
    """The settings of the desk itself, as written (seconds)."""

    orderbook_update_interval_seconds: Micros = Micros(500_000)
    order_check_interval_seconds: Micros = Micros(500_000)
    decide_offset: Micros = Micros(0)
    gated: bool = True
    sell_holdings: bool = True
    merge_from: Size = Size(0)
    remember: Micros = Micros(3_600_000_000)
    retry_after: Micros = Micros(1_000_000)
    retry_limit: int = 3
    retry_pause: Micros = Micros(60_000_000)
    clean_start: bool = True
    leave_hedges: bool = False
    stop_only: bool = False
    keep_when_halted: bool = False

    def __post_init__(self) -> None:
        """Refuse times below nothing."""
        for name in ("orderbook_update_interval_seconds", "decide_offset", "remember", "retry_after", "retry_pause"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 seconds or more")
        if self.merge_from < 0:
            raise ValueError("merge_from must be 0 (never) shares or more")
        if self.retry_limit < 0:
            raise ValueError("retry_limit must be 0 or more")
        if self.order_check_interval_seconds <= 0:
            raise ValueError("order_check_interval_seconds must be above 0 seconds")


@dataclass(frozen=True, slots=True)
class RescanConfig:
    """When markets are selected anew, as written (seconds; 0: never)."""

    update_interval_seconds: Micros = Micros(1_200_000_000)
    keep: bool = False

    def __post_init__(self) -> None:
        """Refuse a time below nothing, and rescans without an end."""
        if self.update_interval_seconds < 0 or 0 < self.update_interval_seconds < 1_000_000:
            raise ValueError("update_interval_seconds must be 0 (never) or at least 1 second")


@dataclass(frozen=True, slots=True)
class UniverseConfig:
    """Which of the markets that pass the filters are traded."""

    max_markets: int = 10

    def __post_init__(self) -> None:
        """Refuse fewer markets than none."""
        if self.max_markets < 0:
            raise ValueError("max_markets must be 0 (no limit) or more")


@dataclass(frozen=True, slots=True)
class LiveConfig:
    """What arms live trading, and what no order passes then (dollars); the executor reads it."""

    armed: bool = False
    max_order_usd: Cash | None = None
    max_resting_usd: Cash | None = None


class Plan(NamedTuple):
    """A configuration that can become a run: every component is built."""

    config: dict[str, Any]
    components: dict[str, object]
    settings: DeskSettings
    feed: Feed
    fill: Any
    executor: Executor
    rewards: Any
    store: Any
    report: Report | None
    log: Any
    memory: Any
    seed: int
    timings: bool
    bracket: bool
    rules: Any = None
    substitutions: tuple[Substitution, ...] = ()  # what stands in for what the exchange lacks (V5)

    def depth(self, hooks: Hooks) -> Depth:
        """Return how much of the books the desk is told: what its components look at, and the rewards' estimate."""
        return hooks.depth if self.rewards is None else hooks.depth.also(getattr(self.rewards, "depth", WHOLE_BOOK))

    def remembered(self, run: str) -> AbstractContextManager[Remembered]:
        """Open what components remember of earlier runs; nothing where the executor sees to it, or nobody does."""
        if self.memory is None or getattr(self.executor, "remembers", False):
            return nullcontext(NOTHING)
        return cast(AbstractContextManager[Remembered], self.memory.open(run))

    def desk(self, name: str) -> Desk:
        """Build a desk with fresh components: what they remember belongs to one desk."""
        components = build_components(self.config)
        return Desk(Hooks(components), self.settings, name)


def plan(config: Mapping[str, Any]) -> Plan:
    """Build every component of a configuration; raises ConfigError at the first mistake."""
    check_compiled()
    _check_top(config)
    components = build_components(config)
    _check_roles(components, config)
    built = {name: _build(config.get(name), name) for name in SHELL_NODES}
    _check_reads(built)
    for name, needed in OFFERS.items():
        _check_offers(built[name], needed, config, name)
    desk = _plain_settings(DeskConfig, config.get("desk", {}), "desk")
    universe = _plain_settings(UniverseConfig, config.get("universe", {}), "universe")
    rescan = _plain_settings(RescanConfig, config.get("rescan", {}), "rescan")
    _plain_settings(LiveConfig, config.get("live", {}), "live")
    substitutions = _substitutions(built, components, desk)
    merges = not any(each.capability is Capability.MERGE for each in substitutions)
    made = Plan(
        config=dict(config),
        components=components,
        settings=DeskSettings(
            pace=Pace(every=desk.orderbook_update_interval_seconds, offset=desk.decide_offset),
            max_markets=universe.max_markets,
            gated=desk.gated,
            sell_holdings=desk.sell_holdings,
            merge_from=desk.merge_from if merges else Size(0),
            remember=desk.remember,
            retry_after=desk.retry_after,
            retry_limit=desk.retry_limit,
            retry_pause=desk.retry_pause,
            recheck_after=desk.order_check_interval_seconds,
            rescan=Rescan(every=rescan.update_interval_seconds, keep=rescan.keep),
            clean_start=desk.clean_start,
            leave_hedges=desk.leave_hedges,
            stop_only=desk.stop_only,
            keep_when_halted=desk.keep_when_halted,
            book_holds_us=getattr(built["executor"], "book_holds_us", False),
        ),
        feed=cast(Feed, _under_rules(built["feed"], built["rules"])),
        fill=built["fill"],
        executor=cast(Executor, built["executor"]),
        rewards=built["rewards"],
        store=built["store"],
        report=cast("Report | None", built["report"]),
        log=built["log"],
        memory=built["memory"],
        seed=config.get("seed", 0),
        timings=config.get("timings", True),
        bracket=config.get("bracket", False),
        rules=built["rules"],
        substitutions=substitutions,
    )
    if made.bracket:
        check_bracket(made.fill)
        if hasattr(made.feed, "connect"):
            raise ConfigError("bracket", True, "needs a feed that can be run again: a tape or simulated markets")
    if made.settings.stop_only and not getattr(made.executor, "armed", True):
        raise ConfigError("live.armed", False, "stopping cancels real orders: leave it out, pmrun stop arms itself")
    if hasattr(made.executor, "armed") and not hasattr(made.feed, "connect"):
        raise ConfigError("exchange", "live", "needs a live feed, and this one is recorded or simulated: drop feed=…")
    Hooks(components)  # a hook of a wrong shape is a mistake in the configuration too
    for name in SHELL_NODES:
        check = getattr(built[name], "check", None)
        if check is not None:
            _check_world(name, check)
    return made


def _substitutions(
    built: Mapping[str, Any], components: Mapping[str, object], desk: DeskConfig
) -> tuple[Substitution, ...]:
    """Hold what the run needs against what its exchange can do (V5); ConfigError for what nothing stands in for."""
    rules = built["rules"]
    if rules is None:
        return ()
    table = rules.capabilities.without(getattr(built["executor"], "lacks", {}))
    for name in ("feed", "executor"):
        theirs = getattr(built[name], "capabilities", None)
        if theirs is not None and theirs.exchange != table.exchange:
            raise ConfigError(name, theirs.exchange, f"is not of the exchange whose rules are chosen: {table.exchange}")
    needs = needs_of(components) | {RUNNER: RUNNER_NEEDS if hasattr(built["executor"], "armed") else RUNNER_NEEDS[:1]}
    if desk.merge_from:
        needs["desk.merge_from"] = (Capability.MERGE,)
    return settle(table, needs)


class _Ruled:
    """A recorded or simulated feed under an exchange's rules."""

    def __init__(self, feed: Any, rules: Any) -> None:
        self._feed = feed
        self._rules = rules

    def __getattr__(self, name: str) -> Any:
        return getattr(self._feed, name)

    def open(self) -> Any:
        """Read the feed, and put its markets under the rules."""
        return self._rules.data(self._feed.open())


def _under_rules(feed: Any, rules: Any) -> Any:
    """Return a feed as it is under the rules; a live one is under its own."""
    if hasattr(feed, "connect") or not hasattr(rules, "data"):
        return feed
    return _Ruled(feed, rules)


def report_of(config: Mapping[str, Any]) -> Report | None:
    """Build the report of a configuration and nothing else: a run of an older version still gets one."""
    built = _build(config.get("report"), "report")
    _check_offers(built, OFFERS["report"], config, "report")
    return cast("Report | None", built)


def _check_world(name: str, check: Callable[[], None]) -> None:
    """Have a component look whether what it names is there; it may not know under which node it stands."""
    try:
        check()
    except ConfigError as error:
        if error.key.partition(".")[0] == name:
            raise
        raise ConfigError(f"{name}.{error.key}", error.value, error.reason) from None


def _check_top(config: Mapping[str, Any]) -> None:
    known = [*DESK_NODES, *DESK_GROUPS, *SHELL_NODES, *PLAIN]
    for key, value in config.items():
        if key not in known:
            raise ConfigError(key, _brief(value), f"unknown setting; known: {', '.join(sorted(known))}")
    for key, kind in PLAIN.items():
        if key in config:
            convert(kind, config[key], key)
    if config.get("seed", 0) < 0:
        raise ConfigError("seed", config["seed"], "must be 0 or more")
    for key in ("strategy", "exchange"):
        if config.get(key) is None:
            raise ConfigError(key, None, _choose(key))


def _choose(key: str) -> str:
    known = options().get(key, [])
    return f"missing; choose one with {key}=…" + (f": {', '.join(known)}" if known else "")


def _hooks_of(component: object) -> dict[str, bool]:
    """Return the hooks a component answers, and whether it only wraps another's answer."""
    found = {}
    for name in dir(type(component)):
        marks = getattr(getattr(type(component), name, None), f"{GROUP}_impl", None)
        if marks is not None:
            found[marks.get("specname") or name] = bool(marks.get("wrapper") or marks.get("hookwrapper"))
    return found


def _check_roles(components: Mapping[str, object], config: Mapping[str, Any]) -> None:
    """Refuse a component that answers nothing, and a second one in a role that one has."""
    holders: dict[str, str] = {}
    for key, component in components.items():
        hooks = _hooks_of(component)
        target = _target_of(config, key)
        if not hooks:
            raise ConfigError(f"{key}.{TARGET}", target, "nothing that the desk asks: it answers no hook")
        for hook in SINGLE:
            if hooks.get(hook) is False and holders.setdefault(hook, key) != key:
                raise ConfigError(
                    f"{key}.{TARGET}", target, f"answers {hook}, and so does {holders[hook]}; there can be one"
                )
    for key, hook in REQUIRED.items():
        if key in components and holders.get(hook) != key:
            reason = f"cannot be the {key}: it does not answer {hook}"
            raise ConfigError(f"{key}.{TARGET}", _target_of(config, key), reason)


def _check_offers(built: object, needed: tuple[str, ...], config: Mapping[str, Any], key: str) -> None:
    lacking = [name for name in needed if built is not None and not callable(getattr(built, name, None))]
    if lacking:
        reason = f"cannot be the {key}: it has no {', '.join(lacking)}"
        raise ConfigError(f"{key}.{TARGET}", _target_of(config, key), reason)


def _target_of(config: Mapping[str, Any], key: str) -> Any:
    node: Any = config
    for part in key.split("."):
        node = node[part]
    return node[TARGET]


def _check_reads(built: Mapping[str, Any]) -> None:
    """Refuse a part without what it reads: a report is made from the store."""
    for name, part in built.items():
        for source in getattr(part, "reads", ()):
            if built[source] is None:
                raise ConfigError(
                    name, None, f"reads the {source}, and there is none; choose {source}=… or {name}=none"
                )


def build_components(config: Mapping[str, Any]) -> dict[str, object]:
    """Build the desk's components, named by their nodes."""
    components: dict[str, object] = {}
    for name in DESK_NODES:
        built = _build(config.get(name), name)
        if built is not None:
            components[name] = built
    for group in DESK_GROUPS:
        nodes = config.get(group) or {}
        if not isinstance(nodes, Mapping):
            raise ConfigError(group, shown(nodes), "must be a mapping of names to components")
        for name, node in nodes.items():
            if node is None:
                raise ConfigError(f"{group}.{name}", "null", f"use ~{group}.{name} to drop it")
            components[f"{group}.{name}"] = _build(node, f"{group}.{name}")
    return components


def _build(node: Any, key: str) -> Any:
    if node is None:
        if key in OPTIONAL:
            return None
        raise ConfigError(key, None, _choose(key))
    if not isinstance(node, Mapping) or TARGET not in node:
        raise ConfigError(key, _brief(node), f"not a component: it has no {TARGET}")
    target = node[TARGET]
    if not isinstance(target, str):
        raise ConfigError(f"{key}.{TARGET}", shown(target), "must name a class")
    component = component_class(target, key)
    given = {name: value for name, value in node.items() if name != TARGET}
    return _construct(component, given, key)


def _construct(component: Any, given: Mapping[str, Any], key: str) -> Any:
    settings = settings_of(component)
    for name, value in given.items():
        if name not in settings:
            known = ", ".join(sorted(settings)) or "none"
            if isinstance(value, Mapping) and TARGET in value:
                reason = f"a component inside a component; settings here: {known}"
                raise ConfigError(f"{key}.{name}", value[TARGET], reason)
            raise ConfigError(f"{key}.{name}", _brief(value), f"unknown setting; known: {known}")
    arguments = {}
    for name, setting in settings.items():
        if name in given:
            value = given[name]
            if value == "???":
                raise ConfigError(f"{key}.{name}", None, "missing value")
            arguments[name] = convert(setting.kind, value, f"{key}.{name}")
        elif setting.default is inspect.Parameter.empty:
            raise ConfigError(f"{key}.{name}", None, "missing value")
    try:
        return component(**arguments)
    except ConfigError:
        raise
    except (ValueError, TypeError) as error:
        raise ConfigError(*_blame(key, given, str(error))) from None


def _blame(key: str, given: Mapping[str, Any], message: str) -> tuple[str, Any, str]:
    """Point at the setting a constructor's message speaks of."""
    for name, value in given.items():
        if name in message.split(" must ")[0].split():
            return f"{key}.{name}", shown(value), message
    return key, None, message


def _plain_settings(kind: Any, given: Any, key: str) -> Any:
    if not isinstance(given, Mapping):
        raise ConfigError(key, shown(given), "must be a mapping")
    return _construct(kind, given, key)


def _brief(value: Any) -> Any:
    return "{…}" if isinstance(value, Mapping) else shown(value)
