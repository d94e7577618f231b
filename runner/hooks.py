"""The hooks the desk calls, and the typed façade through which it calls them.

A component is any object with one or more of these hooks. Judging hooks only read; a component that remembers learns
in `observe`, nowhere else. Name in a hook only the arguments you use.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, cast

import msgspec
import pluggy

from pmrun.runner.book import Book
from pmrun.runner.errors import ConfigError
from pmrun.runner.facts import FACTS, Carried, Fact
from pmrun.runner.intents import Intent, Number, Reason
from pmrun.runner.inventory import Inventory
from pmrun.runner.market import Market, MarketNo, Outcome
from pmrun.runner.orders import Order, Purpose
from pmrun.runner.units import Cash, HalfPrice, Micros, Notional, Side, Size
from pmrun.runner.wanted import Wanted as Wanted  # where components look for it

GROUP = "pmrun"
SINGLE = ("price", "size_order", "replace_at", "rank_market", "hedge")  # one component answers these
LIMITING = ("object_to_account", "observe_intent", "carry")  # who answers one of these fails for all markets
LEARNING = ("observe", "observe_intent", "object_to_account")  # where a component may remember something
BY_PRICES = frozenset({"market", "book", "quote"})  # arguments that stay the same while the prices do
FAILED = "failed"  # what is carried of a component that raised
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


class Quote(NamedTuple):
    """A rule's wish: a price that need not be on the grid, and where it comes from."""

    outcome: Outcome
    side: Side
    price: HalfPrice
    basis: str  # a code such as "band_edge": the reason an order carries, and what a check may ask


class NoQuote(NamedTuple):
    """A rule's reason for quoting nothing on one side."""

    outcome: Outcome
    side: Side
    code: str
    numbers: dict[str, Number]


Answer = Sequence[Quote | NoQuote]


class Objection(msgspec.Struct, frozen=True):
    """Why an order ought not to rest: a code that never changes, and the numbers behind it."""

    code: str
    numbers: dict[str, Number] = {}


class Rank(NamedTuple):
    """How much a market is worth quoting, in the ranking's own unit, and the numbers behind it (R1, R2)."""

    value: float
    numbers: dict[str, Number]


class Prospect(Protocol):
    """What quoting a market would come to; each part is worked out when somebody asks for it."""

    @property
    def size(self) -> Size | None:
        """What sizing gives an order, or None."""

    @property
    def quotes(self) -> Sequence[Wanted]:
        """What the pricing rule wants, on the grid and sized, before any check."""

    @property
    def refusals(self) -> Mapping[Side, tuple[Reason, ...]]:
        """Why each side of the YES book could not be quoted; an empty tuple says that it could."""

    @property
    def rank(self) -> Rank | None:
        """What the ranking makes of the market; None where none is configured."""


class Unhedged(NamedTuple):
    """Shares that no sell covers, and why: too few for an order, not settled, cooling down (R9, R10)."""

    outcome: Outcome
    size: Size
    code: str
    numbers: dict[str, Number]


class Sibling(NamedTuple):
    """A market of an event as the hedging of another one sees it."""

    no: MarketNo
    market: Market
    book: Book | None  # as YES sees it; None where nothing can be placed: no book, one side only, halted, in doubt
    inventory: Inventory
    orders: Sequence[Order]  # the hedges in play
    may_buy: bool  # it is selected, and no hedge was turned down there a moment ago


class Calibrated(NamedTuple):
    """One number that a component learned of a market: what it is called says its unit (P2)."""

    market: MarketNo
    name: str
    value: float


class AccountView(Protocol):
    """The account as a limit sees it; each part is worked out when somebody asks for it."""

    @property
    def cash(self) -> Cash:
        """All cash, what is locked included."""

    @property
    def locked(self) -> Cash:
        """The cash that bids in play and in flight keep from other uses."""

    @property
    def equity(self) -> Cash | None:
        """Cash and everything held at the mid; None while something is held whose book was never seen."""


