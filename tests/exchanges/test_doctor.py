"""The doctor: each thing that would keep an account from trading is broken in turn, and named with its cure."""

import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from rich.console import Console
from trio.testing import MockClock

from pmrun.plugins.exchanges.common.account_reader import reading
from pmrun.plugins.exchanges.common.doctor_findings import (
    Finding,
    Level,
    exit_code,
    lines,
    misconfigured,
    ok,
    refused,
    table,
    verdict,
    warning,
)
from pmrun.plugins.exchanges.common.network import Network
from pmrun.plugins.exchanges.common.secret import Secret
from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.host import Host
from pmrun.plugins.exchanges.embedded.identity import checksum
from pmrun.plugins.exchanges.embedded.memory import MemoryNetwork
from pmrun.plugins.exchanges.embedded.settings import HostSettings
from pmrun.plugins.exchanges.embedded.terms import Reply, SettlementPace
from pmrun.plugins.exchanges.polymarket import doctor_account
from pmrun.plugins.exchanges.polymarket.budget import Budget
from pmrun.plugins.exchanges.polymarket.doctor import ACCOUNT, PUBLIC, examine
from pmrun.plugins.exchanges.polymarket.rest import Rest
from pmrun.plugins.exchanges.polymarket.signing import Signer
from pmrun.plugins.exchanges.polymarket.transport import Urls
from pmrun.plugins.exchanges.verbs import doctor as doctor_verb
from pmrun.plugins.exchanges.verbs import limits as limits_verb
from pmrun.runner import cli
from pmrun.runner.account_file import AccountFile
from pmrun.runner.assembly import Plan, plan
from pmrun.runner.compose import compose_config
from pmrun.runner.errors import ConfigError, DataError
from pmrun.runner.market import ConditionId, Market, TokenId
from pmrun.runner.units import SECOND, Cash, Micros, Price, Side, Size
from pmrun.runner.wallet_lock import hold_wallet

NOON = Micros(1_772_366_400 * SECOND)
DAY = 86_400 * SECOND
DOLLAR = 1_000_000
CANARY = "5e" * 32
KEY = f"0x{CANARY}"
ADDRESS = Signer(Secret(KEY)).address
SAFE = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
OTHER = "0x" + "1" * 40
MEMORY = [f"feed.{name}_url=http://memory" for name in ("clob", "gamma", "data", "geoblock")]
LIVE = [
    "strategy=reward_mm", "exchange=live", "live.armed=true", "live.max_order_usd=10", "live.max_resting_usd=100",
    "feed.socket_url=ws://memory", *MEMORY,
]  # fmt: skip


def market(name: str, **terms: Any) -> Market:
    number = int(hashlib.sha256(name.encode()).hexdigest(), 16)
    given: dict[str, Any] = {
        "condition": ConditionId(f"0x{number:064x}"),
        "question": f"Will it {name}?",
        "slug": name,
        "yes": TokenId(str(number | 1)),
        "no": TokenId(str(number & ~1)),
        "tick": Price(100),
        "min_order_size": Size(5_000_000),
        "simulated": True,
    }
    return Market(**(given | terms))


RAIN = market("rain")
SNOW = market("snow", neg_risk=True, tick=Price(10))


@cache
def planned(*overrides: str) -> Plan:
    return plan(compose_config(list(overrides)))


