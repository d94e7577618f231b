"""Connects a live session to an account: its lock, its file, its token, its truth (P6, R13)."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

from pmrun.plugins.exchanges.common.account_folder import account_folder
from pmrun.plugins.exchanges.common.account_session import begin, kept
from pmrun.plugins.exchanges.common.audit_file import AuditFile
from pmrun.plugins.exchanges.satori.budget import OrderBudget
from pmrun.plugins.exchanges.satori.credentials import Credentials
from pmrun.plugins.exchanges.satori.errors_table import BY_CODE
from pmrun.plugins.exchanges.satori.exchange import SatoriExchange, Wire
from pmrun.plugins.exchanges.satori.live_markets import LiveMarkets
from pmrun.plugins.exchanges.satori.rest import Rest
from pmrun.plugins.exchanges.satori.start import truth
from pmrun.plugins.exchanges.satori.streams import Listener, Socket, with_token
from pmrun.plugins.exchanges.satori.trading_terms import AccountTerms
from pmrun.plugins.exchanges.satori.wire import Me
from pmrun.runner.account_file import AccountFile
from pmrun.runner.errors import ConfigError
from pmrun.runner.ports import LiveSetup
from pmrun.runner.wallet_lock import hold_wallet

TRADE = "trade"


@asynccontextmanager
async def connected(
    terms: AccountTerms, data: LiveMarkets, setup: LiveSetup, credentials: Credentials
) -> AsyncIterator[SatoriExchange]:
    """Take the account, learn the truth, and trade until the block ends; what rests then is cancelled.

    Raises ConfigError for an account that another engine trades or that may not trade, ExchangeError for one that
    cannot.
    """
    rest = data.account_rest(credentials, AuditFile(setup.directory))
    me = await rest.me()
    may_trade(me)
    name, began = account_name(me), setup.now()
    folder = account_folder(terms.folder, data.url)
    with hold_wallet(name, setup.name, began, folder), AccountFile.open(name, folder) as account:
        begin(account, setup.name, began)
        found = await truth(rest, account, data.markets, setup.now)
        exchange = SatoriExchange(setup, data, _wire(terms, data, rest, account, setup), found)
        async with kept(exchange, data.start, setup):
            yield exchange


def account_name(me: Me) -> str:
    """Return what the account's file and lock are named by."""
    return f"satori-{re.sub(r'[^A-Za-z0-9_-]', '-', str(me.id))[:80]}"


def may_trade(me: Me) -> None:
    """Refuse an account that the exchange would refuse, and name the cure."""
    if me.two_factor_enabled is False:
        raise ConfigError("live", "two-factor authentication is off", BY_CODE[2025].cure)
    if me.kyc_tier is not None and me.kyc_tier < 1:
        raise ConfigError(
            "live", f"identity tier {me.kyc_tier}", "verify your identity at the exchange: tier 1 may trade"
        )
    if me.scopes is not None and TRADE not in me.scopes:
        raise ConfigError("live", f"the token's scopes are {', '.join(me.scopes) or 'none'}", BY_CODE[2030].cure)


def _wire(terms: AccountTerms, data: LiveMarkets, rest: Rest, account: AccountFile, setup: LiveSetup) -> Wire:
    def user(listener: Listener) -> Socket:
        rng: Random = data.rng
        return Socket(data.user_url, with_token(data.connect, rest.tokens), listener, setup.now, rng)

    return Wire(
        rest=rest,
        user=user,
        account=account,
        caps=terms.caps,
        budget=OrderBudget(terms.order_calls, terms.max_resting),
        pace=terms.pace,
    )
