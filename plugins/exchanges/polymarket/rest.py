"""Polymarket's REST interface as we trade by it: every call has a deadline, every order call three outcomes (O7)."""

import random
from collections.abc import Callable, Sequence

import httpx
import msgspec
import trio

from pmrun.plugins.exchanges.common.calls import Exchanged, Kind
from pmrun.plugins.exchanges.common.texts import one_line
from pmrun.plugins.exchanges.polymarket.budget import Budget
from pmrun.plugins.exchanges.polymarket.credentials import ApiKey, parse_api_key
from pmrun.plugins.exchanges.polymarket.errors_table import Reaction, rule
from pmrun.plugins.exchanges.polymarket.listing import read_whole
from pmrun.plugins.exchanges.polymarket.news import TradeSeen
from pmrun.plugins.exchanges.polymarket.outcomes import Lost, Rejected, reason_of
from pmrun.plugins.exchanges.polymarket.placing import MOST_ORDERS, Placing, Submission, order_body, placings, refused
from pmrun.plugins.exchanges.polymarket.public_reads import PublicReads
from pmrun.plugins.exchanges.polymarket.signing import Signer, is_position
from pmrun.plugins.exchanges.polymarket.transport import (
    Access,
    Answer,
    Call,
    RestSettings,
    Transport,
    Unanswered,
    Urls,
    failure,
)
from pmrun.plugins.exchanges.polymarket.wire_account import BalanceAnswer, parse_balance, parse_closed_only
from pmrun.plugins.exchanges.polymarket.wire_orders import (
    CancelAnswer,
    OpenOrder,
    parse_cancel_answer,
    parse_heartbeat,
    parse_open_orders,
    parse_own_trades,
    parse_scoring,
)
from pmrun.runner.errors import ConfigError, ProtocolViolation
from pmrun.runner.market import ConditionId, TokenId
from pmrun.runner.units import SECOND, Micros

Canceling = CancelAnswer | Rejected | Lost

_NO_ORDER = (b"", b"null", b"{}")  # what is told of an order that is not active any more (reference 3.4)


