"""Trading by REST: orders, cancels, the heartbeat, and the modes in which the exchange takes them (reference 3)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from pmrun.plugins.exchanges.embedded.buckets import Buckets
from pmrun.plugins.exchanges.embedded.identity import ApiKey, Identity
from pmrun.plugins.exchanges.embedded.modes import Heartbeats, Mode, Modes
from pmrun.plugins.exchanges.embedded.permits import Permits
from pmrun.plugins.exchanges.embedded.replies import CallRefused, answer, decode
from pmrun.plugins.exchanges.embedded.signed_orders import Submission, exchange_of, price_and_size, verify
from pmrun.plugins.exchanges.embedded.terms import (
    Cancels,
    Placed,
    Refused,
    Reply,
    Request,
    Ticket,
    TimeInForce,
)
from pmrun.plugins.exchanges.embedded.wire_own import GTD_MARGIN
from pmrun.runner.market import ConditionId, Market, Outcome, TokenId
from pmrun.runner.units import SECOND, Micros, Size, format_size

LARGEST_BATCH = 15
LARGEST_CANCEL = 1_000
SHORTEST_GTD = Micros(180 * SECOND)

_POST_ONLY = "post-only mode: only post-only orders and cancels are allowed"


class Engine(Protocol):
    """What trading needs of the engine."""

    @property
    def markets(self) -> Sequence[Market]:
        """The current terms."""

    def where(self, token: TokenId) -> tuple[int, Outcome] | None:
        """Find a token."""

    def place(self, ticket: Ticket, at: Micros) -> Placed | Refused:
        """Take an order."""

    def cancel(self, api_key: str, order_ids: Sequence[str], at: Micros) -> Cancels:
        """Cancel orders by id."""

    def cancel_where(
        self, api_key: str, at: Micros, condition: ConditionId | None = None, token: TokenId | None = None
    ) -> Cancels:
        """Cancel all orders of a key, of one market, or of one token."""


class _CancelOne(msgspec.Struct, rename={"order_id": "orderID"}):
    order_id: str


class _CancelMarket(msgspec.Struct):
    market: ConditionId | None = None
    asset_id: TokenId | None = None


class _Heartbeat(msgspec.Struct):
    heartbeat_id: str | None = ""


class Trading:
    """The calls that change something; `legs` says which orders of a batch fail before they reach the engine."""

    def __init__(
        self,
        engine: Engine,
        identity: Identity,
        admit: Callable[[ApiKey, str, int, Micros], bool],
        buckets: Buckets,
        heartbeats: Heartbeats,
        modes: Modes,
        chain_id: int,
        legs: Callable[[int, Micros], Sequence[str | None]],
        permits: Permits = Permits(),
    ) -> None:
        """Take the parts; `admit` says whether a key may spend from a wallet of a kind."""
        self._permits = permits
        self._engine = engine
        self._identity = identity
        self._admit = admit
        self._buckets = buckets
        self._heartbeats = heartbeats
        self._modes = modes
        self._chain_id = chain_id
        self._legs = legs

    def post_order(self, request: Request, clock: Micros, at: Micros) -> Reply:
        """`POST /order` (reference 3.1)."""
        self._check_mode(at, placing=True)
        key = self._identity.level_two(request, clock)
        submission = decode(Submission, request.body, "Invalid order payload")
        headers = self._buckets.place(key.address, 1, at)
        if self._modes.at(at) is Mode.POST_ONLY and not submission.post_only:
            raise CallRefused(503, _POST_ONLY, code="post_only_mode", retry_after=self._modes.wait(at))
        return answer(_placed(self._place(submission, key, clock, at)), headers)

    def post_orders(self, request: Request, clock: Micros, at: Micros) -> Reply:
        """`POST /orders`: up to 15 orders, each with a result of its own (reference 3.2)."""
        self._check_mode(at, placing=True)
        key = self._identity.level_two(request, clock)
        submissions = decode(list[Submission], request.body, "Invalid order payload")
        if not submissions:
            raise CallRefused(400, "Invalid order payload")
        if len(submissions) > LARGEST_BATCH:
            raise CallRefused(400, f"Too many orders in payload: {len(submissions)}, max allowed: {LARGEST_BATCH}")
        headers = self._buckets.place(key.address, len(submissions), at)
        failing = self._legs(len(submissions), at)
        legs = [self._leg(one, fails, key, clock, at) for one, fails in zip(submissions, failing, strict=True)]
        return answer(legs, headers)

    def cancel_order(self, request: Request, clock: Micros, at: Micros) -> Reply:
        """`DELETE /order` (reference 3.3)."""
        self._check_mode(at)
        key = self._identity.level_two(request, clock)
        order_id = decode(_CancelOne, request.body, "Invalid order payload").order_id
        if not order_id:
            raise CallRefused(400, "Invalid orderID")
        headers = self._buckets.cancel(key.address, 1, at)
        return answer(_canceled(self._engine.cancel(key.key, [order_id], at)), headers)

    def cancel_orders(self, request: Request, clock: Micros, at: Micros) -> Reply:
        """`DELETE /orders`: up to 1000 ids, duplicates ignored."""
        self._check_mode(at)
        key = self._identity.level_two(request, clock)
        ids = decode(list[str], request.body, "Invalid order payload")
        if len(ids) > LARGEST_CANCEL:
            raise CallRefused(400, f"Too many orders in payload: {len(ids)}, max allowed: {LARGEST_CANCEL}")
        if not all(ids):
            raise CallRefused(400, "Invalid orderID")
        headers = self._buckets.cancel(key.address, len(ids), at)
        return answer(_canceled(self._engine.cancel(key.key, list(dict.fromkeys(ids)), at)), headers)

    def cancel_market(self, request: Request, clock: Micros, at: Micros) -> Reply:
        """`DELETE /cancel-market-orders`: of a market, of a token, or of a token in a market."""
        self._check_mode(at)
        key = self._identity.level_two(request, clock)
        wanted = decode(_CancelMarket, request.body, "invalid order params payload")
        if not (wanted.market or wanted.asset_id):
            raise CallRefused(400, "invalid order params payload")
        return self._cancel_many(key, at, wanted.market or None, wanted.asset_id or None)

    def cancel_all(self, request: Request, clock: Micros, at: Micros) -> Reply:
        """`DELETE /cancel-all`: everything of these credentials."""
        self._check_mode(at)
        key = self._identity.level_two(request, clock)
        return self._cancel_many(key, at, None, None)

    def heartbeat(self, request: Request, clock: Micros, at: Micros) -> dict[str, str]:
        """`POST /v1/heartbeats` (reference 3.6)."""
        key = self._identity.level_two(request, clock)
        sent = decode(_Heartbeat, request.body or b"{}", "Invalid Heartbeat ID").heartbeat_id or ""
        return {"heartbeat_id": self._heartbeats.beat(key.key, sent, at)}

    def legacy_heartbeat(self, request: Request, clock: Micros, at: Micros) -> dict[str, str]:
        """`POST /heartbeats`, without an id."""
        key = self._identity.level_two(request, clock)
        self._heartbeats.legacy(key.key, at)
        return {"status": "ok"}

    def _cancel_many(self, key: ApiKey, at: Micros, market: ConditionId | None, token: TokenId | None) -> Reply:
        self._buckets.cancel(key.address, 1, at)
        cancels = self._engine.cancel_where(key.key, at, market, token)
        return answer(_canceled(cancels), self._buckets.canceled(key.address, len(cancels.canceled), at))

    def _check_mode(self, at: Micros, placing: bool = False) -> None:
        mode = self._modes.at(at)
        if mode is Mode.RESTARTING:
            raise CallRefused(425, "matching engine is restarting", retry_after=self._modes.wait(at))
        if mode is Mode.DISABLED:
            raise CallRefused(503, "Trading is currently disabled. Check polymarket.com for updates")
        if mode is Mode.CANCEL_ONLY and placing:
            raise CallRefused(
                503, "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed."
            )

    def _leg(self, submission: Submission, fails: str | None, key: ApiKey, clock: Micros, at: Micros) -> dict[str, Any]:
        if fails is None and self._modes.at(at) is Mode.POST_ONLY and not submission.post_only:
            fails = _POST_ONLY
        if fails is not None:
            return _failed(fails)
        try:
            return _placed(self._place(submission, key, clock, at))
        except CallRefused as refused:
            return _failed(refused.sentence)

    def _place(self, submission: Submission, key: ApiKey, clock: Micros, at: Micros) -> Placed:
        if submission.owner != key.key:
            raise CallRefused(400, "the order owner has to be the owner of the API KEY")
        placed = self._engine.place(self._ticket(submission, key, clock, at), at)
        if isinstance(placed, Refused):
            raise CallRefused(400, placed.sentence)
        return placed

    def _ticket(self, submission: Submission, key: ApiKey, clock: Micros, at: Micros) -> Ticket:
        """Check whose order it is and what it means; the engine judges the rest."""
        order, kind = submission.order, submission.order_type
        found = self._engine.where(TokenId(order.token_id))
        if found is None:
            raise CallRefused(404, "No orderbook exists for the requested token id")
        market = self._engine.markets[found[0]]
        checked = verify(order, key, market, self._chain_id)
        if not self._admit(key, checked.maker, order.signature_type, at):
            raise CallRefused(400, f"maker address not allowed: {checked.maker} is not a wallet of the signer")
        expires_at = _expiry(order.expiration, kind, clock)
        price, size = price_and_size(order, checked.order_id, market, kind)
        ticket = Ticket(
            order_id=checked.order_id,
            wallet=checked.maker,
            api_key=key.key,
            token=TokenId(order.token_id),
            side=order.side,
            price=price,
            size=size,
            time_in_force=kind,
            expires_at=expires_at,
            post_only=submission.post_only,
        )
        refusal = self._permits.refusal(key.address, ticket, exchange_of(order.token_id, market.neg_risk)[1])
        if refusal:
            raise CallRefused(400, refusal)
        return ticket


def _expiry(sent: str | None, kind: TimeInForce, clock: Micros) -> Micros | None:
    """Return when a GTD order really ends: a minute before what it states, which has to be 3 minutes away."""
    text = sent or "0"
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise CallRefused(400, "Invalid order payload")
    stated = int(text) * SECOND
    if kind is not TimeInForce.GTD:
        if stated:
            raise CallRefused(400, "invalid expiration")
        return None
    if stated < clock + SHORTEST_GTD:
        raise CallRefused(400, "invalid expiration")
    return Micros(stated - GTD_MARGIN)


def _placed(placed: Placed) -> dict[str, Any]:
    return {
        "success": True,
        "errorMsg": "",
        "orderID": placed.order_id,
        "status": placed.status,
        "makingAmount": _amount(placed.making),
        "takingAmount": _amount(placed.taking),
        "transactionsHashes": [],
        "tradeIDs": list(placed.trades),
    }


def _failed(sentence: str) -> dict[str, Any]:
    """Return a leg that failed; its `success` is true all the same (reference 3.2)."""
    return {
        "success": True,
        "errorMsg": sentence,
        "orderID": "",
        "status": "",
        "makingAmount": "",
        "takingAmount": "",
        "transactionsHashes": [],
        "tradeIDs": [],
    }


def _amount(base_units: int) -> str:
    return format_size(Size(base_units)) if base_units else ""


def _canceled(cancels: Cancels) -> dict[str, list[str] | Mapping[str, str]]:
    return {"canceled": list(cancels.canceled), "not_canceled": cancels.not_canceled}
