"""Live sessions at SatoriEx's protocol and what can go wrong: order state and ledger right in each (V1-V3, V6).

Each runs against the embedded exchange on a virtual clock, ends with nothing resting, replays byte for byte, and is
compared with the exchange's ledger to the last base unit.
"""

import gzip
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import trio
from rehearsal import Gate, planned
from satori_rehearsal import ADDRESSES, LIVELY, SatoriRehearsal, lively_feed

from pmrun.plugins.exchanges.common.network import Network
from pmrun.plugins.exchanges.embedded.fault_script import read_script
from pmrun.plugins.exchanges.embedded.faults import Faults
from pmrun.plugins.exchanges.embedded.satori.settings import SatoriSettings
from pmrun.plugins.exchanges.satori.doctor import examine
from pmrun.plugins.exchanges.satori.terms import FEES
from pmrun.runner.book import Book
from pmrun.runner.errors import ConfigError
from pmrun.runner.facts import OrderNews, each
from pmrun.runner.journal import End, Header, as_fact, read_journal
from pmrun.runner.orders import News
from pmrun.runner.units import Micros, Price, Side, Size
from pmrun.runner.unsent import NO_TURN

PLACE = {"path": "/api/v1/orders", "method": "POST"}
CANCEL = {"path": "/api/v1/orders/*/cancel", "method": "POST"}
FEED = lively_feed(3, 2, 30, 60.0)


def rehearsed(folder: Path, script: list[dict[str, Any]] | None = None, **terms: Any) -> SatoriRehearsal:
    """Prepare a session of half a minute in which much is traded."""
    faults = Faults(read_script(script), 1) if script else None
    return SatoriRehearsal(FEED, folder, LIVELY, faults=faults, **terms)


def played(rehearsal: SatoriRehearsal, *more: str) -> dict[str, Any]:
    """Run it, and check what must hold whatever went wrong."""
    summary = rehearsal.together(*more, seconds=30.0)
    assert summary["may_rest"] == []
    assert rehearsal.resting() == []
    assert rehearsal.differences() == {}
    assert summary["oddities"] == {}
    orders, unsent = summary["orders"], summary["never_sent"]
    assert orders["placed"] == rehearsal.adapter.trading.counts["placed"], "what was sent, and nothing else"
    ends = sum(orders[name] for name in ("cancelled", "filled", "rejected", "open"))
    assert (orders["placed"] + orders["adopted"], orders["never_sent"]) == (ends, sum(unsent.values()))
    assert unsent.get(NO_TURN, 0) == rehearsal.adapter.trading.counts["places_without_a_turn"]
    assert busiest(rehearsal) <= 30
    return summary


def busiest(rehearsal: SatoriRehearsal) -> int:
    """How many order calls left; a session of half a minute is less than a minute."""
    return sum(count for name, count in rehearsal.sent.items() if name.startswith("POST /api/v1/orders"))


def news(rehearsal: SatoriRehearsal) -> list[OrderNews]:
    """All order news of the last run, in order."""
    found: list[OrderNews] = []
    for line in read_journal(rehearsal.last_run()):
        for entry in line.entries:
            if not isinstance(entry, (Header, End)):
                fact = as_fact(entry, lambda at: Book())
                found += [one for one in each(fact) if isinstance(one, OrderNews)]
    return found


def test_a_session_trades_and_its_ledger_is_the_exchange_s(tmp_path):
    rehearsal = rehearsed(tmp_path)
    summary = played(rehearsal)
    assert summary["mode"] == "live"
    assert rehearsal.trades()
    assert any("desk needs post_only" in remark for remark in summary["remarks"])
    fills = [(order, fill) for order in rehearsal.satori.records.of(rehearsal.wallet()) for fill in order.fills]
    assert fills
    for order, fill in fills:  # what paper would have charged for it
        side, size = Side.BUY if order.side == 1 else Side.SELL, Size(fill.quantity * 10**6)
        assert fill.fee - fill.rebate == FEES.charged(side, Price(fill.price), size, fill.maker)


def test_a_fill_told_before_the_202_counts_once(tmp_path):
    rehearsal = rehearsed(tmp_path, terms=SatoriSettings(answer_latency=Micros(2_500_000)))
    summary = played(rehearsal)
    assert rehearsal.adapter.life.counts["fills_before_answers"] > 0
    assert summary["fills"]["count"] == len(rehearsal.trades())


