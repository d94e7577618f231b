"""SatoriEx's REST calls, typed (V1): every one says what it proves; one order a call, and one cancel."""

from collections.abc import Callable

import httpx
import msgspec

from pmrun.plugins.exchanges.common.calls import Exchanged, Kind
from pmrun.plugins.exchanges.common.market_news import BookSeen
from pmrun.plugins.exchanges.satori.credentials import Credentials
from pmrun.plugins.exchanges.satori.errors_table import Reaction
from pmrun.plugins.exchanges.satori.news import FillSeen, OrderSeen, WalletSeen
from pmrun.plugins.exchanges.satori.tokens import NoToken, Pair, Tokens
from pmrun.plugins.exchanges.satori.transport import Answer, Call, CallFailed, Transport, Unanswered
from pmrun.plugins.exchanges.satori.wire import (
    Me,
    PersonalToken,
    parse_login,
    parse_order,
    parse_own_trades,
    parse_page,
    parse_placed,
    parse_positions,
    parse_wallet,
)
from pmrun.plugins.exchanges.satori.wire_fields import NUMBERS, decode
from pmrun.plugins.exchanges.satori.wire_markets import Listed, parse_book, parse_market
from pmrun.runner.errors import ProtocolViolation
from pmrun.runner.intents import Place
from pmrun.runner.market import ConditionId, TokenId
from pmrun.runner.units import SIZE_SCALE, Micros

PAGE = 100  # rows of a list asked for at once
MOST_PAGES = 100


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """Proof that a request was not carried out, and what that asks for."""

    reason: str
    reaction: Reaction
    cure: str = ""
    wait: float | None = None  # seconds that the exchange asks us to wait


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """Nobody can say whether a request was carried out."""

    why: str
    reaction: Reaction = Reaction.LOOK_UP


Outcome = OrderSeen | Rejected | Lost