@dataclass
class Ward:
    """An account at an embedded exchange in this process, and a doctor who looks at both."""

    folder: Path
    settings: HostSettings = HostSettings()
    markets: tuple[Market, ...] = (RAIN, SNOW)
    pace: SettlementPace = SettlementPace()
    environment: dict[str, str] = field(default_factory=lambda: {"POLYMARKET_PRIVATE_KEY": KEY})
    executor: dict[str, Any] = field(default_factory=dict)  # other settings of it
    feed: dict[str, Any] = field(default_factory=dict)
    ahead: float = 0.0  # seconds that our clock is ahead of the exchange's
    altered: dict[str, bytes] = field(default_factory=dict)  # what is answered instead, by path
    heartbeat: bool = False
    down: bool = False

    def __post_init__(self) -> None:
        self.engine = Engine(self.markets, self.pace)
        self.host = Host(self.engine, self.theirs, settings=self.settings)
        answer = self.host.answer

        def altered(request: Any) -> Reply:
            instead = self.altered.get(request.path)
            return answer(request) if instead is None else Reply(status=200, body=instead)

        self.host.answer = altered  # type: ignore[method-assign]

    @property
    def state(self) -> Path:
        return self.folder / "state" / "memory"

    def theirs(self) -> Micros:
        try:
            return Micros(NOON + round(trio.current_time() * SECOND))
        except RuntimeError:
            return NOON

    def ours(self) -> Micros:
        return Micros(self.theirs() + round(self.ahead * SECOND))

    def looks(self, before: Callable[[Network], Any] | None = None) -> dict[str, list[Finding]]:
        """Let the doctor look, after something else; return what was found, by check. No secret shows in any of it."""
        found = trio.run(self._look, before, clock=MockClock(autojump_threshold=0))
        shown = "\n".join([*lines(found), verdict(found), repr(found)])
        for secret in self.secrets():
            assert secret not in shown
        by_check: dict[str, list[Finding]] = {}
        for each in found:
            by_check.setdefault(each.check, []).append(each)
        self.code = exit_code(found)
        return by_check

    def secrets(self) -> list[str]:
        known = [CANARY, *(value for name, value in self.environment.items() if name.endswith(("SECRET", "PHRASE")))]
        for key in self.host._identity._keys.values():
            known += [key.secret, key.passphrase]
        return known

    async def _look(self, before: Callable[[Network], Any] | None) -> list[Finding]:
        made = planned(*LIVE)
        made = made._replace(
            executor=replace(made.executor, account_folder=str(self.state.parent), **self.executor),  # type: ignore[type-var]
            feed=replace(made.feed, **self.feed),  # type: ignore[type-var]
        )
        async with trio.open_nursery() as nursery:
            network = MemoryNetwork(self.host)
            await nursery.start(network.run)
            network.refuse_connections = self.down
            carrier = httpx.MockTransport(refuses) if self.down else network.transport()
            async with httpx.AsyncClient(transport=carrier, timeout=None) as http:
                reached = Network(http, network.connect)
                if before is not None:
                    await before(reached)
                found = await examine(made, reached, self.ours, self.environment, self.folder, self.heartbeat)
            nursery.cancel_scope.cancel()
        return found

    def trader(self, network: Network, **wallet: Any) -> Rest:
        urls = Urls(clob="http://memory", gamma="http://memory", data="http://memory", geoblock="http://memory")
        return Rest(network.http, urls, Signer(Secret(KEY), **wallet), None, Budget(self.theirs), self.theirs)

    def bids(self, post_only: bool = True, **wallet: Any) -> Callable[[Network], Any]:
        """Let the account's wallet bid for ten shares of rain at 40 cents."""

        async def bid(network: Network) -> None:
            rest = self.trader(network, **wallet)
            await rest.create_or_derive_key()
            assert rest.transport.signer is not None
            terms = (RAIN.yes, Side.BUY, Price(4000), Size(10_000_000), RAIN.tick, False)
            [placed] = await rest.place([(rest.transport.signer.order(*terms, at=self.theirs()), post_only)])
            assert getattr(placed, "order_id", None), placed

        return bid