class Look(StrEnum):
    """How much of a book a component looks at; the desk is not woken for the rest."""

    NOTHING = "nothing"
    PRICES = "prices"  # of the first `depth` levels
    LEVELS = "levels"  # prices and sizes of the first `depth` levels


class Depth(NamedTuple):
    """What a component depends on in the book: `levels` of each side (0: all of them).

    `prints` says that it learns from other people's trades: a tape's or a simulated feed's are told only then.
    """

    look: Look = Look.LEVELS
    levels: int = 0
    prints: bool = False

    def also(self, other: "Depth") -> "Depth":
        """Return what covers both."""
        prints = self.prints or other.prints
        if Look.NOTHING in (self.look, other.look):
            return (other if self.look is Look.NOTHING else self)._replace(prints=prints)
        levels = 0 if 0 in (self.levels, other.levels) else max(self.levels, other.levels)
        return Depth(Look.LEVELS if Look.LEVELS in (self.look, other.look) else Look.PRICES, levels, prints)


WHOLE_BOOK = Depth()
NO_BOOK = Depth(Look.NOTHING)


class PackHooks:
    """What a package of components and configurations may say of itself (C6)."""

    @hookspec
    def config_packs(self) -> list[str]:
        """Name the packages that hold this pack's YAML, such as `my_rules.conf`."""
        raise NotImplementedError

    @hookspec
    def environment_variables(self) -> list[str]:
        """Name how the environment variables begin that hold this pack's secrets, such as `MY_EXCHANGE_`."""
        raise NotImplementedError

    @hookspec
    def pmrun_verbs(self) -> list[tuple[str, str, str]]:
        """Name the verbs this pack adds to the command line: the verb, its line of help, and `module:function`.

        The module is imported when the verb is used, not before; the function takes the arguments after the verb and
        returns an exit code.
        """
        raise NotImplementedError


