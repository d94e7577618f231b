"""Counts a run while it goes, and says at the end what came of it."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from pmrun.runner.desk import Desk
from pmrun.runner.exit_cost import ExitValue, exit_value
from pmrun.runner.facts import Fact, Filled, FundsSeen, Listed, Merged, OrderFound, OrderNews, Settled, Together
from pmrun.runner.intents import Cancel, CancelAll, Intent, Observed, Place, Refuse
from pmrun.runner.market import MarketNo, Outcome
from pmrun.runner.order_count import OrderCount
from pmrun.runner.orders import Settlement
from pmrun.runner.pnl_ledger import UNITS_PER_CASH
from pmrun.runner.pnl_result import Result, by_market, in_dollars, parts_in_dollars
from pmrun.runner.ports import FeedInfo
from pmrun.runner.units import CASH_SCALE, NOTIONAL_PER_CASH, PRICE_SCALE, SIZE_SCALE, Cash

CANCEL: Final = Cancel  # compiled, what is imported is looked up at each use and a constant is not
ORDER_NEWS: Final = OrderNews
PLACE: Final = Place
TOGETHER: Final = Together


class Tally:
    """Counts orders, fills and reasons; an observer."""

    takes_together = True

    def __init__(self) -> None:
        """Start at nothing."""
        self.count = OrderCount()
        self.refused = 0
        self.refusals: Counter[str] = Counter()
        self._cancels: dict[str, int] = {}
        self.oddities: Counter[str] = Counter()
        self.scanned = 0
        self.fills = 0
        self.shares = 0
        self.notional = 0
        self.failed = 0
        self.merges = 0
        self.merged = 0  # pairs that became cash
        self.facts = 0
        self.intents = 0
        self.funds: Cash | None = None
        self._of_fact: dict[type[Any], Callable[[Any], None]] = {
            Filled: self._fill,
            Listed: self._listed,
            OrderFound: self.count.found,
            FundsSeen: self._funds_seen,
            Settled: self._settled,
            Merged: self._merged,
        }

    def record(self, fact: Fact, intents: Sequence[Intent]) -> None:
        """Count one step."""
        facts: Sequence[Fact] = fact.facts if type(fact) is TOGETHER else (fact,)
        self.facts += len(facts)
        of_fact = self._of_fact
        for one in facts:
            kind = type(one)
            if kind is ORDER_NEWS:  # most of them are
                self.count.news(one)  # type: ignore[arg-type]
            elif kind in of_fact:
                of_fact[kind](one)
        if intents:
            self.intents += len(intents)
            cancels = self._cancels
            for intent in intents:
                if type(intent) is PLACE:
                    self.count.asked_for(intent)
                elif type(intent) is CANCEL:
                    code = intent.reason.code
                    cancels[code] = cancels.get(code, 0) + 1
                else:
                    self._intent(intent)

    def _fill(self, fact: Filled) -> None:
        self.count.fill(fact)
        self.fills += 1
        self.shares += fact.size
        self.notional += fact.price * fact.size

    def _listed(self, fact: Listed) -> None:
        self.scanned += 1

    def _funds_seen(self, fact: FundsSeen) -> None:
        if self.funds is None:
            self.funds = fact.total

    def _settled(self, fact: Settled) -> None:
        self.failed += fact.status is Settlement.FAILED

    def _merged(self, fact: Merged) -> None:
        self.merges += fact.size > 0
        self.merged += fact.size

    @property
    def cancels(self) -> Counter[str]:
        """Cancels by the code of their reason."""
        return Counter(self._cancels)

    @property
    def placed(self) -> int:
        """How many orders were sent."""
        return self.count.placed

    @property
    def orders(self) -> dict[str, int]:
        """What became of all orders, each counted once, and refusals."""
        return {**self.count.summary(), "refused": self.refused}

    def _intent(self, intent: Intent) -> None:
        match intent:
            case CancelAll():
                code = intent.reason.code
                self._cancels[code] = self._cancels.get(code, 0) + 1
            case Refuse():
                self.refused += 1
                for reason in intent.reasons:
                    self.refusals[f"{reason.by}: {reason.code}"] += 1
            case Observed():
                self.oddities[intent.reason.code] += 1
            case _:
                pass

    def close(self) -> None:
        """Nothing to finish."""


def iso(micros: int) -> str:
    """Write a moment for people and programs."""
    return datetime.fromtimestamp(micros / 1_000_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def usd(cash: int) -> float:
    """Write cash as dollars."""
    return round(cash / CASH_SCALE, 6)


def exit_values(desk: Desk) -> dict[MarketNo, ExitValue]:
    """Value what is held in each market at the mid and on the last book known; pairs count a dollar unless hedged."""
    found = {}
    for no, inventory in desk.account.markets():
        state = desk.markets.get(no)
        if state is not None and (inventory.of(Outcome.YES).held or inventory.of(Outcome.NO).held):
            book = state.book if state.book is not None else state.observed
            at_mid = desk.value(no, inventory)
            found[no] = exit_value(inventory, at_mid, book, state.terms, pairs=not desk.hooks.hedges)
    return found


def summarise(
    desk: Desk,
    tally: Tally,
    pnl: Result,
    info: FeedInfo,
    markets: Mapping[str, Any],
    rewards: Mapping[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Return what came of a run (issue: run directory); `more` is what the shell knows.

    `pnl_usd.total` is cash and holdings at the mid less what there was before and what came from outside, after fees;
    `pnl_usd.parts` sum to it. Expected rebates and rewards are estimates and not part of it. `pnl` is what the parts
    came to; `markets` is what the funnel says of them; `rewards` is what a rewards component estimated, None without
    one.
    """
    account = desk.account
    exits = exit_values(desk)
    cost = sum(found.cost for found in exits.values())
    return {
        "complete": True,
        **more,
        "simulated": info.simulated,
        "paper": more.get("mode") != "live",
        "facts": tally.facts,
        "intents": tally.intents,
        "markets": markets,
        "orders": tally.orders,
        "fills": {
            "count": tally.fills,
            "shares": tally.shares / SIZE_SCALE,
            "notional_usd": round(tally.notional / (PRICE_SCALE * SIZE_SCALE), 6),
            "failed": tally.failed,
        },
        "merges": {"count": tally.merges, "pairs": tally.merged / SIZE_SCALE},
        "pnl_usd": {
            "total": in_dollars(pnl.total),
            "realised": usd(account.realised),
            "unrealised": usd(pnl.total // UNITS_PER_CASH - account.realised),
            "fees": usd(account.fees),
            "rebates": usd(account.rebates),
            "rebates_in_fees": any(state.terms.fees.paid_rebate_ppm for state in desk.markets.values()),
            "rewards_estimated": None if rewards is None else rewards["mid"],
            "total_at_exit": usd(pnl.total // UNITS_PER_CASH - cost),
            "parts": parts_in_dollars(pnl.parts),
            "unexplained": in_dollars(pnl.unexplained),
            "closes": pnl.closes,
            "complaints": list(pnl.complaints),
        },
        "wallet_usd": {
            "start": in_dollars(pnl.opening),
            "end": in_dollars(pnl.closing),
            "transfers": in_dollars(pnl.transfers),
            "cash": usd(account.funds.total),
            "inventory_at_mid": usd(sum(found.at_mid for found in exits.values())),
            "inventory_at_exit": usd(sum(found.at_exit for found in exits.values())),
            "exit_cost": usd(cost),
            "unsold_shares": sum(found.unsold for found in exits.values()) / SIZE_SCALE,
        },
        "pnl_by_market": by_market(pnl, {no: state.terms.slug for no, state in desk.markets.items()}),
        "exposure_max_usd": usd(account.exposure_max // NOTIONAL_PER_CASH),
        "refusals": dict(tally.refusals.most_common()),
        "cancels": dict(tally.cancels.most_common()),
        "rejections": dict(tally.count.rejections.most_common()),
        "never_sent": dict(tally.count.unsent.most_common()),
        "oddities": dict(tally.oddities),
        "rewards": rewards,
    }