class Rest:
    """The calls; those of the account need credentials."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        url: str,
        now: Callable[[], Micros],
        credentials: Credentials | None = None,
        audit: Callable[[Exchanged], None] | None = None,
        simulated: bool = False,
    ) -> None:
        """Take how the exchange is reached; `simulated` marks what is listed there."""
        self.now = now
        self._simulated = simulated
        self.tokens = None if credentials is None else Tokens(credentials, self._login, self._refresh, now)
        self.transport = Transport(http, url, now, self.tokens, audit)

    # Tokens.

    async def _login(self, body: dict[str, str]) -> Pair:
        pair = await self._tokens_from("/auth/login", msgspec.json.encode(body))
        if isinstance(pair, Answer):
            cure = pair.ruling.cure or "see that SATORI_EMAIL, SATORI_PASSWORD and SATORI_TOTP are right"
            raise NoToken(f"POST /auth/login: {pair.why}: {cure}")
        return pair

    async def _refresh(self, refresh_token: str) -> Pair | None:
        pair = await self._tokens_from("/auth/refresh", msgspec.json.encode({"refresh_token": refresh_token}))
        return None if isinstance(pair, Answer) else pair

    async def _tokens_from(self, path: str, body: bytes) -> Pair | Answer:
        result = await self.transport.send(Call(path=path, template=path, method="POST", body=body, secret=True))
        if isinstance(result, Unanswered):
            raise CallFailed(f"POST {path}", result.why)
        if not result.fine:
            if result.status >= 500 or result.ruling.reaction is Reaction.RETRY_LATER:
                raise CallFailed(f"POST {path}", result.why, result.ruling)
            return result
        pair = parse_login(result.data)
        if pair is None:
            raise ProtocolViolation(f"POST {path}: access_token, refresh_token and expires_in are not all there")
        return pair

    # Public.

    async def markets(self, status: str, page: int) -> tuple[list[Listed], int]:
        """Return one page of markets, and how many there are."""
        query = (("status", status), ("page", str(page)), ("page_size", str(PAGE)))
        found = parse_page(await self._public("/markets", "/markets", query), "markets")
        return [parse_market(row, self._simulated) for row in found.rows], found.total

    async def market(self, condition: ConditionId) -> Listed:
        """Return a market."""
        return parse_market(await self._public(f"/markets/{condition}", "/markets/:id"), self._simulated)

    async def book(self, condition: ConditionId, token: TokenId) -> BookSeen:
        """Return the ladder of one outcome."""
        return parse_book(await self._public(f"/orderbook/{condition}/{token}", "/orderbook/:id/:id"))

    async def _public(self, path: str, template: str, query: tuple[tuple[str, str], ...] = ()) -> bytes:
        found = await self.transport.read(Call(path=path, template=template, query=query))
        assert found is not None, "only where a missing one is fine"
        return found

    # The account.

    async def me(self) -> Me:
        """Return who the account is."""
        return decode(Me, await self._own("/me", "/me"), "me")

    async def personal_tokens(self) -> list[PersonalToken]:
        """Return the personal access tokens as they are listed."""
        raw = await self._own("/me/personal-access-tokens", "/me/personal-access-tokens")
        listed = raw if raw.lstrip().startswith(b"[") else bytes(decode(dict[str, msgspec.Raw], raw, "tokens")["items"])
        return decode(list[PersonalToken], listed, "tokens")

    async def wallet(self) -> WalletSeen:
        """Return the account's cash."""
        return parse_wallet(await self._own("/wallet/balance", "/wallet/balance"))

    async def positions(self) -> dict[TokenId, int]:
        """Return the account's shares in base units."""
        return (await self.positions_and_locked())[0]

    async def positions_and_locked(self) -> tuple[dict[TokenId, int], dict[TokenId, int]]:
        """Return the account's shares in base units, and how many of them orders keep."""
        return parse_positions(await self._own("/me/positions", "/me/positions"))

    async def orders(self, status: str) -> list[OrderSeen]:
        """Return all orders that are `active`, or ended `recent`ly; raises what a list that is not whole deserves."""
        found: dict[str, OrderSeen] = {}
        for page in range(1, MOST_PAGES + 1):
            query = (("status", status), ("page", str(page)), ("page_size", str(PAGE)))
            read = parse_page(await self._own("/orders", "/orders", query), "orders")
            for row in read.rows:
                seen = parse_order(row)
                found[seen.order_id] = seen
            if len(found) >= read.total or not read.rows:
                break
        if len(found) < read.total:
            raise ProtocolViolation(f"GET /orders: {len(found)} of {read.total} orders came")
        return list(found.values())

    async def order(self, order_id: str) -> OrderSeen | None:
        """Return an order; None for one that the exchange does not know."""
        call = Call(path=f"/orders/{order_id}", template="/orders/:id", ours=True)
        raw = await self.transport.read(call, missing_is_fine=True)
        return None if raw is None else parse_order(raw)

    async def order_trades(self, order_id: str) -> list[FillSeen]:
        """Return the trades of an order."""
        return parse_own_trades(await self._own(f"/orders/{order_id}/trades", "/orders/:id/trades"), order_id)

    async def _own(self, path: str, template: str, query: tuple[tuple[str, str], ...] = ()) -> bytes:
        found = await self.transport.read(Call(path=path, template=template, query=query, ours=True))
        assert found is not None, "only where a missing one is fine"
        return found

    # Orders: sent once, whatever comes of it.

    async def place(self, place: Place, condition: ConditionId, token: TokenId) -> Outcome:
        """Send an order."""
        body = {
            "market_id": condition,
            "outcome_id": token,
            "side": NUMBERS[place.side],
            "price": place.price,
            "quantity": place.size // SIZE_SCALE,
        }
        call = Call(
            path="/orders",
            template="/orders",
            kind=Kind.PLACE,
            method="POST",
            body=msgspec.json.encode(body),
            ours=True,
        )
        return await self._order_call(call, parse_placed)

    async def cancel(self, order_id: str) -> Outcome:
        """Take an order off the book: asked twice, it is done once."""
        path = f"/orders/{order_id}/cancel"
        call = Call(path=path, template="/orders/:id/cancel", kind=Kind.CANCEL, method="POST", ours=True)
        return await self._order_call(call, _parse_cancelled)

    async def _order_call(self, call: Call, parse: Callable[[bytes], OrderSeen]) -> Outcome:
        try:
            result = await self.transport.send(call)
        except CallFailed as failed:  # there was no token to be had just now
            return Rejected(reason=str(failed), reaction=Reaction.RETRY_LATER)
        except (NoToken, ProtocolViolation) as error:
            return Rejected(reason=str(error), reaction=Reaction.RENEW)
        if isinstance(result, Unanswered):
            if result.sent:
                return Lost(why=result.why)
            return Rejected(reason=result.why, reaction=Reaction.RETRY_LATER)
        if result.fine:
            try:
                return parse(result.data)
            except ProtocolViolation as violation:
                return Lost(why=str(violation), reaction=Reaction.HALT_MARKET)
        ruling = result.ruling
        if ruling.proven:
            return Rejected(reason=result.why, reaction=ruling.reaction, cure=ruling.cure, wait=result.wait)
        return Lost(why=result.why, reaction=ruling.reaction)


def _parse_cancelled(raw: bytes) -> OrderSeen:
    """Read the answer to a cancel: the order itself, or one that is wrapped as that to a new order is."""
    return parse_placed(raw) if b'"order"' in raw[:20] else parse_order(raw, "cancel")


__all__ = ["CallFailed", "Lost", "Outcome", "Rejected", "Rest"]