class ComponentHooks:
    """What the desk asks its components."""

    @hookspec
    def reject_market(self, market: Market, book: Book, prospect: Prospect, at: Micros) -> Objection | None:
        """Say why a market must not be traded (a filter), or return None.

        A filter that names `book` or `prospect` is asked once the book is known, the others when the market is listed.
        The numbers of an objection hold `value`, `limit` and `margin`: what is missing to pass (R1).
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def rank_market(self, market: Market, book: Book, prospect: Prospect, at: Micros) -> Rank | None:
        """Say how much a market is worth; of those that pass the filters the best are taken (a ranking, R2)."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    def price(self, market: Market, book: Book, inventory: Inventory, at: Micros) -> Answer | None:
        """Say where to quote: unrounded prices for any outcome and side (a pricing rule; adjustments wrap it)."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    def size_order(self, market: Market, quote: Quote) -> Size | None:
        """Return the size of an order in exact shares (sizing)."""
        raise NotImplementedError

    @hookspec
    def object_to_order(
        self,
        order: Wanted,
        market: Market,
        market_no: MarketNo,
        book: Book,
        inventory: Inventory,
        exposure: Notional,
        resting: bool,
        at: Micros,
        shares: Size,
        event_loss: Notional,
    ) -> Objection | None:
        """Say why an order must not rest (a check), or return None.

        `book` is the book as the order's outcome sees it; `exposure` is everything else in the market that is filled,
        in play or wanted; `resting` says that the order rests already, where a small hysteresis is in place (R6).
        `shares` are those of the order's token that are held, or that other bids in play or wanted would buy;
        `event_loss` is the most that all markets of the event can lose, with this order and all that is in play.
        """
        raise NotImplementedError

    @hookspec
    def object_to_account(self, account: AccountView, at: Micros) -> Objection | None:
        """Say why nothing may be quoted in any market (a limit of the account), or return None.

        Asked after every fact and after every answer of the desk, so a limit sees each state of the account, and may
        remember what it saw. While one objects every quote is pulled; hedges and flattening go on.
        """
        raise NotImplementedError

    @hookspec
    def needs_both_sides(self, market: Market, book: Book) -> bool:
        """Say whether a side may only be quoted when the checks let the other one pass too (R3)."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    def hedge(
        self,
        market: Market,
        market_no: MarketNo,
        book: Book,
        inventory: Inventory,
        orders: Sequence[Order],
        at: Micros,
        siblings: Sequence[Sibling],
    ) -> Sequence[Wanted | Unhedged] | None:
        """Say which orders ought to bring holdings back, all of them, and what stays uncovered (hedging, R9, R10).

        `book` is that of YES; `orders` are the hedges in play. `siblings` are the markets of a negative-risk event,
        itself included, in order of listing; who names it is asked in each of them while any holds something, and
        again when a book or a holding of one changes. Purposes are hedge and flatten, which may take where the
        component's setting `may_take` is true; without that setting an order that may take is not placed.
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def replace_at(self, order: Order, wanted: Wanted, market: Market, at: Micros) -> Micros | None:
        """Say when a resting order may make way for the wanted one: now or earlier, later, or None for never.

        Of a component with `confirms = True` the wanted one is placed once the cancel of the other is confirmed, even
        where both together would fit every limit.
        """
        raise NotImplementedError

    @hookspec
    def observe(self, fact: Fact, market_no: MarketNo | None, order: Order | None) -> None:
        """Learn a fact; `order` is the order it is about, after it was applied."""
        raise NotImplementedError

    @hookspec
    def observe_intent(self, intent: Intent) -> None:
        """Learn what the desk asks for, as it asks."""
        raise NotImplementedError

    @hookspec
    def carry(self) -> dict[str, int]:
        """Return what must outlive the session; `observe` gets it back as `Carried` when the next one starts."""
        raise NotImplementedError

    @hookspec
    def calibrated(self) -> Iterable[Calibrated]:
        """Say what was learned of each market, in numbers with a name: for the store and the report, at the end."""
        raise NotImplementedError

    @hookspec
    def next_wake(self, market_no: MarketNo, at: Micros) -> Micros | None:
        """Return when a judgement about a market may change without any news, or None."""
        raise NotImplementedError


def order_of(component: object, position: int) -> tuple[float, int]:
    """Sort key of a component: its `order` setting, else where the YAML has it."""
    explicit = getattr(component, "order", None)
    return (position if explicit is None else explicit, position)


def _observes(component: object) -> tuple[type[Any], ...]:
    return getattr(component, "observes", None) or FACTS


def _judged(component: object) -> frozenset[Purpose]:
    return getattr(component, "judges", frozenset({Purpose.QUOTE}))


Call = Callable[..., Any]


def _positional(hook: type, name: str) -> tuple[str, ...]:
    """Return the arguments of a hook's specification, in order."""
    return tuple(list(inspect.signature(getattr(hook, name)).parameters)[1:])


def _direct(caller: Any, spec: tuple[str, ...]) -> Call | None:
    """Return a positional call of the one component behind a hook caller, None where pluggy has more to do.

    pluggy keeps the components and what they take. Its general call packs every argument by name, which costs more
    than most judgements do (5.2 µs a check against 1.8 µs, measured), so a caller with a single plain implementation is
    called as pluggy would call it, without the packing.
    """
    impls = caller.get_hookimpls()
    if len(impls) != 1 or impls[0].wrapper or impls[0].hookwrapper:
        return None
    function = impls[0].function
    places = tuple(spec.index(name) for name in impls[0].argnames)
    if places == tuple(range(len(spec))):
        return cast(Call, function)
    return _PICKERS.get(len(places), _pick_any)(function, places)


def _pick_any(function: Call, places: tuple[int, ...]) -> Call:
    return lambda *given: function(*[given[place] for place in places])


def _pick_1(function: Call, places: tuple[int, ...]) -> Call:
    (a,) = places
    if a == 0:
        return lambda first, *_: function(first)
    return lambda *given: function(given[a])


