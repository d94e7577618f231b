"""Calls about orders: taken with their escrow and matched later, cancelled, and looked at (V1, V2)."""

from typing import Any

from pmrun.plugins.exchanges.embedded.admission import NO_MONEY, NOT_READY
from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.ids import Ids
from pmrun.plugins.exchanges.embedded.order import CANCELED, FILLED
from pmrun.plugins.exchanges.embedded.satori.calls import Call, paged, text_of
from pmrun.plugins.exchanges.embedded.satori.codes import Code, Refusal, success
from pmrun.plugins.exchanges.embedded.satori.identity import Session
from pmrun.plugins.exchanges.embedded.satori.listings import Listings
from pmrun.plugins.exchanges.embedded.satori.matcher import Matcher
from pmrun.plugins.exchanges.embedded.satori.records import BUY, SELL, USER, Record, Records, reason_of
from pmrun.plugins.exchanges.embedded.satori.settings import SHARE, SatoriSettings
from pmrun.plugins.exchanges.embedded.satori.teller import Teller
from pmrun.plugins.exchanges.embedded.terms import Reply, Ticket
from pmrun.runner.facts import MarketStatus
from pmrun.runner.grid import Grid
from pmrun.runner.units import Micros, Price, Side, Size

MOST_SHARES = 1_000_000_000


class Trading:
    """Answers them."""

    def __init__(
        self,
        engine: Engine,
        records: Records,
        listings: Listings,
        matcher: Matcher,
        teller: Teller,
        settings: SatoriSettings,
        seed: int = 0,
    ) -> None:
        """Take who matches, who tells, and what is known."""
        self._engine = engine
        self._records = records
        self._listings = listings
        self._matcher = matcher
        self._teller = teller
        self._settings = settings
        self._ids = Ids("satori orders", seed)

    def place(self, call: Call) -> Reply:
        """Answer POST /orders: 202 before anything is matched, with what it costs in escrow; or a code why not."""
        may_trade(call.caller)
        body = call.body()
        ticket = self._ticket(call, body)
        refused = self._engine.accept(ticket, call.at)
        if refused is not None:
            raise Refusal(_code_of(refused.sentence, ticket.side))
        record = self._record(ticket, body, call.at)
        self._records.add(record)
        self._matcher.push(ticket.order_id, call.at)
        self._teller.update(record, call.at)
        return success({"order": record.row(), "trades": []}, 202)

    def _ticket(self, call: Call, body: dict[str, Any]) -> Ticket:
        market_id, outcome = text_of(body, "market_id"), text_of(body, "outcome_id")
        if not _whole(body.get("side")) or body["side"] not in (BUY, SELL):
            raise Refusal(Code.BAD_SIDE)
        number, token = self._listings.token(market_id, outcome)
        if self._engine.status(number) is not MarketStatus.TRADING:
            raise Refusal(Code.NOT_TRADING)
        if not _whole(body.get("price")) or body["price"] not in Grid(self._engine.markets[number].tick):
            raise Refusal(Code.BAD_PRICE)
        if not _whole(body.get("quantity")) or not 1 <= body["quantity"] <= MOST_SHARES:
            raise Refusal(Code.BAD_QUANTITY)
        session = call.caller
        return Ticket(
            order_id=self._ids.uuid(call.at),
            wallet=session.user.user_id,
            api_key=session.user.user_id,
            token=token,
            side=Side.BUY if body["side"] == BUY else Side.SELL,
            price=Price(body["price"]),
            size=Size(body["quantity"] * SHARE),
            custody=self._settings.custody(session.personal),
        )

    def _record(self, ticket: Ticket, body: dict[str, Any], at: Micros) -> Record:
        return Record(
            order_id=ticket.order_id,
            user_id=ticket.wallet,
            market_id=body["market_id"],
            outcome_id=body["outcome_id"],
            side=body["side"],
            price=body["price"],
            quantity=body["quantity"],
            created_at=at,
            updated_at=at,
            custody=ticket.custody or self._settings.custody(False),
        )

    def cancel(self, call: Call) -> Reply:
        """Answer POST /orders/:id/cancel: 202 however often, and what was matched before stands.

        A fill that was matched and not told yet is told after this answer.
        """
        may_trade(call.caller)
        record = self._own(call)
        if record.active:
            self._engine.cancel(record.user_id, [record.order_id], call.at)
            view = self._engine.order(record.order_id)
            mine = view is None or view.status in (CANCELED, FILLED)
            record.cancelled(USER if mine else reason_of(view.status if view else ""), call.at)
            self._teller.update(record, call.at)
        return success(record.row(), 202)

    def order(self, call: Call) -> Any:
        """Answer GET /orders/:id."""
        return self._own(call).row()

    def orders(self, call: Call) -> Any:
        """Answer GET /orders: what may still trade, what ended within a day, or both; newest first."""
        wanted = call.asked("status")
        if wanted not in ("", "active", "recent"):
            raise Refusal(Code.BAD_REQUEST)
        mine = [record for record in reversed(self._records.of(call.caller.user.user_id)) if self._shown(record, call)]
        chosen = [record for record in mine if wanted == "" or record.active == (wanted == "active")]
        return paged([record.row() for record in chosen], call)

    def _shown(self, record: Record, call: Call) -> bool:
        fresh = record.active or record.updated_at + self._settings.closed_kept > call.at
        return fresh and call.asked("market_id") in ("", record.market_id)

    def fills(self, call: Call) -> Any:
        """Answer GET /orders/:id/trades, oldest first."""
        return [fill.row() for fill in self._own(call).fills]

    def _own(self, call: Call) -> Record:
        record = self._records.get(call.parts[0])
        if record is None or record.user_id != call.caller.user.user_id:
            raise Refusal(Code.NO_ORDER)
        return record


def may_trade(session: Session) -> None:
    """Raise Refusal unless an account may trade at all."""
    if not session.user.two_factor:
        raise Refusal(Code.TWO_FACTOR_REQUIRED)
    if session.user.kyc_tier < 1:
        raise Refusal(Code.IDENTITY_REQUIRED)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _code_of(sentence: str, side: Side) -> Code:
    if sentence == NO_MONEY:
        return Code.NO_BALANCE if side is Side.BUY else Code.NO_POSITION
    return Code.NOT_TRADING if sentence == NOT_READY else Code.INTERNAL
