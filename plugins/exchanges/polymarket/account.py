"""Connects a live session to an account: the wallet's lock, its file, its credentials, its truth (P6, R13)."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio
from loguru import logger

from pmrun.plugins.exchanges.common.account_folder import account_folder
from pmrun.plugins.exchanges.common.account_session import MayRest, begin, kept
from pmrun.plugins.exchanges.common.audit_file import AuditFile
from pmrun.plugins.exchanges.common.secret import Secret
from pmrun.plugins.exchanges.polymarket.credentials import ApiKey
from pmrun.plugins.exchanges.polymarket.exchange import PolymarketExchange, Wire
from pmrun.plugins.exchanges.polymarket.live_markets import LiveMarkets
from pmrun.plugins.exchanges.polymarket.rest import Rest
from pmrun.plugins.exchanges.polymarket.signing import Signer
from pmrun.plugins.exchanges.polymarket.start import truth
from pmrun.plugins.exchanges.polymarket.trading_terms import AccountTerms
from pmrun.plugins.exchanges.polymarket.user_stream import DiscreetSocket, UserAuth, UserListener, UserSocket
from pmrun.plugins.exchanges.polymarket.wire_orders import OpenOrder
from pmrun.runner.account_file import AccountFile
from pmrun.runner.errors import ConfigError
from pmrun.runner.ports import LiveSetup
from pmrun.runner.units import Micros, Side
from pmrun.runner.wallet_lock import hold_wallet

log = logger.bind(module="orders")
UNATTENDED = 5.0  # seconds that a start may take with bids of an earlier session resting
WITHDRAWN_WITHIN = 20.0  # seconds for the proof that they are gone
LOOK_AGAIN = 0.5


@asynccontextmanager
async def connected(
    terms: AccountTerms, data: LiveMarkets, setup: LiveSetup, key: Secret, funder: str | None, api_key: ApiKey | None
) -> AsyncIterator[PolymarketExchange]:
    """Take the wallet, learn the truth, and trade until the block ends; what rests then is cancelled.

    Raises ConfigError for a wallet that another engine trades, ExchangeError for an account that cannot trade.
    """
    signer = Signer(key, signature_type=terms.signature_type, funder=funder)
    address, began = signer.wallet.funder, setup.now()
    folder = account_folder(terms.folder, data.clob_url)
    with hold_wallet(address, setup.name, began, folder), AccountFile.open(address, folder) as account:
        rest = data.account_rest(signer, api_key, AuditFile(setup.directory))
        if rest.api_key is None:
            await rest.create_or_derive_key()
        await _may_trade(rest)
        begin(account, setup.name, began)
        with trio.move_on_after(UNATTENDED) as patience:
            found = await truth(rest, account, data.markets, setup.now)
        if patience.cancelled_caught:
            await _withdraw_bids(rest, account)
            found = await truth(rest, account, data.markets, setup.now)
        wire = Wire(rest, signer, _user_socket(data, rest, setup.now), account, terms.caps, terms.pace)
        exchange = PolymarketExchange(setup, data, wire, found)
        async with kept(exchange, data.start, setup):
            yield exchange


async def _withdraw_bids(rest: Rest, account: AccountFile) -> None:
    """Cancel our own bids, which would fill with nobody watching while an earlier session's trades settle.

    Raises MayRest where they cannot be seen to be gone.
    """
    with trio.move_on_after(WITHDRAWN_WITHIN):
        while left := [each.order_id for each in await rest.open_orders() if _our_bid(each, account)]:
            log.warning("{} bids of an earlier session are cancelled before the start goes on", len(left))
            await rest.cancel(left)
            await trio.sleep(LOOK_AGAIN)
        return
    raise MayRest("bids of an earlier session could not be cancelled")


def _our_bid(order: OpenOrder, account: AccountFile) -> bool:
    return order.side is Side.BUY and account.known(order.order_id)


async def _may_trade(rest: Rest) -> None:
    if await rest.closed_only():
        raise ConfigError("live", "closed only", "the exchange lets this account close and nothing else")


def _user_socket(data: LiveMarkets, rest: Rest, now: Callable[[], Micros]) -> Callable[[UserListener], UserSocket]:
    def auth() -> UserAuth:
        key = rest.api_key
        assert key is not None, "derived before"
        return key.key, key.secret.reveal(), key.passphrase.reveal()

    return lambda listener: DiscreetSocket(data.user_url, data.connect, auth, listener, now, data.rng)
