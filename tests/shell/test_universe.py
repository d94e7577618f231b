"""`pmrun universe`: the filters alone, without an order, and the same verdicts as the run's."""

import json
from pathlib import Path

import pytest
from commands import runs

from pmrun.runner.assembly import plan
from pmrun.runner.cli import run
from pmrun.runner.compose import compose_config
from pmrun.runner.intents import Drop, Place, Select
from pmrun.runner.journal import read_journal
from pmrun.runner.scan import scan

TAPES = Path(__file__).parents[3] / "shared" / "data" / "tapes"
CHAIN = (
    "strategy=level_mm",
    "exchange=paper",
    "+filters@filters.rewarded=rewarded",
    "+filters@filters.spread=spread",
    "+filters@filters.expiry=expiry",
)
SIM = (*CHAIN, "+filters@filters.min_size=min_size", "+ranking=reward_ratio", "feed=sim")


@pytest.fixture
def tape(short_tape):
    return (*CHAIN, "feed=tape", f"feed.path={short_tape}")


@pytest.fixture
def told(capsys, monkeypatch, cwd):
    """Run the verb in this process; return what it printed, and look that it succeeded and wrote nothing."""
    monkeypatch.chdir(cwd)

    def tell(*arguments):
        assert run(["universe", *arguments]) == 0
        assert list(cwd.iterdir()) == []
        return capsys.readouterr().out

    return tell


def test_short_lived_markets_are_dropped_by_the_expiry_filter_with_a_clear_message(pmrun_says, cwd, tape):
    said = pmrun_says("universe", *tape)
    assert (said.code, said.err) == (0, "")
    assert "\x1b" not in said.out
    lines = [line.split() for line in said.out.splitlines()]
    assert ["filters.expiry", "2", "2", "0"] in lines  # two of four markets have no book in these minutes
    assert lines[-1][:10] == ["no", "market", "passed", "the", "filters:", "filters.expiry", "dropped", "2", "of", "4"]
    assert "days, at least 7 wanted" in said.out.splitlines()[-1]
    assert said.out.splitlines()[-1].endswith("; ~filters.expiry leaves this filter out")
    assert said.out.splitlines()[0].startswith("recorded markets, ")
    assert list(cwd.iterdir()) == []


def test_a_market_whose_filter_is_left_out_is_selected(told, tape):
    found = json.loads(told(*tape, "~filters.expiry", "--json"))
    assert (found["selected"], found["nothing_left"]) == (2, None)
    assert told(*tape, "~filters.expiry", "filters.spread.spread_range.max=0").splitlines()[-1].startswith("no market ")


def test_for_scripts_every_market_has_its_filter_number_limit_and_margin(told, tape):
    found = json.loads(told(*tape, "--json"))
    dropped = [market for market in found["markets"] if market["by"] == "filters.expiry"]
    assert found["simulated"] is False
    assert dropped
    for market in dropped:
        assert (market["verdict"], market["code"], market["limit"]) == ("dropped", "ends_too_soon", 7)
        assert market["unit"] == "days"
        assert market["value"] + market["margin"] == pytest.approx(7)
        assert market["question"]
    assert [stage["stage"] for stage in found["stages"]][:1] == ["filters.rewarded"]


def test_simulated_markets_are_called_so_and_the_best_are_taken(told):
    shown = told(*SIM, "universe.max_markets=3").splitlines()
    assert shown[0].startswith("simulated markets, seed 0")
    found = json.loads(told(*SIM, "universe.max_markets=3", "--json"))
    taken = [market["rank"] for market in found["markets"] if market["verdict"] == "selected"]
    beaten = [market["rank"] for market in found["markets"] if market["code"] == "max_markets"]
    assert (len(taken), found["selected"], found["simulated"]) == (3, 3, True)
    assert beaten
    assert min(taken) >= max(beaten)
    names = [line.split()[0] for line in shown if line.startswith("simulated-")]
    assert len(names) == found["scanned"]
    assert set(names[:3]) == {market["slug"] for market in found["markets"] if market["verdict"] == "selected"}


def test_later_in_the_feed_the_verdicts_of_a_later_scan_are_shown(told):
    first, later = (json.loads(told(*SIM, "--json", *more)) for more in ((), ("--at", "1500")))
    assert first["at"] < later["at"]
    assert later["scanned"] == first["scanned"]
    assert later["markets"] != first["markets"]


def test_the_verdicts_are_those_of_the_run_and_no_order_is_sent(pmrun_says, cwd):
    settings = (*SIM, "feed.length=60", "universe.max_markets=4")
    found = scan(plan(compose_config(list(settings))), None)
    assert pmrun_says(*settings, "store=none", "report=none", "log.console=OFF").code == 0
    (directory,) = runs(cwd)
    verdicts, placed = {}, 0
    for line in read_journal(directory):
        for entry in line.entries:
            if isinstance(entry, Drop | Select) and entry.at <= found.at:
                verdicts[entry.market] = entry.reason
            placed += isinstance(entry, Place)
    assert placed > 0
    assert verdicts == {no: verdict.reason for no, verdict in found.funnel.verdicts.items()}


def test_of_the_simulated_markets_the_default_filters_reject_at_least_half(told):
    found = json.loads(told("strategy=reward_mm", "exchange=paper", "--json"))
    passed = found["selected"] + found["rejected_by"].get("universe.max_markets", 0)
    assert found["scanned"] >= 24
    assert 8 <= found["selected"] <= passed <= found["scanned"] / 2


@pytest.mark.skipif(not TAPES.is_dir(), reason="the recorded tapes are not beside this checkout")
@pytest.mark.parametrize("name", ["books-and-prints-updown", "btc-15m-1hz", "raw-btc-5m"])
def test_recorded_markets_of_minutes_are_all_dropped_and_pass_once_the_filter_is_left_out(told, name):
    words = ("strategy=reward_mm", "exchange=paper", "feed=tape", f"feed.path={TAPES / name}", "--json")
    found = json.loads(told(*words))
    assert found["rejected_by"] == {"filters.expiry": found["scanned"]}
    assert "days, at least 7 wanted); ~filters.expiry leaves this filter out" in found["nothing_left"]
    assert json.loads(told(*words, "~filters.expiry"))["selected"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "strategy: missing; choose one with strategy=…: "),
        ((*CHAIN, "--at=-1"), "universe --at=-1.0: must be from 0 to 1,000,000,000 seconds"),
        ((*CHAIN, "--at", "nan"), "universe --at=nan: must be from 0 to 1,000,000,000 seconds"),
        ((*CHAIN, "--at", "soon"), "universe: argument --at: invalid float value: 'soon'"),
        (
            (*CHAIN, "filters.expiry.days=3"),
            "filters.expiry.days=3: unknown setting; known: min_days_until_end, order, ",
        ),
        ((*CHAIN, "feed=tape", "feed.path=nowhere"), "feed.path=nowhere: no such folder"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(capsys, arguments, message):
    assert run(["universe", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"pmrun: {message}")
    assert said.err.count("\n") == 1