class Rest(PublicReads):
    """One account's calls. Reads raise CallFailed or ProtocolViolation; calls about orders return what is proven."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        urls: Urls,
        signer: Signer | None,
        api_key: ApiKey | None,
        budget: Budget,
        now: Callable[[], Micros],
        audit: Callable[[Exchanged], None] | None = None,
        settings: RestSettings = RestSettings(),
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Use a client that its owner closes; without signer and key, only what is public can be asked."""
        super().__init__(Transport(http, signer, api_key, budget, now, audit, settings, chance), urls)
        self.budget = budget
        self._now = now
        self._settings = settings

    @property
    def api_key(self) -> ApiKey | None:
        """The key that signs requests, once there is one."""
        return self.transport.api_key

    async def create_or_derive_key(self) -> ApiKey:
        """Get this wallet's API key and use it from now on (reference 2.2); CallFailed when there is none to get."""
        create = self._call("POST", "/auth/api-key", access=Access.KEY)
        result = await self.transport.send(create, self._settings.read_deadline)
        # Refused because one exists, or lost on the way: either way the key can be derived.
        if not (isinstance(result, Answer) and result.fine):
            result = await self.transport.read(self._call("GET", "/auth/derive-api-key", access=Access.KEY))
        self.transport.api_key = parse_api_key(result.body)
        return self.transport.api_key

    async def place(self, submissions: Sequence[Submission]) -> list[Placing]:
        """Send up to 15 signed orders, once; return what is proven of each, in their order.

        What the budget does not allow is not sent, and rejected with no status. Raises ValueError for more than 15.
        """
        if not 0 < len(submissions) <= MOST_ORDERS:
            raise ValueError(f"{len(submissions)} orders in one call, 1 to {MOST_ORDERS} are allowed")
        bodies = [order_body(submission, self._owner()) for submission in submissions]
        held = [self._held(submission) for submission in submissions]
        sent = [number for number, why in enumerate(held) if why is None]
        if sent and not self.budget.try_order(len(sent)):
            shed = Rejected(reason="not sent: places are shed, the budget is low", reaction=Reaction.RETRY_LATER)
            return [why or shed for why in held]
        if not sent:
            return [why for why in held if why is not None]
        chosen = [submissions[number] for number in sent]
        result = await self._send_orders([bodies[number] for number in sent])
        found: list[Placing | None] = list(held)
        for number, placing in zip(sent, placings(chosen, result), strict=True):
            found[number] = placing
            self._learn_leg(placing)
        return [placing for placing in found if placing is not None]

    async def cancel(self, order_ids: Sequence[str]) -> Canceling:
        """Cancel by id, in as many calls as the limits need.

        Where only some of the calls are answered, the ids of the others are not canceled, "not answered: …". Cancels
        may be repeated: a second one does no harm.
        """
        canceled: list[str] = []
        not_canceled: dict[str, str] = {}
        failures: list[Rejected | Lost] = []
        said: list[str] = []
        ids = tuple(dict.fromkeys(order_ids))
        for start in range(0, len(ids), self.budget.largest_cancel):
            chunk = ids[start : start + self.budget.largest_cancel]
            result = await self._cancel(self._cancel_ids(chunk), len(chunk))
            if isinstance(result, CancelAnswer):
                canceled += result.canceled
                not_canceled |= result.not_canceled
                said.append(result.said)
            else:
                failures.append(result)
                not_canceled |= dict.fromkeys(chunk, f"not answered: {reason_of(result)}")
        answered = len(failures) * self.budget.largest_cancel < len(ids)
        if failures and not answered:
            return failures[0]
        return CancelAnswer(tuple(canceled), not_canceled, "\n".join(said))

    async def cancel_all(self) -> Canceling:
        """Cancel every order of this API key; it may use the cancels kept in reserve."""
        return await self._cancel(self._cancel_call("/cancel-all", None), 1, counted=True)

    async def cancel_market(self, condition: ConditionId | None = None, token: TokenId | None = None) -> Canceling:
        """Cancel every order in a market, or in one token of it; ValueError when neither is named."""
        wanted = {"market": condition, "asset_id": token}
        body = {name: value for name, value in wanted.items() if value is not None}
        if not body:
            raise ValueError("a market or a token has to be named")
        return await self._cancel(self._cancel_call("/cancel-market-orders", body), 1, counted=True)

    async def open_orders(self) -> tuple[OpenOrder, ...]:
        """Return all our resting orders; IncompleteSnapshot unless every page came whole (O5)."""
        found = await read_whole(self.transport, self._own("/data/orders"), parse_open_orders)
        return tuple({order.order_id: order for order in found}.values())

    async def order(self, order_id: str) -> OpenOrder | None:
        """Return one order; None when it is not active, which does not say how it ended (reference 3.4)."""
        answer = await self.transport.read(self._own(f"/data/order/{order_id}"), missing_is_fine=True)
        if answer.body.strip() in _NO_ORDER:
            return None
        if not answer.fine:
            if rule(answer.status, answer.refusal.message).reaction is Reaction.NOT_FOUND:
                return None
            raise failure(self._own("/data/order"), answer)
        found = parse_open_orders(answer.body).rows
        if len(found) != 1 or found[0].order_id.lower() != order_id.lower():
            raise ProtocolViolation(f"GET /data/order/{order_id}: the answer is not about this order alone")
        return found[0]

    async def trades(self, after: Micros | None = None) -> tuple[TradeSeen, ...]:
        """Return our trades matched since a time (whole seconds, rounded down); IncompleteSnapshot unless all came."""
        query = () if after is None else (("after", str(after // SECOND)),)
        found = await read_whole(self.transport, self._own("/data/trades", query), parse_own_trades)
        return tuple({trade.trade_id: trade for trade in found}.values())

    async def balance(self, token: TokenId | None = None) -> BalanceAnswer:
        """Return the wallet's balance of a token (None: collateral) and what each contract may take of it."""
        call = self._own("/balance-allowance", self._asset(token))
        return parse_balance((await self.transport.read(call)).body)

    async def update_balance(self, token: TokenId | None = None) -> None:
        """Have the exchange look at the chain anew: after deposits, approvals, splits and merges (reference 3.5)."""
        await self.transport.read(self._own("/balance-allowance/update", self._asset(token)))

    async def heartbeat(self, heartbeat_id: str = "") -> str:
        """Keep our orders alive; return the id for the next time (reference 3.6).

        A stale id is put right at once, once. Raises CallFailed: then nothing was extended.
        """
        call = self._heartbeat(heartbeat_id)
        result = await self.transport.send(call, self._settings.order_deadline)
        if isinstance(result, Answer) and result.status == 400 and b"Invalid Heartbeat ID" in result.body:
            call = self._heartbeat(parse_heartbeat(result.body))
            result = await self.transport.send(call, self._settings.order_deadline)
        if isinstance(result, Unanswered) or not result.fine:
            raise failure(call, result)
        return parse_heartbeat(result.body)

    async def closed_only(self) -> bool:
        """Return whether this account may only close (reference 2.2)."""
        return parse_closed_only((await self.transport.read(self._own("/auth/ban-status/closed-only"))).body)

    async def order_scoring(self, order_ids: Sequence[str]) -> dict[str, bool]:
        """Return which orders earn rewards now (reference 3.7)."""
        body = msgspec.json.encode(list(order_ids))
        call = self._call("POST", "/orders-scoring", body=body, access=Access.ACCOUNT)
        return parse_scoring((await self.transport.read(call)).body)

    async def _send_orders(self, bodies: list[dict[str, object]]) -> Answer | Unanswered:
        path, content = ("/orders", bodies) if len(bodies) > 1 else ("/order", bodies[0])
        takes = any(not body["postOnly"] for body in bodies)
        call = self._call(
            "POST",
            path,
            body=msgspec.json.encode(content),
            kind=Kind.TAKE if takes else Kind.PLACE,
            access=Access.ACCOUNT,
        )
        return await self.transport.send(call, self._settings.order_deadline)

    def _held(self, submission: Submission) -> Rejected | None:
        """Say why an order is not sent now: the exchange asked for a pause."""
        kind = Kind.PLACE if submission[1] else Kind.TAKE
        wait = self.budget.blocked_until(kind) - self._now()
        if wait <= 0:
            return None
        reaction = Reaction.POST_ONLY if self.budget.blocked_until(Kind.PLACE) <= self._now() else Reaction.RETRY_LATER
        why = f"not sent: the exchange asked to wait {wait / SECOND:g} s more"
        return Rejected(reason=why, reaction=reaction, retry_after=Micros(wait))

    def _learn_leg(self, placing: Placing) -> None:
        if isinstance(placing, Rejected) and placing.status == 200 and placing.reaction is Reaction.POST_ONLY:
            self.budget.learn_post_only()

    async def _cancel(self, call: Call, count: int, counted: bool = False) -> Canceling:
        with trio.move_on_after(self._settings.cancel_wait / SECOND) as scope:
            await self.budget.cancel(count, urgent=counted)
        if scope.cancelled_caught:
            why = f"not sent: no room for a cancel within {self._settings.cancel_wait / SECOND:g} s"
            return Rejected(reason=why, reaction=Reaction.RETRY_LATER)
        result = await self.transport.send(call, self._settings.order_deadline)
        if isinstance(result, Unanswered) or not result.fine:
            return refused(result)
        try:
            answer = parse_cancel_answer(result.body)
        except ProtocolViolation as violation:
            return Lost(why=one_line(str(violation)), status=result.status)
        if counted:
            self.budget.canceled(len(answer.canceled))
        return answer

    def _cancel_ids(self, ids: Sequence[str]) -> Call:
        if len(ids) == 1:
            return self._cancel_call("/order", {"orderID": ids[0]})
        return self._cancel_call("/orders", ids)

    def _cancel_call(self, path: str, content: object) -> Call:
        body = b"" if content is None else msgspec.json.encode(content)
        return self._call("DELETE", path, body=body, kind=Kind.CANCEL, access=Access.ACCOUNT)

    def _heartbeat(self, heartbeat_id: str) -> Call:
        body = msgspec.json.encode({"heartbeat_id": heartbeat_id})
        return self._call("POST", "/v1/heartbeats", body=body, access=Access.ACCOUNT)

    def _asset(self, token: TokenId | None) -> tuple[tuple[str, str], ...]:
        signature_type = ("signature_type", str(self._signer().wallet.signature_type))
        if token is None:
            return ("asset_type", "COLLATERAL"), signature_type
        kind = "CONDITIONAL-V2" if is_position(token) else "CONDITIONAL"
        return ("asset_type", kind), ("token_id", token), signature_type

    def _own(self, path: str, query: tuple[tuple[str, str], ...] = ()) -> Call:
        return self._call("GET", path, query=query, access=Access.ACCOUNT)

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
        kind: Kind = Kind.READ,
        access: Access,
    ) -> Call:
        return Call(service=self.urls.clob, path=path, kind=kind, method=method, query=query, body=body, access=access)

    def _owner(self) -> str:
        if self.api_key is None:
            raise ConfigError("POST /order", None, "needs the API key")
        return self.api_key.key

    def _signer(self) -> Signer:
        if self.transport.signer is None:
            raise ConfigError("GET /balance-allowance", None, "needs the private key")
        return self.transport.signer
