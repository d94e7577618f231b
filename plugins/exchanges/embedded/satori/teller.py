"""Tells owners what the matching did: each in the order in which it happened, and a little later (V1, V6)."""

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.satori.records import Fill, Record, Records, reason_of
from pmrun.plugins.exchanges.embedded.satori.settings import SHARE
from pmrun.plugins.exchanges.embedded.satori.wallets import Wallets
from pmrun.plugins.exchanges.embedded.satori.wire_out import resolved_outcome
from pmrun.plugins.exchanges.embedded.settlement import custody_leg
from pmrun.plugins.exchanges.embedded.terms import Event, OrderMoved, Resolved, TradeMoved, TradeView
from pmrun.runner.market import TokenId
from pmrun.runner.orders import Settlement
from pmrun.runner.units import Micros, Price, Side, Size, complement

Later = Callable[[Micros, Callable[[], None]], None]
Tell = Callable[[str, dict[str, Any], Micros], None]  # the user, a frame, when


class Teller:
    """Turns events of the engine into what owners are told, and keeps their orders as they were told."""

    def __init__(
        self,
        engine: Engine,
        records: Records,
        wallets: Wallets,
        latency: tuple[Micros, Micros],
        late: Callable[[Micros], int],
        later: Later,
        tell: Tell,
        seed: int = 0,
    ) -> None:
        """Take what is told of, and the ways out; `late` is how much later than usual a fill is told."""
        self._engine = engine
        self._records = records
        self._wallets = wallets
        self._latency = latency
        self._late = late
        self._later = later
        self._tell = tell
        self._random = Random(f"satori telling {seed}")
        self._told_until: dict[str, Micros] = {}
        self._balances: dict[str, dict[str, int]] = {}

    def take(self, events: Iterable[Event], users: Iterable[str]) -> None:
        """Let everybody hear of what happened when it is their time."""
        for event in events:
            match event:
                case OrderMoved():
                    self._order(event)
                case TradeMoved() if event.trade.status is Settlement.MATCHED:
                    self._trade(event.trade, event.at)
                case Resolved():
                    self._resolved(event, users)
                case _:
                    pass

    def update(self, record: Record, at: Micros) -> None:
        """Tell an owner at once how an order stands, and of the money where it changed."""
        self._tell(record.user_id, {"type": "order_update", "order": record.row()}, at)
        self.balance(record.user_id, at)

    def remember(self, user_id: str) -> None:
        """Take the money of an owner as known."""
        self._balances[user_id] = self._wallets.balance(user_id)

    def balance(self, user_id: str, at: Micros) -> None:
        """Tell an owner of the money where it is not what was told last."""
        now = self._wallets.balance(user_id)
        if self._balances.get(user_id) != now:
            self._balances[user_id] = now
            self._tell(user_id, {"type": "wallet_changed", **now}, at)

    def _when(self, user_id: str, at: Micros, late: int = 0) -> Micros:
        due = Micros(at + self._random.randint(*self._latency) + late)
        due = self._told_until[user_id] = max(due, self._told_until.get(user_id, due))
        return due

    def _order(self, event: OrderMoved) -> None:
        record, view = self._records.get(event.order.order_id), event.order
        if record is None:
            return
        if event.kind == "CANCELLATION":
            reason = reason_of(view.status)
            self._schedule(record, event.at, lambda: record.cancelled(reason, event.at))
        elif event.kind == "UPDATE" and not view.matched:
            self._schedule(record, event.at, lambda: record.opened(event.at))

    def _schedule(self, record: Record, at: Micros, change: Callable[[], bool]) -> None:
        due = self._when(record.user_id, at)

        def happen() -> None:
            if change():
                self.update(record, due)

        self._later(due, happen)

    def _trade(self, trade: TradeView, at: Micros) -> None:
        for number, part in enumerate(trade.makers):
            trade_id = f"{trade.trade_id}-{number}"
            price = part.price if part.token == trade.token else complement(part.price)
            taker, maker = self._records.get(trade.taker_order_id), self._records.get(part.order_id)
            if taker is not None:
                self._fill(taker, _fill(taker, trade_id, trade.token, trade.side, price, part.size, False, at))
            if maker is not None:
                self._fill(maker, _fill(maker, trade_id, part.token, part.side, part.price, part.size, True, at))

    def _fill(self, record: Record, fill: Fill) -> None:
        due = self._when(record.user_id, fill.at, self._late(fill.at))

        def happen() -> None:
            record.filled_by(fill)
            self._wallets.learn(record, fill)
            terms = {"market_id": record.market_id, "outcome_id": record.outcome_id, "side": record.side}
            told = {"order_id": record.order_id, "trade": {**fill.row(), **terms}, "order": record.row()}
            self._tell(record.user_id, {"type": "order_filled", **told}, due)
            self.update(record, due)

        self._later(due, happen)

    def _resolved(self, event: Resolved, users: Iterable[str]) -> None:
        market = self._engine.markets[event.market]
        for user_id in users:
            paid = self._wallets.payout(user_id, market)
            if paid is not None:
                self._pay(user_id, market.condition, resolved_outcome(market), paid, event.at)

    def _pay(self, user_id: str, market_id: str, outcome_id: str | None, paid: int, at: Micros) -> None:
        due = self._when(user_id, at)
        frame = {"type": "market_resolved", "market_id": market_id, "resolved_outcome_id": outcome_id}

        def happen() -> None:
            self._tell(user_id, {**frame, "payout_e6": paid}, due)
            self.balance(user_id, due)

        self._later(due, happen)


def _fill(
    record: Record, trade_id: str, token: TokenId, side: Side, price: Price, size: Size, maker: bool, at: Micros
) -> Fill:
    leg = custody_leg(record.custody, record.user_id, token, side, price, size, maker=maker)
    return Fill(
        trade_id=trade_id,
        price=price,
        quantity=size // SHARE,
        fee=leg.fee,
        rebate=leg.rebate,
        maker=maker,
        at=at,
    )