def test_a_fill_told_after_the_cancel_counts_once(tmp_path):
    rehearsal = rehearsed(tmp_path, [{"fault": "late_fill", "at": 0, "for": 600, "by": 2}])
    summary = played(rehearsal)
    assert summary["fills"]["count"] == len(rehearsal.trades()) > 0


def test_a_socket_lost_in_the_middle_costs_no_fill(tmp_path):
    rehearsal = rehearsed(tmp_path, [{"fault": "disconnect", "at": at} for at in (7, 11, 17, 23)])
    summary = played(rehearsal)
    assert rehearsal.satori.fired["disconnect"] == 4
    assert summary["fills"]["count"] == len(rehearsal.trades())


def test_tokens_that_run_out_in_the_middle_of_a_burst_are_renewed_once_each(tmp_path):
    rehearsal = rehearsed(tmp_path, [{"fault": "token_expired", "at": at} for at in (5.1, 6, 20)])
    played(rehearsal)
    tokens = rehearsal.adapter._tokens
    assert tokens is not None
    assert 2 <= tokens.renewals <= 4, "a login, and one renewal for each time that they ran out"
    assert rehearsal.sent["POST /api/v1/auth/login"] == 2, "of the feed and of the account"


@pytest.mark.parametrize(("fault", "arrived"), [("lost_after_accept", True), ("lost_before", False)])
def test_an_order_whose_answer_is_lost_is_found_by_its_terms_and_never_sent_again(tmp_path, fault, arrived):
    rehearsal = rehearsed(tmp_path, [{"fault": fault, "chance": 0.5, "where": PLACE}])
    played(rehearsal)
    lost = rehearsal.satori.fired[fault]
    assert lost > 0
    life = rehearsal.adapter.life
    assert life.counts["answers_lost"] == lost
    assert (life.counts["orders_matched"] == lost) is arrived
    assert sum(one.news is News.UNKNOWN for one in news(rehearsal)) == lost
    assert len(rehearsal.placed()) == rehearsal.sent["POST /api/v1/orders"] - (0 if arrived else lost)


def test_a_cancel_whose_answer_is_lost_is_asked_again(tmp_path):
    rehearsal = rehearsed(tmp_path, [{"fault": "lost_after_accept", "chance": 0.5, "where": CANCEL}])
    summary = played(rehearsal)
    assert any(remark.startswith("live: cancels repeated") for remark in summary["remarks"])


@pytest.mark.parametrize("keeps", [False, True])
def test_in_a_halted_market_what_rests_is_cancelled_or_kept_as_its_owner_wants(tmp_path, keeps):
    rehearsal = rehearsed(tmp_path, [{"fault": "halted", "at": 8, "for": 60, "where": {"market": 0}}])
    seen: list[int] = []

    async def scene() -> dict[str, Any]:
        async def look() -> None:
            await trio.sleep(16)
            mine = [rehearsal.engine._floor.resting[each] for each in rehearsal.resting()]
            seen.append(sum(order.market == 0 for order in mine))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            return await rehearsal.run("feed.stop_after=30", f"desk.keep_when_halted={keeps}".lower())

    summary = rehearsal.play(scene)
    assert summary["may_rest"] == []
    assert rehearsal.resting() == []
    assert rehearsal.differences() == {}
    assert (seen[0] > 0) is keeps


def test_orders_that_fail_validation_later_or_that_an_admin_cancels_are_told_apart(tmp_path):
    script = [{"fault": "rejected_later", "chance": 0.3}, {"fault": "admin_cancel", "at": 15, "count": 2}]
    rehearsal = rehearsed(tmp_path, script)
    played(rehearsal)
    rejected = [one for one in news(rehearsal) if one.news is News.REJECTED]
    assert len(rejected) == rehearsal.satori.fired["rejected_later"] > 0
    assert {one.reason for one in rejected} == {"the exchange did not validate it"}
    by_admin = [one for one in news(rehearsal) if one.reason == "cancelled by the exchange (admin)"]
    assert len(by_admin) == rehearsal.satori.fired["admin_cancel"] > 0


def test_errors_of_the_server_prove_nothing_and_nothing_is_sent_twice(tmp_path):
    rehearsal = rehearsed(tmp_path, [{"fault": "server_error", "chance": 0.3}])
    played(rehearsal)
    assert rehearsal.satori.fired["server_error"] > 0


