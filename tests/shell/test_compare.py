"""Two runs side by side: what was set differently, what came out differently."""

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from pmrun.runner.compare import MISSING, compare, render
from pmrun.runner.errors import DataError

CONFIG = """\
strategy: reward_mm
risk:
  cliff: {_target_: pmrun.plugins.risk.cliff.Cliff, price_cliff_threshold: 0.03}
  volatility: {window: 60}
tags: [a, b]
live: false
"""
SUMMARY = {
    "complete": True,
    "strategy": "reward_mm",
    "simulated": True,
    "started_at": "2026-01-01T00:00:00Z",
    "wall_s": 3.2,
    "journal_hash": "aaa",
    "fills": {"count": 8, "shares": 83.1},
    "pnl_usd": {"total": 0.1, "realised": 4.0},
}


@pytest.fixture
def make_run(tmp_path):
    def make(name: str, config: str = CONFIG, **summary: object) -> Path:
        path = tmp_path / name
        path.mkdir(parents=True)
        (path / "config.yaml").write_text(config)
        (path / "summary.json").write_text(json.dumps(SUMMARY | summary))
        return path

    return make


def printed(comparison) -> str:
    out = StringIO()
    console = Console(file=out, width=160)
    for part in render(comparison):
        console.print(part)
    return out.getvalue()


def test_a_run_is_the_same_as_itself(make_run):
    run = make_run("a")
    comparison = compare(run, run)
    assert comparison.config == comparison.differing == ()
    assert "the configurations are the same" in printed(comparison)
    assert "the results are the same" in printed(comparison)


def test_a_changed_threshold_is_the_only_difference_of_the_configurations(make_run):
    tighter = make_run("b", CONFIG.replace("0.03", "0.02"))
    (difference,) = compare(make_run("a"), tighter).config
    assert difference.key == "risk.cliff.price_cliff_threshold"
    assert difference.values == (0.03, 0.02)


def test_a_check_that_was_left_out_shows_as_missing(make_run):
    without = make_run("b", CONFIG.replace("  volatility: {window: 60}\n", ""))
    comparison = compare(make_run("a"), without)
    assert [tuple(each) for each in comparison.config] == [("risk.volatility.window", (60, MISSING))]
    assert "(missing)" in printed(comparison)
    assert comparison.to_dict()["config"][0]["values"] == {"a": 60}


def test_a_setting_that_is_null_is_not_missing(make_run):
    comparison = compare(make_run("a"), make_run("b", CONFIG.replace("window: 60", "window: null")))
    assert comparison.config[0].values == (60, None)
    assert comparison.to_dict()["config"][0]["values"] == {"a": 60, "b": None}


def test_true_is_not_one_and_one_is_one_point_zero(make_run):
    one = make_run("a", "live: true\nsize: 1\n")
    other = make_run("b", "live: 1\nsize: 1.0\n")
    assert [each.key for each in compare(one, other).config] == ["live"]


def test_a_result_shows_both_numbers_and_the_difference(make_run):
    other = make_run("b", fills={"count": 10, "shares": 83.1}, pnl_usd={"total": 0.3, "realised": 4.0})
    comparison = compare(make_run("a"), other)
    assert {each.key: (each.values, each.changes) for each in comparison.differing} == {
        "fills.count": ((8, 10), (2,)),
        "pnl_usd.total": ((0.1, 0.3), (0.2,)),
    }
    text = printed(comparison)
    assert "+0.2" in text and "2 other results are equal" in text


def test_when_a_run_was_made_is_no_result(make_run):
    comparison = compare(make_run("a"), make_run("b", wall_s=9.0, journal_hash="bbb"))
    assert comparison.differing == ()
    assert {each.key for each in comparison.made} == {"started_at", "wall_s", "journal_hash"}


def test_three_runs_are_compared_with_the_first(make_run):
    runs = [make_run(name, pnl_usd={"total": total}) for name, total in (("a", 1), ("b", 2), ("c", -1))]
    comparison = compare(*runs)
    total = next(each for each in comparison.results if each.key == "pnl_usd.total")
    assert total.changes == (1, -2)
    assert "change in c" in printed(comparison)


def test_runs_of_the_same_name_are_told_apart(make_run):
    comparison = compare(make_run("2026-01-01/run"), make_run("2026-01-02/run"))
    assert comparison.runs == ("2026-01-01/run", "2026-01-02/run")


def test_a_comparison_is_json_whatever_the_values_are(make_run):
    odd = make_run("b", "from: 2026-01-01\nlimit: .inf\nlist: [.nan, {a: 1}]\n")
    text = json.dumps(compare(make_run("a"), odd).to_dict(), allow_nan=False)
    assert json.loads(text)["runs"] == ["a", "b"]
    printed(compare(make_run("c"), odd))


def test_square_brackets_in_a_value_are_text_and_no_colour(make_run):
    comparison = compare(make_run("a"), make_run("b", feed="[red]tape[/red]"))
    assert "[red]tape[/red]" in printed(comparison)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda run: (run / "summary.json").unlink(), "not a finished run: summary.json is missing"),
        (lambda run: (run / "config.yaml").unlink(), "not a finished run: config.yaml is missing"),
        (lambda run: (run / "summary.json").write_text('{"complete": false}'), "did not finish"),
        (lambda run: (run / "summary.json").write_text('{"cut'), "not JSON"),
        (lambda run: (run / "summary.json").write_text("[]"), "not what pmrun writes"),
        (lambda run: (run / "config.yaml").write_text("a: [1"), "not YAML"),
        (lambda run: (run / "config.yaml").write_text("text"), "not what pmrun writes"),
        (lambda run: (run / "config.yaml").write_bytes(b"\xff\xfe\xff"), "cannot be read"),
    ],
)
def test_what_is_no_finished_run_is_refused_in_one_line(make_run, spoil, message):
    good, bad = make_run("a"), make_run("b")
    spoil(bad)
    with pytest.raises(DataError, match=message) as caught:
        compare(good, bad)
    assert "\n" not in str(caught.value)


def test_a_directory_that_is_not_there_is_refused(make_run, tmp_path):
    with pytest.raises(DataError, match="nowhere: no such run directory"):
        compare(make_run("a"), tmp_path / "nowhere")