def refuses(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("Name or service not known")


@pytest.fixture
def ward(tmp_path: Path) -> Callable[..., Ward]:
    return lambda **given: Ward(tmp_path, **given)


def only(found: dict[str, list[Finding]], check: str) -> Finding:
    [finding] = found[check]
    return finding


def failed(found: dict[str, list[Finding]]) -> set[str]:
    return {each.check for every in found.values() for each in every if each.level is Level.FAILED}


# A healthy account.


def test_an_account_with_nothing_wrong_could_trade_and_no_order_was_placed_to_find_out(ward):
    patient = ward()
    found = patient.looks()
    assert patient.code == 0
    assert failed(found) == set()
    assert {check for check, every in found.items() if every[0].level is not Level.OK} == {"heartbeat"}
    assert set(found) >= {step.name for step in PUBLIC + ACCOUNT} - {"addresses"}
    assert only(found, "private key").seen == f"well-formed; its address is {ADDRESS}"
    assert only(found, "balance").seen == "$10000 pUSD for signature type 0"
    assert only(found, "caps").seen == "armed; an order $10 at most, all bids in play $100"
    assert only(found, "allowance").seen == "exchange V2, neg-risk exchange V2 may take pUSD and tokens"
    assert patient.engine.drain() == []
    assert not patient.state.exists(), "looking makes no file"


def test_paper_needs_only_what_is_public(ward, tmp_path):
    patient = ward()
    made = planned("strategy=reward_mm", "feed=polymarket", "executor=paper", "feed.socket_url=ws://memory", *MEMORY)

    async def look() -> list[Finding]:
        async with trio.open_nursery() as nursery:
            network = MemoryNetwork(patient.host)
            await nursery.start(network.run)
            async with httpx.AsyncClient(transport=network.transport()) as http:
                found = await examine(made, Network(http, network.connect), patient.ours, {}, tmp_path)
            nursery.cancel_scope.cancel()
        return found

    found = trio.run(look, clock=MockClock(autojump_threshold=0))
    assert {each.check for each in found if each.check in {step.name for step in ACCOUNT}} == set()
    assert {each.level for each in found} == {Level.OK}
    assert patient.host._identity._keys == {}


def test_a_run_that_is_not_armed_is_a_dry_run_and_says_so(ward):
    found = ward(executor={"armed": False, "max_resting_usd": None}).looks()
    caps = only(found, "caps")
    assert caps.level is Level.WARNING
    assert caps.cure == "set live.max_resting_usd=DOLLARS, live.armed=true"


def test_a_feed_that_is_not_live_has_nothing_to_look_at():
    made = planned("strategy=reward_mm", "exchange=paper")
    with pytest.raises(ConfigError, match="is not live, nothing of it can be looked at: exchange=live"):
        trio.run(examine, made, None, lambda: NOON, {}, Path())


# The road, and the exchange.


def test_an_exchange_out_of_reach_is_named_once_and_what_needs_it_is_not_called_fine(ward):
    patient = ward(down=True)
    found = patient.looks()
    assert patient.code == 3
    assert failed(found) == {"CLOB", "Gamma", "market socket", "user socket"}
    assert only(found, "CLOB").seen == "http://memory: not sent: ConnectError Name or service not known"
    assert only(found, "CLOB").cure.endswith("and at feed.clob_url")
    assert only(found, "Data API").level is Level.WARNING
    for check in ("version", "clock", "markets", "terms", "API key", "balance", "open orders"):
        assert only(found, check).level is Level.NOT_TRIED
    assert only(found, "version").seen == "needs the CLOB"
    assert only(found, "wallet lock").level is Level.OK


def test_another_generation_of_orders_would_refuse_every_one_of_ours(ward):
    patient = ward(altered={"/version": b'{"version": 3}'})
    found = patient.looks()
    assert (patient.code, failed(found)) == (3, {"version"})
    assert "update pmrun" in only(found, "version").cure


@pytest.mark.parametrize(("ahead", "level"), [(1.4, Level.OK), (3.5, Level.WARNING), (-5.5, Level.WARNING)])
def test_a_clock_that_is_a_little_off_is_seen(ward, ahead, level):
    patient = ward(ahead=ahead)
    found = patient.looks()
    assert patient.code == 0
    assert only(found, "clock").level is level
    assert f"is {ahead:+.1f} s off" in only(found, "clock").seen


@pytest.mark.parametrize("ahead", [30.0, -30.0])
def test_a_skewed_clock_keeps_an_account_from_trading(ward, ahead):
    patient = ward(ahead=ahead)
    found = patient.looks()
    assert (patient.code, failed(found)) == (3, {"clock"})
    assert "NTP" in only(found, "clock").cure


def test_where_the_clock_makes_signatures_refused_the_clock_is_to_be_set_first(ward):
    found = ward(ahead=300.0).looks()
    assert failed(found) == {"clock", "API key"}
    assert only(found, "API key").cure.endswith("set the clock first")


def test_a_blocked_place_is_named(ward):
    patient = ward(settings=HostSettings(geoblocked=True, country="CU"))
    found = patient.looks()
    assert (patient.code, failed(found)) == (3, {"geoblock"})
    assert only(found, "geoblock").seen == "blocked from CU: every order is refused"


def test_a_close_only_place_is_told_from_a_blocked_one(ward):
    found = ward(settings=HostSettings(geoblocked=True, country="US")).looks()
    assert only(found, "geoblock").seen == "close-only from US: orders that open are refused"
    unblocked = ward(settings=HostSettings(country="US")).looks()
    assert only(unblocked, "geoblock").level is Level.WARNING


def test_a_tick_on_which_the_exchange_disagrees_with_itself_is_not_traded_by(ward):
    patient = ward(altered={"/tick-size": b'{"minimum_tick_size": 0.001}'}, markets=(RAIN,))
    found = patient.looks()
    assert (patient.code, failed(found)) == (3, {"terms"})
    assert only(found, "terms").seen == "rain: tick 0.001 by /tick-size, 0.01 by /clob-markets, 0.01 by book"


def test_a_kind_of_market_on_which_the_exchange_disagrees_would_be_signed_for_the_wrong_contract(ward):
    found = ward(altered={"/neg-risk": b'{"neg_risk": true}'}, markets=(RAIN,)).looks()
    assert only(found, "terms").seen == "rain: neg-risk yes by /neg-risk, no by /clob-markets, no by book"


def test_a_market_that_is_named_and_not_there_is_a_mistake_of_the_settings(ward):
    patient = ward(feed={"slugs": ("hail",)})
    found = patient.looks()
    assert (patient.code, failed(found)) == (2, {"markets"})
    assert "hail" in only(found, "markets").seen
    assert only(found, "terms").level is Level.NOT_TRIED


# Credentials.


def test_without_a_private_key_everything_public_is_looked_at_all_the_same(ward):
    patient = ward(environment={})
    found = patient.looks()
    assert (patient.code, failed(found)) == (2, {"private key"})
    assert "POLYMARKET_PRIVATE_KEY: is not set" in only(found, "private key").seen
    assert only(found, "terms").level is Level.OK
    assert only(found, "balance").level is Level.NOT_TRIED


def test_a_private_key_that_is_none_is_not_shown(ward):
    patient = ward(environment={"POLYMARKET_PRIVATE_KEY": CANARY[:-2] + "zz", "POLYMARKET_API_SECRET": CANARY[:-2]})
    found = patient.looks()
    assert patient.code == 2
    assert "64 hexadecimal digits" in only(found, "private key").seen


def given_key(secret: str = "c2VjcmV0", name: str = "00000000-0000-4000-8000-000000000000") -> dict[str, str]:
    return {
        "POLYMARKET_PRIVATE_KEY": KEY,
        "POLYMARKET_API_KEY": name,
        "POLYMARKET_API_SECRET": secret,
        "POLYMARKET_API_PASSPHRASE": "a-passphrase",
    }


def test_a_bad_api_secret_is_refused_while_the_derived_key_works_so_the_cure_is_to_unset_it(ward):
    patient = ward(environment=given_key())
    found = patient.looks()
    assert (patient.code, failed(found)) == (3, {"API key"})
    finding = only(found, "API key")
    assert "401 Unauthorized/Invalid api key; the derived one is accepted" in finding.seen
    assert finding.cure.startswith("unset POLYMARKET_API_KEY, POLYMARKET_API_SECRET and POLYMARKET_API_PASSPHRASE")
    assert only(found, "balance").level is Level.OK


def test_an_api_secret_that_is_no_base64_is_a_mistake_of_ours(ward):
    patient = ward(environment=given_key("no*base64!"))
    found = patient.looks()
    assert (patient.code, failed(found)) == (2, {"API key"})
    assert only(found, "API key").seen == "POLYMARKET_API_SECRET: is no base64 text"


def test_the_api_key_that_is_given_is_used_where_it_is_accepted(ward):
    patient = ward()
    made = patient.host._identity.create(ADDRESS, 0)
    patient.host.accounts.welcome(ADDRESS, NOON)
    patient.environment = given_key(made.secret, made.key) | {"POLYMARKET_API_PASSPHRASE": made.passphrase}
    found = patient.looks()
    assert patient.code == 0
    assert only(found, "API key").seen == "the given one is accepted"


def test_an_account_that_may_only_close_is_named(ward):
    patient = ward(settings=HostSettings(closed_only=True))
    found = patient.looks()
    assert (patient.code, failed(found)) == (3, {"closed only"})


# The wallet.


def test_a_funder_beside_a_key_that_pays_itself_is_a_mistake(ward):
    patient = ward()
    patient.environment["POLYMARKET_FUNDER"] = SAFE
    found = patient.looks()
    assert (patient.code, failed(found)) == (2, {"signature type"})
    finding = only(found, "signature type")
    assert f"with signature type 0 the key's own wallet {ADDRESS} pays" in finding.seen
    assert "unset POLYMARKET_FUNDER, or say what kind of wallet it is: executor.signature_type=1" in finding.cure


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_a_wallet_of_its_own_has_to_be_named_and_where_the_money_is_is_said(ward, kind):
    patient = ward(executor={"signature_type": kind}, settings=HostSettings(open_to_all=False))
    patient.host.add_account(ADDRESS, Cash(10_000 * DOLLAR))
    found = patient.looks()
    assert (patient.code, failed(found)) == (2, {"signature type"})
    assert only(found, "signature type").cure == (
        "set POLYMARKET_FUNDER to the wallet that polymarket.com shows as yours, or executor.signature_type=0 "
        "(the exchange sees $10000 for signature type 0)"
    )
    assert only(found, "balance").level is Level.NOT_TRIED


def test_a_mistyped_funder_is_found_by_its_checksum(ward):
    patient = ward(executor={"signature_type": 2})
    patient.environment["POLYMARKET_FUNDER"] = SAFE.replace("E7E", "e7E", 1)
    assert "mistake" in only(patient.looks(), "signature type").seen


def test_money_under_another_signature_type_is_found(ward):
    patient = ward(settings=HostSettings(open_to_all=False))
    patient.host.add_account(ADDRESS, Cash(25 * DOLLAR), 2, SAFE)
    found = patient.looks()
    assert (patient.code, failed(found)) == (2, {"balance"})
    finding = only(found, "balance")
    assert finding.seen == "$0 pUSD for signature type 0 (the exchange sees $25 for signature type 2)"
    assert finding.cure.startswith("set executor.signature_type to where the money is")


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_a_wallet_that_fits_is_fine_and_who_signs_for_it_is_said(ward, kind):
    patient = ward(executor={"signature_type": kind})
    patient.host.add_account(ADDRESS, Cash(25 * DOLLAR), kind, SAFE)
    patient.environment["POLYMARKET_FUNDER"] = SAFE
    found = patient.looks()
    assert (patient.code, failed(found)) == (0, set())
    signs = SAFE if kind == 3 else ADDRESS
    assert only(found, "signature type").seen.endswith(f"{signs} signs, {SAFE} pays")
    assert only(found, "balance").seen == f"$25 pUSD for signature type {kind}"
    assert only(found, "funder").level is Level.NOT_TRIED, "nothing has shown yet whose it is"


@pytest.mark.parametrize(("named", "level"), [(SAFE, Level.OK), (checksum(OTHER), Level.FAILED)])
def test_orders_of_the_api_key_show_whether_the_funder_is_theirs(ward, named, level):
    patient = ward(executor={"signature_type": 2})
    patient.host.add_account(ADDRESS, Cash(25 * DOLLAR), 2, SAFE)
    patient.environment["POLYMARKET_FUNDER"] = named
    found = patient.looks(patient.bids(signature_type=2, funder=SAFE))
    assert only(found, "funder").level is level
    if level is Level.FAILED:
        assert patient.code == 2
        seen = f"orders and trades of this API key are of {SAFE}, and POLYMARKET_FUNDER is {named}"
        assert only(found, "funder").seen == seen


def test_an_empty_account_is_told_to_deposit_and_to_wrap(ward):
    patient = ward(settings=HostSettings(funds=Cash(0)))
    found = patient.looks()
    assert (patient.code, failed(found)) == (3, {"balance"})
    cure = f"deposit to {ADDRESS}; USDC and USDC.e do not count: wrap them to pUSD"
    assert only(found, "balance").cure == cure


def test_less_than_one_order_is_worth_a_look(ward):
    found = ward(settings=HostSettings(funds=Cash(9 * DOLLAR))).looks()
    assert only(found, "balance").level is Level.WARNING


def test_a_missing_allowance_names_the_contract_and_the_call_that_gives_it(ward):
    spender = doctor_account.NEG_RISK_EXCHANGE_V2
    patient = ward(settings=HostSettings(allowances={spender: 0}))
    found = patient.looks()
    assert (patient.code, failed(found)) == (3, {"allowance"})
    pusd, tokens = found["allowance"]
    assert pusd.seen == f"neg-risk exchange V2 {spender} may take no pUSD"
    assert pusd.cure.startswith(f"from {ADDRESS}: approve({spender}, max) on pUSD 0xC011")
    assert tokens.seen == f"neg-risk exchange V2 {spender} may take no outcome tokens"
    assert f"setApprovalForAll({spender}, true) on CTF 0x4D97" in tokens.cure


def test_an_allowance_that_no_market_needs_is_a_warning(ward):
    patient = ward(settings=HostSettings(allowances={doctor_account.NEG_RISK_EXCHANGE_V2: 0}), markets=(RAIN,))
    found = patient.looks()
    assert patient.code == 0
    assert only(found, "allowance").level is Level.WARNING
    assert "no market that was found needs it" in only(found, "allowance").cure


def test_an_allowance_below_the_balance_will_be_used_up(ward):
    found = ward(settings=HostSettings(allowances={doctor_account.EXCHANGE_V2: 3 * DOLLAR})).looks()
    assert only(found, "allowance").seen == "less than the balance: exchange V2 $3"


def test_the_contracts_that_are_looked_at_are_those_that_orders_are_signed_for():
    from py_clob_client_v2.config import get_contract_config

    config = get_contract_config(137)
    signed_for = {config.exchange_v2, config.neg_risk_exchange_v2, config.exchange_v3}
    assert signed_for == set(doctor_account.SPENDERS)
    assert config.collateral == doctor_account.PUSD


# What the account is doing already.


def test_orders_that_rest_already_are_counted(ward):
    patient = ward()
    found = patient.looks(patient.bids())
    assert patient.code == 0
    assert only(found, "open orders").seen == "1 rest already"
    assert only(found, "open orders").level is Level.WARNING
    elsewhere = ward(feed={"slugs": ("snow",)})
    found = elsewhere.looks(elsewhere.bids())
    assert only(found, "open orders").seen == "1 rest already, 1 in markets that were not found"


@pytest.mark.parametrize(("waited", "level"), [(5, Level.WARNING), (300, Level.FAILED)])
def test_trades_that_do_not_settle_keep_a_session_from_starting(ward, waited, level):
    patient = ward(pace=SettlementPace(mined_after=Micros(3_600 * SECOND)))
    patient.engine.crowd_set(0, Side.SELL, Price(4000), Size(50_000_000), NOON)

    async def take(network: Network) -> None:
        await patient.bids(post_only=False)(network)
        await trio.sleep(waited)

    found = patient.looks(take)
    assert only(found, "trades").level is level
    assert only(found, "trades").seen == f"1 not settled, the oldest for {waited} s"


def test_a_heartbeat_is_sent_only_when_asked_for(ward):
    assert only(ward().looks(), "heartbeat").level is Level.NOT_TRIED
    patient = ward(heartbeat=True)
    assert only(patient.looks(), "heartbeat").seen.startswith("accepted")
    assert len(patient.host._heartbeats._heard) == 1


def test_a_heartbeat_that_could_cancel_orders_is_not_sent(ward):
    patient = ward(heartbeat=True)
    finding = only(patient.looks(patient.bids()), "heartbeat")
    assert finding.level is Level.NOT_TRIED
    assert finding.seen.startswith("1 orders rest; a heartbeat arms the dead-man switch")
    assert patient.host._heartbeats._heard == {}


# This machine.


def test_a_wallet_that_an_engine_trades_is_held_and_by_whom_is_said(ward):
    patient = ward(heartbeat=True)
    with hold_wallet(ADDRESS, "run-7", NOON, patient.state, pid=123, host="desk"):
        found = patient.looks(patient.bids())
    assert (patient.code, failed(found)) == (2, {"wallet lock"})
    who = "pid 123 on desk since 2026-03-01 12:00:00 UTC (run run-7)"
    assert only(found, "wallet lock").seen == f"held by {who}"
    assert only(found, "open orders").level is Level.OK
    assert only(found, "heartbeat").level is Level.NOT_TRIED


def test_a_session_that_crashed_is_remembered(ward):
    patient = ward()
    with AccountFile.open(ADDRESS, patient.state) as account:
        account.begin_session("run-7", NOON, 123)
    found = patient.looks()
    assert patient.code == 0
    assert "run-7 of 2026-03-01 12:00:00 UTC did not end cleanly" in only(found, "account file").seen
    with AccountFile.open(ADDRESS, patient.state) as account:
        account.begin_session("run-8", NOON, 123)
        account.end_session(NOON, True)
    assert only(patient.looks(), "account file").level is Level.OK


def test_an_account_file_that_others_can_read_is_refused(ward):
    patient = ward()
    AccountFile.open(ADDRESS, patient.state).close()
    next(patient.state.glob("*.sqlite")).chmod(0o644)
    found = patient.looks()
    assert (patient.code, failed(found)) == (2, {"account file", "limits"})
    assert "chmod 600" in only(found, "account file").seen


def test_what_was_written_by_a_clock_ahead_of_ours_is_refused(ward):
    patient = ward()
    with AccountFile.open(ADDRESS, patient.state) as account:
        account.carry("risk.order_rate", {"count": 1, "last": NOON, "until": 0}, Micros(NOON + DAY))
    found = patient.looks()
    assert failed(found) == {"limits"}
    assert "the clock is, or was, wrong" in only(found, "limits").seen


DRAWN = {"peak": 100, "low": 40, "high": 41, "tripped": 1}
LOST = {"day": NOON // DAY, "start": 100, "low": 40, "high": 41, "tripped": 1}


@pytest.mark.parametrize(
    ("node", "values", "said"),
    [
        ("risk.drawdown", DRAWN, "risk.drawdown is tripped: until it is reset"),
        ("risk.daily_loss", LOST, "risk.daily_loss is tripped: until 2026-03-02 00:00:00 UTC"),
        (
            "risk.error_rate",
            {"count": 21, "last": NOON, "until": NOON + 60 * SECOND},
            "risk.error_rate is tripped: until 2026-03-01 12:01:00 UTC",
        ),
        ("risk.order_rate", {"failed": 1}, "it failed in an earlier session, and objects until it is reset"),
    ],
)
def test_a_tripped_limit_keeps_the_account_from_quoting(ward, node, values, said):
    patient = ward()
    with AccountFile.open(ADDRESS, patient.state) as account:
        account.carry(node, values, NOON)
    found = patient.looks()
    assert (patient.code, failed(found)) == (3, {"limits"})
    assert said in only(found, "limits").seen
    assert f"pmrun limits exchange=live --reset {node}" in only(found, "limits").cure


@pytest.mark.parametrize(
    ("node", "values"),
    [
        ("risk.daily_loss", LOST | {"day": NOON // DAY - 1}),
        ("risk.error_rate", {"count": 21, "last": NOON - 90 * SECOND, "until": NOON - SECOND}),
        ("risk.somebody_elses", DRAWN),
    ],
)
def test_a_limit_whose_time_is_over_or_that_the_run_has_not_objects_to_nothing(ward, node, values):
    patient = ward()
    with AccountFile.open(ADDRESS, patient.state) as account:
        account.carry(node, values, NOON)
    assert only(patient.looks(), "limits").level is Level.OK


@pytest.mark.parametrize(("mode", "level"), [(0o600, Level.OK), (0o640, Level.FAILED)])
def test_secrets_that_others_can_read_are_named(ward, tmp_path, mode, level):
    patient = ward()
    (tmp_path / ".env").write_text("")
    (tmp_path / ".env").chmod(mode)
    found = patient.looks()
    assert only(found, ".env").level is level
    assert patient.code == (2 if level is Level.FAILED else 0)


def test_a_configuration_to_put_right_comes_before_what_the_exchange_refuses(ward):
    patient = ward(settings=HostSettings(geoblocked=True), environment={})
    assert failed(patient.looks()) == {"geoblock", "private key"}
    assert patient.code == 2


# `pmrun doctor`.


@pytest.mark.parametrize(
    ("findings", "code", "last"),
    [
        ([ok("clock", "right")], 0, "could trade: nothing failed, 0 warnings"),
        ([ok("clock", "right"), warning("caps", "none", "set them")], 0, "could trade: nothing failed, 1 warning"),
        ([refused("geoblock", "blocked", "go elsewhere")], 3, "could not trade: 1 FAILED, 0 warnings"),
        (
            [refused("geoblock", "blocked", "go elsewhere"), misconfigured(".env", "open", "chmod 600 .env")],
            2,
            "could not trade: 2 FAILED, 0 warnings",
        ),
    ],
)
def test_what_is_found_is_a_line_a_check_and_an_exit_code(findings, code, last, monkeypatch, capsys):
    monkeypatch.setattr(doctor_verb, "planned", lambda overrides: planned(*LIVE))
    monkeypatch.setattr(doctor_verb, "_looked", lambda made, heartbeat: findings)
    assert cli.run(["doctor", "exchange=live"]) == code
    head, *shown, verdict_line = capsys.readouterr().out.splitlines()
    assert (head, verdict_line) == ("simulated exchange at http://memory", last)
    assert shown == lines(findings)
    assert cli.run(["doctor", "exchange=live", "--json"]) == code
    told = json.loads(capsys.readouterr().out)
    assert (told["simulated"], told["could_trade"], told["exit_code"]) == (True, not code, code)
    assert [each["cure"] for each in told["checks"]] == [each.cure for each in findings]


def test_a_person_sees_a_table_and_a_script_a_line(capsys):
    findings = [ok("clock", "right"), refused("geoblock", "blocked from [CU]", "go elsewhere")]
    assert lines(findings) == [
        "ok         clock     right",
        "FAILED     geoblock  blocked from [CU]; go elsewhere",
    ]
    Console(width=60, force_terminal=False).print(table(findings))
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "check             what was seen, and what to do",
        "clock     ok      right",
        "geoblock  FAILED  blocked from [CU]",
        "                  go elsewhere",
    ]


# Reading the account's file beside an engine.


def test_the_file_is_read_while_an_engine_writes_it_and_after_it_was_killed(tmp_path):
    account = AccountFile.open(ADDRESS, tmp_path)
    account.carry("risk.drawdown", DRAWN, NOON)
    with reading(ADDRESS, tmp_path) as reader:
        assert [(each.node, each.values, each.written_at) for each in reader.carried()] == [
            ("risk.drawdown", DRAWN, NOON)
        ]
    killed = tmp_path / "killed"
    killed.mkdir(mode=0o700)
    for path in tmp_path.glob("*.sqlite*"):
        if not path.name.endswith("-shm"):
            (killed / path.name).write_bytes(path.read_bytes())
            (killed / path.name).chmod(0o600)
    account.close()
    with reading(ADDRESS, killed) as reader:
        assert reader.carried()[0].values == DRAWN


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / f"{ADDRESS.lower()}.sqlite"
    path.touch(0o600)
    with pytest.raises(DataError, match="is not the file of an account"), reading(ADDRESS, tmp_path):
        pass
    path.write_bytes(b"not a database, but long enough to be looked at" * 50)
    with pytest.raises(DataError, match="file is not a database"), reading(ADDRESS, tmp_path):
        pass


# `pmrun limits`.


@pytest.fixture
def limits(tmp_path, monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLYMARKET_PRIVATE_KEY", KEY)
    monkeypatch.delenv("POLYMARKET_FUNDER", raising=False)

    def composed(overrides: list[str]) -> Plan:
        made = planned("strategy=reward_mm", *overrides)
        return made._replace(executor=replace(made.executor, account_folder=str(tmp_path / "state")))

    monkeypatch.setattr(limits_verb, "planned", composed)

    def say(*arguments: str) -> tuple[int, str, str]:
        code = cli.run(["limits", "exchange=live", *arguments])
        out, err = capsys.readouterr()
        assert CANARY not in out + err
        return code, re.sub(r" +", " ", out), err

    return say


def test_what_limits_carry_is_shown_with_units(limits, tmp_path):
    now = time.time_ns() // 1_000
    with AccountFile.open(ADDRESS, tmp_path / "state") as account:
        dollars = {"peak": 1_050 * DOLLAR, "low": 1_001_500_000, "high": 1_002_500_000, "tripped": 1}
        account.carry("risk.drawdown", dollars, Micros(now))
        account.carry("risk.mine", {"sheep": 1_234}, Micros(now))
    code, out, err = limits()
    assert (code, err) == (0, "")
    assert f"account {ADDRESS}" in out
    assert "risk.drawdown tripped: until it is reset high $1002.5, low $1001.5, peak $1050, tripped yes" in out
    assert "risk.daily_loss carries nothing yet nothing never" in out
    assert "risk.mine not tripped (not in this run) sheep 1,234" in out


def test_a_limit_is_reset_after_what_it_had_was_named(limits, tmp_path):
    with AccountFile.open(ADDRESS, tmp_path / "state") as account:
        account.carry("risk.drawdown", DRAWN, NOON)
        account.carry("risk.order_rate", {"count": 3, "last": NOON, "until": 0}, NOON)
    code, out, _ = limits("--reset", "risk.drawdown")
    assert code == 0
    assert "risk.drawdown was tripped: until it is reset; it carried high $0.000041" in out
    with AccountFile.open(ADDRESS, tmp_path / "state") as account:
        assert set(account.carried(NOON)) == {"risk.order_rate"}
    code, _, err = limits("--reset", "risk.drawdown")
    assert code == 2
    assert err == "pmrun: limits --reset=risk.drawdown: carries nothing; those that do: risk.order_rate\n"


def test_a_staging_host_is_not_headed_as_a_simulated_exchange():
    """Only what is on this machine is one of ours (V6)."""
    assert doctor_verb._head("http://127.0.0.1:8700/api/v1", True, "SatoriEx") == "simulated exchange"
    staging = doctor_verb._head("https://staging.satoriex.io/api/v1", True, "SatoriEx")
    assert staging == "SatoriEx's staging, no real money,"
    assert doctor_verb._head("https://clob.polymarket.com", False, "Polymarket") == "Polymarket"


def test_limits_of_satori_show_how_its_order_calls_are_shared(monkeypatch, capsys, tmp_path):
    """Thirty a minute for places and cancels together (V5, P9)."""
    monkeypatch.setattr(limits_verb, "ask", lambda made: ("satori-u1", tmp_path))
    assert cli.run(["limits", "exchange=satori"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "account satori-u1" in out and "risk.drawdown carries nothing yet" in out
    assert "order calls: 30 a minute, places and cancels together" in out
    assert "at most 20 orders rest, each of which can be cancelled at once, and 10 calls are left" in out


def test_no_limit_is_reset_under_an_engine_that_trades(limits, tmp_path):
    with AccountFile.open(ADDRESS, tmp_path / "state") as account:
        account.carry("risk.drawdown", DRAWN, NOON)
    with hold_wallet(ADDRESS, "run-7", NOON, tmp_path / "state", pid=123, host="desk"):
        code, out, err = limits("--reset", "risk.drawdown")
        assert (code, out) == (2, "")
        assert "is traded by pid 123 on desk" in err
        assert limits()[0] == 0, "looking is fine"


def test_a_script_reads_limits_as_numbers_and_words(limits, tmp_path):
    with AccountFile.open(ADDRESS, tmp_path / "state") as account:
        account.carry("risk.drawdown", DRAWN, NOON)
    told = json.loads(limits("--json")[1])
    [drawdown] = [each for each in told["limits"] if each["node"] == "risk.drawdown"]
    assert drawdown["tripped"]
    assert drawdown["values"] == DRAWN
    assert drawdown["written_at"] == "2026-03-01T12:00:00.000Z"
    assert json.loads(limits("--reset", "risk.drawdown", "--json")[1])["reset"]["values"] == DRAWN


def test_paper_has_no_account_whose_limits_outlive_it(capsys):
    assert cli.run(["limits", "exchange=paper"]) == 2
    assert "has no account whose limits outlive a run: exchange=live" in capsys.readouterr().err