def test_a_market_that_resolves_pays_what_was_held(tmp_path):
    rehearsal = rehearsed(tmp_path, [{"fault": "resolved", "at": 20, "where": {"market": 0}, "settled": 1}])
    played(rehearsal)


def test_a_personal_access_token_needs_no_login_and_its_larger_rebate_is_booked(tmp_path):
    rehearsal = rehearsed(tmp_path, token=True)
    played(rehearsal)
    assert rehearsal.sent["POST /api/v1/auth/login"] == 0


def test_without_two_factor_authentication_nothing_starts_and_the_cure_is_said(tmp_path):
    rehearsal = rehearsed(tmp_path)

    async def scene() -> None:
        user = rehearsal.satori.identity.user(rehearsal.account.user_id)
        assert user is not None
        rehearsal.satori.identity.change(msgspec.structs.replace(user, two_factor=False))
        with pytest.raises(ExceptionGroup) as caught:
            await rehearsal.run("feed.stop_after=5")
        assert "turn two-factor authentication on" in _innermost(caught.value)

    rehearsal.play(scene)
    assert rehearsal.sent["POST /api/v1/orders"] == 0


def _innermost(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, ConfigError)
    return str(error)


def test_no_token_and_no_password_is_in_anything_a_run_leaves(tmp_path):
    rehearsal = rehearsed(tmp_path, [{"fault": "token_expired", "at": 10}])
    played(rehearsal)
    tokens = rehearsal.adapter._tokens
    assert tokens is not None
    secrets = [secret.reveal().encode() for secret in tokens.secrets()]
    assert len(secrets) >= 3
    for path in rehearsal.last_run().rglob("*"):
        if path.is_file():
            raw = path.read_bytes()
            raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
            assert not any(secret in raw for secret in secrets), path.name


def test_a_dry_run_and_paper_send_no_order(tmp_path):
    for more in (["live.armed=false"], ["executor=paper"]):
        rehearsal = SatoriRehearsal(FEED, tmp_path / more[0], [each for each in LIVELY if "armed" not in each])
        rehearsal.overrides = [*rehearsal.overrides, *more]
        summary = rehearsal.together(seconds=15.0)
        assert busiest(rehearsal) == 0
        assert summary["paper"]
        assert summary["orders"]["placed"] > 0
        paper: Any = rehearsal.exchange
        assert paper._paper._paced is not None, "it plans its order calls as a live run does"


def test_the_doctor_finds_nothing_wrong_with_a_good_account_and_names_what_a_bad_one_lacks(tmp_path):
    rehearsal = rehearsed(tmp_path)

    async def scene() -> dict[str, list[str]]:
        gate = Gate(rehearsal.network, lambda name: None)
        made = planned([*rehearsal.overrides, *ADDRESSES], rehearsal.state)
        user = rehearsal.satori.identity.user(rehearsal.account.user_id)
        assert user is not None
        reader = rehearsal.satori.identity.personal(user, "reader", ("read",), rehearsal.now())
        said: dict[str, list[str]] = {}
        for name, environment in (
            ("good", {"SATORI_TOKEN": rehearsal.account.token}),
            ("reader", {"SATORI_TOKEN": reader}),
            ("wrong", {"SATORI_TOKEN": "pat_wrong"}),
            ("none", {}),
        ):
            async with httpx.AsyncClient(transport=gate, timeout=None) as http:
                network = Network(http, gate.connect)
                found = await examine(made, network, rehearsal.now, environment, tmp_path)
            said[name] = [f"{one.check}: {one.seen}; {one.cure}" for one in found if one.exit_code]
        return said

    said = rehearsal.play(scene)
    assert said["good"] == []
    (lacking,) = said["reader"]
    assert "lacks the scopes trade; make a personal access token with the scopes read and trade" in lacking
    (wrong,) = said["wrong"]
    assert "set SATORI_TOKEN to a new one" in wrong
    assert said["none"][0].startswith("credentials: none are set; set SATORI_TOKEN")


def test_orders_that_a_cap_holds_back_are_counted_and_halt_nothing(tmp_path):
    rehearsal = rehearsed(tmp_path)
    summary = rehearsal.together("live.max_resting_usd=10", "risk.error_rate.max_errors=1", seconds=6.0)
    assert summary["never_sent"]["over the cap live.max_resting_usd"] > 2
    assert "over the cap live.max_resting_usd" not in summary["rejections"]
    assert "error_rate" not in {halt["code"] for halt in summary["halts"]}
