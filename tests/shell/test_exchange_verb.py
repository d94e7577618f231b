"""`pmrun exchange` as a user runs it, and the verbs that packs add to the command line."""

import json
import signal
import socket
from types import SimpleNamespace

import httpx
import pytest
from commands import Said
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import BalanceAllowanceParams, OrderArgs, PartialCreateOrderOptions

from pmrun.runner import cli, packs
from pmrun.runner.errors import ConfigError
from pmrun.runner.packs import Pack, PackVerb, pack_verbs, verb_function

# The verbs of packs.


def pack(name, *verbs):
    return Pack(name, name, "1.0", (), (), tuple(PackVerb(*verb) for verb in verbs))


def test_the_verbs_of_all_packs_are_known_and_imported_only_when_used(monkeypatch):
    found = (pack("a", ("count", "count fills", "no.such.module:count")), pack("b", ("sort", "sort", "json:dumps")))
    monkeypatch.setattr(packs, "installed_packs", lambda: found)
    assert list(pack_verbs()) == ["count", "sort"]
    assert verb_function(pack_verbs()["sort"])([]) == "[]"
    with pytest.raises(ConfigError, match=r"pmrun count=no\.such\.module:count: cannot be imported"):
        verb_function(pack_verbs()["count"])


def test_two_packs_cannot_have_one_verb(monkeypatch):
    verb = ("count", "count fills", "json:dumps")
    monkeypatch.setattr(packs, "installed_packs", lambda: (pack("a", verb), pack("b", verb)))
    with pytest.raises(ConfigError, match="pack b=count: another pack has this verb"):
        pack_verbs()


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        (("Count it", "help", "json:dumps"), "a verb is a word in lower case"),
        (("--count", "help", "json:dumps"), "a verb is a word in lower case"),
        (("count", "help", "json.dumps"), "is not module:function"),
    ],
)
def test_a_verb_of_a_wrong_shape_is_named(verb, said):
    with pytest.raises(ValueError, match=said):
        packs._verbs_of(SimpleNamespace(pmrun_verbs=lambda: [verb]))


def test_help_is_shown_also_when_a_pack_is_broken(monkeypatch, capsys):
    def broken():
        raise ConfigError("pack mine", "my.pack", "cannot be loaded")

    monkeypatch.setattr(packs, "installed_packs", broken)
    assert cli.run(["--help"]) == 0
    assert "  (pack mine=my.pack: cannot be loaded)\n" in capsys.readouterr().out


# The exchange itself.

SMALL = ("feed.markets=4", "feed.length=60")
KEY = "0x" + "22" * 32


def stopped(process, sent):
    process.send_signal(sent)
    out, err = process.communicate(timeout=20)
    return Said(process.returncode, out, err)


def test_a_script_reads_one_line_trades_and_ends_it_with_a_signal(started):
    process = started("exchange", *SMALL, "--json", "--funds", "50", "--loop")
    where = json.loads(process.stdout.readline())
    assert where["simulated"]
    assert (where["feed"], where["markets"]) == ("sim", 4)
    client = ClobClient(where["clob"], 137, key=KEY)
    client.set_api_creds(client.create_or_derive_api_key())
    funds = client.get_balance_allowance(BalanceAllowanceParams(asset_type="COLLATERAL"))
    assert funds["balance"] == "50000000"
    listed = client.get_sampling_markets()["data"]
    token = listed[0]["tokens"][0]["token_id"]
    tick = client.get_tick_size(token)
    order = OrderArgs(token_id=token, price=float(tick), size=listed[0]["minimum_order_size"], side="BUY")
    assert client.create_and_post_order(order, PartialCreateOrderOptions(tick_size=tick))["status"] == "live"
    said = stopped(process, signal.SIGTERM)
    assert (said.code, said.err) == (0, "")
    told = json.loads(said.out)
    assert (told["simulated"], told["orders"], told["trades"], told["ledger_sum"]) == (True, 1, 0, 0)


def test_a_script_gets_simulated_accounts_of_satori_and_trades_with_them(started):
    process = started("exchange", *SMALL, "--json", "--funds", "50", "--protocol", "both")
    where = json.loads(process.stdout.readline())
    assert {"clob", "satori", "satori_socket"} <= set(where)
    maker = where["accounts"][0]
    assert maker["simulated"]
    with httpx.Client(headers={"authorization": f"Bearer {maker['personal_access_token']}"}) as web:
        market = web.get(f"{where['satori']}/markets").json()["data"]["items"][0]
        order = {"market_id": market["id"], "outcome_id": market["outcomes"][0]["id"], "side": 1, "quantity": 5}
        answer = web.post(f"{where['satori']}/orders", json={**order, "price": market["min_price"]})
        assert (answer.status_code, answer.json()["data"]["trades"]) == (202, [])
        assert web.get(f"{where['satori']}/wallet/balance").json()["data"]["total_e6"] == 50_000_000
    told = json.loads(stopped(process, signal.SIGTERM).out)
    assert (told["orders"], told["ledger_sum"]) == (1, 0)


def test_a_person_reads_where_it_is_and_that_it_is_simulated(started):
    process = started("exchange", *SMALL, "--clock", "feed", "--speed", "20", "--faults", "everything")
    shown = {}
    for line in process.stdout:
        name, _, rest = line.strip().partition("  ")
        shown[name] = rest.strip()
        if "Ctrl-C" in line:
            break
    assert "simulated exchange: simulated markets, simulated money, this machine only" in shown
    assert shown["CLOB"].startswith("http://127.0.0.1:")
    assert shown["market socket"].endswith("/ws/market")
    said = stopped(process, signal.SIGINT)
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("stopped: 0 orders, 0 trades, faults and quirks fired: ")
    assert said.out.endswith("; the ledger sums to zero (simulated)\n")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--bind", "0.0.0.0:80"], "pmrun: --bind=0.0.0.0:80: must be on loopback"),
        (["--speed", "0"], "pmrun: exchange --speed=0.0: must be from 0.001 to 10,000"),
        (["--funds", "a lot"], "pmrun: exchange: argument --funds: cash 'a lot' is not a number"),
        (["--funds=-1"], "pmrun: exchange: argument --funds: -1 must be 0 dollars or more"),
        (["--clock", "mine"], "pmrun: exchange: argument --clock: invalid choice"),
        (["feed=nothing"], "pmrun: feed=nothing: no such option; feed can be: "),
        (["feed.markets=0"], "pmrun: feed.markets=0: markets must be from 1 to 1,000"),
        (["--faults", "nothing"], "pmrun: fault script=nothing: "),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_served(arguments, line, capsys, cwd, monkeypatch):
    monkeypatch.chdir(cwd)
    assert cli.run(["exchange", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(line)
    assert err.count("\n") == 1


def test_a_taken_port_is_one_line(capsys, cwd, monkeypatch):
    monkeypatch.chdir(cwd)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        assert cli.run(["exchange", *SMALL, "--bind", bind]) == 2
    assert capsys.readouterr().err.startswith(f"pmrun: --bind={bind}: cannot listen there: ")
