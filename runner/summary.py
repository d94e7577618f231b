"""Counts a run while it goes, and says at the end what came of it."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pmrun.runner.desk import Desk
from pmrun.runner.facts import Fact, Filled, FundsSeen, Listed, OrderNews, Settled
from pmrun.runner.intents import Cancel, CancelAll, Drop, Intent, Observed, Place, Refuse
from pmrun.runner.orders import News, Settlement
from pmrun.runner.ports import FeedInfo
from pmrun.runner.units import CASH_SCALE, NOTIONAL_PER_CASH, PRICE_SCALE, SIZE_SCALE, Cash


class Tally:
    """Counts orders, fills and reasons; an observer."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.orders: Counter[str] = Counter(placed=0, cancelled=0, refused=0, rejected=0)
        self.refusals: Counter[str] = Counter()
        self.cancels: Counter[str] = Counter()
        self.rejections: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.oddities: Counter[str] = Counter()
        self.scanned = 0
        self.fills = 0
        self.shares = 0
        self.notional = 0
        self.failed = 0
        self.facts = 0
        self.intents = 0
        self.funds: Cash | None = None

    def record(self, fact: Fact, intents: Sequence[Intent]) -> None:
        """Count one step."""
        self.facts += 1
        self.intents += len(intents)
        kind = type(fact)
        if kind is Filled:
            self._fill(fact)  # type: ignore[arg-type]
        elif kind is OrderNews:
            self._news(fact)  # type: ignore[arg-type]
        elif kind is Listed:
            self.scanned += 1
        elif kind is FundsSeen and self.funds is None:
            self.funds = fact.total  # type: ignore[union-attr]
        elif kind is Settled and fact.status is Settlement.FAILED:  # type: ignore[union-attr]
            self.failed += 1
        for intent in intents:
            self._intent(intent)

    def _fill(self, fact: Filled) -> None:
        self.fills += 1
        self.shares += fact.size
        self.notional += fact.price * fact.size

    def _news(self, fact: OrderNews) -> None:
        if fact.news is News.REJECTED:
            self.orders["rejected"] += 1
            self.rejections[fact.reason] += 1
        elif fact.news is News.CANCELED:
            self.orders["cancelled"] += 1

    def _intent(self, intent: Intent) -> None:
        match intent:
            case Place():
                self.orders["placed"] += 1
            case Cancel() | CancelAll():
                self.cancels[intent.reason.code] += 1
            case Refuse():
                self.orders["refused"] += 1
                for reason in intent.reasons:
                    self.refusals[f"{reason.by}: {reason.code}"] += 1
            case Drop():
                self.dropped[intent.reason.by] += 1
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


def summarise(desk: Desk, tally: Tally, info: FeedInfo, **more: Any) -> dict[str, Any]:
    """Return what came of a run (issue: run directory); `more` is what the shell knows.

    `pnl_usd.total` is cash and holdings at the mid less the starting funds, after fees; expected rebates and rewards
    are estimates and not part of it. `rewards_estimated` is null as long as nothing estimates rewards.
    """
    account = desk.account
    total = desk.equity() - (tally.funds or 0)
    return {
        "complete": True,
        **more,
        "simulated": info.simulated,
        "paper": True,
        "facts": tally.facts,
        "intents": tally.intents,
        "markets": {
            "scanned": tally.scanned,
            "selected": len(desk.markets),
            "rejected_by": dict(tally.dropped),
        },
        "orders": dict(tally.orders),
        "fills": {
            "count": tally.fills,
            "shares": tally.shares / SIZE_SCALE,
            "notional_usd": round(tally.notional / (PRICE_SCALE * SIZE_SCALE), 6),
            "failed": tally.failed,
        },
        "pnl_usd": {
            "total": usd(total),
            "realised": usd(account.realised),
            "unrealised": usd(total - account.realised),
            "fees": usd(account.fees),
            "rebates": usd(account.rebates),
            "rewards_estimated": None,
        },
        "exposure_max_usd": usd(account.exposure_max // NOTIONAL_PER_CASH),
        "refusals": dict(tally.refusals.most_common()),
        "cancels": dict(tally.cancels.most_common()),
        "rejections": dict(tally.rejections.most_common()),
        "oddities": dict(tally.oddities),
    }