def _pick_2(function: Call, places: tuple[int, ...]) -> Call:
    a, b = places
    if (a, b) == (0, 1):
        return lambda first, second, *_: function(first, second)
    return lambda *given: function(given[a], given[b])


def _pick_3(function: Call, places: tuple[int, ...]) -> Call:
    a, b, c = places
    return lambda *given: function(given[a], given[b], given[c])


_PICKERS = {1: _pick_1, 2: _pick_2, 3: _pick_3}


def _at_once(order: Order, wanted: Wanted, market: Market, at: Micros) -> Micros | None:
    """Replace an order without a component that has an opinion of it."""
    return at


class Check(NamedTuple):
    """One risk check as the desk calls it."""

    name: str
    judges: frozenset[Purpose]
    cumulative: bool  # it judges a sum: both orders of a replacement must fit it together
    safety: bool  # it judges the market, not what we did in it: where both sides are needed, both must pass (R3)
    object_to_order: Call  # positional, in the order of the specification; one objection or None


class Filter(NamedTuple):
    """One filter as the desk calls it."""

    name: str
    needs_book: bool
    reject_market: Call  # positional, in the order of the specification


class Hooks:
    """All components of one desk, in their order, behind typed calls.

    Components are named by their node in the configuration (`risk.cliff`); the name is what a refusal shows.
    """

    def __init__(self, components: Mapping[str, object]) -> None:
        """Register components; raises ConfigError when a hook has a wrong shape or a single role is filled twice."""
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(ComponentHooks)
        ranked = sorted(
            ((order_of(component, index), name) for index, (name, component) in enumerate(components.items()))
        )
        self.order = tuple(name for _, name in ranked)
        self.depth = NO_BOOK
        for name in self.order:  # of wrappers, pluggy puts the last registered outside: it has the last word
            self._register(name, components[name])
        for component in components.values():
            self.depth = self.depth.also(getattr(component, "depth", WHOLE_BOOK))
        # Asked for every quote and every order: without a method of our own in between.
        self.price: Callable[[Market, Book, Inventory, Micros], Answer | None] = self._first("price")
        self.size_order: Callable[[Market, Quote], Size | None] = self._first("size_order")
        self.moves_at_once = not self._answers("replace_at")
        self.replace_at: Callable[[Order, Wanted, Market, Micros], Micros | None] = (
            _at_once if self.moves_at_once else self._first("replace_at")
        )
        self.broken: dict[str, str] = {}  # components that raised and cannot be trusted any more: what they said
        limiting = {name for hook in LIMITING for name, _, _ in self._each(hook, components)}
        observers = [
            (name, component, self._guarded(name, call) if name in limiting else call)
            for name, component, call in self._each("observe", components)
        ]
        self._observers = {  # each is told the kinds it names, and no others; without a word, all
            kind: [call for _, component, call in observers if kind in _observes(component)] for kind in FACTS
        }
        self._observers[Carried] = []  # told to the one it belongs to
        self.limits = self._guards("object_to_account", components)
        self._intent_observers = self._guards("observe_intent", components)
        self._carries = self._guards("carry", components)
        self._restores = {name: call for name, _, call in observers if name in self._carries}
        for name in self._carries.keys() - self._restores.keys():
            raise ConfigError(name, None, "has carry without observe: it would not learn what it carried")
        self.limiting = bool(limiting)
        self._calibrates = self._each("calibrated", components)
        self._wakes = [caller for _, _, caller in self._each("next_wake", components)]
        self.checks = tuple(
            Check(
                name,
                _judged(component),
                bool(getattr(component, "cumulative", False)),
                bool(getattr(component, "safety", True)),
                caller,
            )
            for name, component, caller in self._each("object_to_order", components)
        )
        named = {name for check in self.checks for name in self._names("object_to_order", check.name)}
        self.counts_shares = "shares" in named
        self.counts_events = "event_loss" in named
        self.sums = tuple(check for check in self.checks if check.cumulative)
        self.safety = tuple(check for check in self.checks if check.safety or check.cumulative)
        self._filters = [
            Filter(name, self._names("reject_market", name) & {"book", "prospect"} != set(), caller)
            for name, _, caller in self._each("reject_market", components)
        ]
        self._rank = self._first("rank_market") if self._answers("rank_market") else None
        self._hedge = self._first("hedge") if self._answers("hedge") else None
        self._both = [caller for _, _, caller in self._each("needs_both_sides", components)]
        self.hedges = self._hedge is not None
        self.hedges_events = any("siblings" in self._names("hedge", name) for name in self.order)
        # Its setting `may_take`: who has none, or has it off, only rests (M1).
        self.hedge_takes = any(getattr(each, "may_take", False) for each in self._answering("hedge", components))
        self.confirms = any(getattr(each, "confirms", False) for each in self._answering("replace_at", components))
        self.price_levels = self._price_levels(components)
        self.ranks = self._rank is not None
        self.waits = bool(self._wakes)

    def _register(self, name: str, component: object) -> None:
        try:
            self._manager.register(component, name=name)
        except pluggy.PluginValidationError as error:
            raise ConfigError(name, None, str(error).splitlines()[-1].strip()) from None
        for hook in SINGLE:
            caller = getattr(self._manager.hook, hook)
            if sum(1 for impl in caller.get_hookimpls() if not (impl.wrapper or impl.hookwrapper)) > 1:
                raise ConfigError(name, None, f"a second component that answers {hook}; there can be one")

    def _names(self, hook: str, component: str) -> set[str]:
        """Return the arguments a component names in a hook."""
        impls = getattr(self._manager.hook, hook).get_hookimpls()
        return {name for impl in impls if impl.plugin_name == component for name in impl.argnames}

    def _answers(self, hook: str) -> bool:
        return bool(getattr(self._manager.hook, hook).get_hookimpls())

    def _answering(self, hook: str, components: Mapping[str, object]) -> list[object]:
        """Return the components behind a hook, wrappers included."""
        return [components[impl.plugin_name] for impl in getattr(self._manager.hook, hook).get_hookimpls()]

    def _price_levels(self, components: Mapping[str, object]) -> int | None:
        """Return how many levels' prices say all that pricing and sizing go by (0: all levels); None where more does.

        Judging hooks only read, and who remembers has `observe`: so without it the arguments and `depth` say all.
        """
        depth = NO_BOOK
        for hook in ("price", "size_order"):
            for impl in getattr(self._manager.hook, hook).get_hookimpls():
                component = components[impl.plugin_name]
                if not {*impl.argnames} <= BY_PRICES or any(hasattr(component, learns) for learns in LEARNING):
                    return None
                depth = depth.also(getattr(component, "depth", WHOLE_BOOK))
        return None if depth.look is Look.LEVELS else depth.levels

    def _first(self, hook: str) -> Call:
        """Return a call that gives the answer of the one component that has it, wrappers included."""
        caller, spec = getattr(self._manager.hook, hook), _positional(ComponentHooks, hook)
        return _direct(caller, spec) or (lambda *given: caller(**dict(zip(spec, given, strict=True))))

    def _each(self, hook: str, components: Mapping[str, object]) -> list[tuple[str, object, Call]]:
        """Return one call a component, so that an answer is known to be its own."""
        spec = _positional(ComponentHooks, hook)
        impls = {impl.plugin_name for impl in getattr(self._manager.hook, hook).get_hookimpls()}
        named = [name for name in self.order if name in impls]
        calls = []
        for name in named:
            others = [components[other] for other in named if other != name]
            caller = self._manager.subset_hook_caller(hook, others)
            direct = _direct(caller, spec)
            if direct is None:
                raise ConfigError(name, None, f"{hook} cannot be a wrapper")
            calls.append((name, components[name], direct))
        return calls

    def _guarded(self, name: str, call: Call) -> Call:
        """Return a call that raises nothing: a component that did is broken from then on."""

        def guarded(*given: Any) -> Any:
            try:
                return call(*given)
            except Exception as error:
                self.broken.setdefault(name, f"{type(error).__name__}: {error}")
                return None

        return guarded

    def _guards(self, hook: str, components: Mapping[str, object]) -> dict[str, Call]:
        return {name: self._guarded(name, call) for name, _, call in self._each(hook, components)}

    def observe_intent(self, intent: Intent) -> None:
        """Tell the components that count what is asked for."""
        for observer in self._intent_observers.values():
            observer(intent)

    def carried(self) -> dict[str, dict[str, int]]:
        """Return what must outlive the session, by component; one that failed says so to the next session too."""
        if not self._carries:
            return {}
        found = {name: carry() or {} for name, carry in self._carries.items()}
        return {name: values | {FAILED: 1} if name in self.broken else values for name, values in found.items()}

    def learned(self) -> dict[str, dict[str, int]]:
        """Return what is carried without the limits: a paper run starts with a new purse, so they start anew."""
        return {name: values for name, values in self.carried().items() if name not in self.limits}

    def restore(self, fact: Carried) -> None:
        """Give a component back what it carried; one that cannot read it, or failed before, is broken.

        What nobody of that name carries any more is left alone.
        """
        restore = self._restores.get(fact.node)
        if restore is None:
            return
        if fact.values.get(FAILED):
            self.broken.setdefault(fact.node, "it failed in an earlier session")
        if any(name != FAILED for name in fact.values):
            values = {name: value for name, value in fact.values.items() if name != FAILED}
            restore(Carried(fact.at, fact.node, values), None, None)

    def calibrated(self) -> list[tuple[str, Calibrated]]:
        """Return what the components learned of markets, each number with the component that says it."""
        return [(name, one) for name, _, call in self._calibrates if name not in self.broken for one in call() or ()]

    def observed(self, kind: type[Any]) -> bool:
        """Whether anybody wants to know of such facts."""
        return bool(self._observers[kind])

    def observe(self, fact: Fact, market_no: MarketNo | None, order: Order | None) -> None:
        """Tell the components that remember."""
        for observer in self._observers[type(fact)]:
            observer(fact, market_no, order)

    def next_wake(self, market_no: MarketNo, at: Micros) -> Micros | None:
        """Return the earliest time a judgement about a market may change by itself."""
        wakes = (caller(market_no, at) for caller in self._wakes)
        return min((wake for wake in wakes if wake is not None and wake > at), default=None)

    def reject_market(self, market: Market, book: Book | None, prospect: Prospect | None, at: Micros) -> Reason | None:
        """Ask the filters in order; the first that rejects a market names itself.

        Without a book (and a prospect) only those are asked that come before the first one that needs it.
        """
        for name, needs_book, caller in self._filters:
            if needs_book and book is None:
                return None
            objection = caller(market, book, prospect, at)
            if objection is not None:
                return Reason(objection.code, name, objection.numbers)
        return None

    def rank_market(self, market: Market, book: Book, prospect: Prospect, at: Micros) -> Rank | None:
        """Ask the ranking; None without one."""
        return None if self._rank is None else cast("Rank | None", self._rank(market, book, prospect, at))

    def needs_both_sides(self, market: Market, book: Book) -> bool:
        """Whether any component says that one side may not be quoted without the other."""
        return any(caller(market, book) for caller in self._both)

    def hedge(
        self,
        market: Market,
        market_no: MarketNo,
        book: Book,
        inventory: Inventory,
        orders: Sequence[Order],
        at: Micros,
        siblings: Sequence[Sibling] = (),
    ) -> Sequence[Wanted | Unhedged]:
        """Ask the hedging; nothing without one."""
        if self._hedge is None:
            return ()
        answer = self._hedge(market, market_no, book, inventory, orders, at, siblings)
        return cast("Sequence[Wanted | Unhedged] | None", answer) or ()
