"""The same facts give the same intents, and what was changed is named."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from pmrun.plugins.pricing.reward_band import RewardBand
from pmrun.runner.assembly import plan
from pmrun.runner.cli import run as pmrun
from pmrun.runner.compose import compose_config
from pmrun.runner.errors import DataError, VerificationFailed
from pmrun.runner.replay import replay
from pmrun.runner.run import run_plan

QUIET = ("store=none", "report=none", "log.console=OFF", "log.file=OFF")
QUICK = ["strategy=reward_mm", "feed=tape", "~filters.expiry", "~risk.volatility", *QUIET]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("run") / "a"
    run_plan(plan(compose_config(QUICK)), directory, QUICK, show=False)
    return directory


@pytest.fixture
def run(recorded, tmp_path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / "run"))


def altered(run: Path, find: str, change) -> int:
    """Change the first journal line that holds a text; return its number."""
    path = run / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for index, line in enumerate(lines):
        if find.encode() in line:
            raw, _, mark = line.rpartition(b" ")
            entries = json.loads(raw)
            change(entries)
            lines[index] = json.dumps(entries, separators=(",", ":")).encode() + b" " + mark
            path.write_bytes(b"".join(lines))
            return index + 1
    raise AssertionError(f"no line holds {find}")


def test_a_replay_of_what_was_recorded_wants_the_same_byte_for_byte(run):
    verified = replay(run)
    summary = json.loads((run / "summary.json").read_text())
    assert verified.facts == summary["facts"] > 1000
    assert verified.intents == summary["intents"] > 1000
    assert verified.journal_hash == summary["journal_hash"]


def test_the_same_settings_run_twice_give_the_same_journal(recorded, tmp_path):
    again = run_plan(plan(compose_config(QUICK)), tmp_path / "again", QUICK, show=False)
    assert again.summary["journal_hash"] == json.loads((recorded / "summary.json").read_text())["journal_hash"]


def test_an_altered_fact_fails_and_is_named(run, capsys):
    def larger(entries):
        fill = next(e for e in entries[0].get("facts", [entries[0]]) if e["k"] == "fill")
        fill["size"] -= 10_000

    number = altered(run, '"k":"fill"', larger)
    assert pmrun(["replay", str(run), "--verify"]) == 1
    said = capsys.readouterr().err
    assert f"line {number}" in said
    assert "is not what was written" in said
    assert said.count("\n") == 1


def test_an_altered_fact_with_its_chain_mended_fails_on_the_first_intent_it_changes(run):
    """Somebody who alters a fact and computes the chain again still cannot make the desk want the same."""
    import zlib

    def elsewhere(entries):
        book = next(e for e in entries[0].get("facts", [entries[0]]) if e["k"] == "book_at")
        book["bid"] -= 100

    altered(run, '"k":"book_at"', elsewhere)
    path = run / "journal.jsonl"
    crc, lines = 0, []
    for line in path.read_bytes().splitlines():
        raw = line.rpartition(b" ")[0]
        crc = zlib.crc32(raw, crc)
        lines.append(raw + b" %08x\n" % crc)
    path.write_bytes(b"".join(lines))
    with pytest.raises(VerificationFailed, match=r"fact \d+ \(book of market \d.*bid: recorded \d+, the tape has \d+"):
        replay(run)


def test_an_altered_setting_fails_and_is_named_with_the_first_fact_it_changes(run, capsys):
    path = run / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["risk"]["cliff"]["price_cliff_threshold"] = 0.01
    path.write_text(yaml.safe_dump(config))
    assert pmrun(["replay", str(run), "--verify"]) == 1
    said = capsys.readouterr().err
    assert "setting: risk.cliff.price_cliff_threshold was 0.05, is 0.01" in said
    assert re.search(r"fact \d+ \(.*\): ", said)


def test_a_run_on_simulated_markets_is_replayed_byte_for_byte_and_its_seed_is_a_part_of_it(tmp_path):
    quick = ["strategy=reward_mm", "feed=sim", "feed.markets=12", "feed.length=600", *QUIET]
    first = run_plan(plan(compose_config([*quick, "seed=3"])), tmp_path / "a", quick, show=False)
    assert first.summary["simulated"]
    assert first.summary["orders"]["placed"] > 0
    assert replay(tmp_path / "a").journal_hash == first.summary["journal_hash"]
    other = run_plan(plan(compose_config([*quick, "seed=4"])), tmp_path / "b", quick, show=False)
    assert other.summary["journal_hash"] != first.summary["journal_hash"]


def test_an_altered_rule_fails_and_names_the_first_fact_and_field(run, monkeypatch):
    bid = RewardBand._bid

    def shy(self, outcome, book, market):
        quote = bid(self, outcome, book, market)
        return quote._replace(price=quote.price - 200) if hasattr(quote, "price") else quote

    monkeypatch.setattr(RewardBand, "_bid", shy)
    with pytest.raises(VerificationFailed, match=r"fact \d+ \(.*at 20.*\): place\.price: recorded \d+, replayed \d+"):
        replay(run)


def test_another_tape_than_the_recorded_one_is_named(run, tmp_path):
    from pmrun.runner.packs import resource_path

    tape = Path(shutil.copytree(resource_path("pkg://pmrun.strategies/tapes/btc_15m"), tmp_path / "tape"))
    markets = json.loads((tape / "markets.json").read_text())
    markets[0]["question"] = "another one"
    (tape / "markets.json").write_text(json.dumps(markets))
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["feed"]["path"] = str(tape)
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(VerificationFailed, match=r"data: .* has hash .*, recorded"):
        replay(run)


def test_a_journal_that_was_cut_off_is_named(run):
    path = run / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-100]))
    with pytest.raises(VerificationFailed, match="journal: cut off after fact"):
        replay(run)


def test_a_journal_of_another_version_is_named_and_not_called_tampered_with(run):
    altered(run, '"k":"journal"', lambda entries: entries[0].update(version=1))
    with pytest.raises(DataError, match="a journal of version 1; this pmrun verifies version 3"):
        replay(run)


@pytest.fixture
def killed(run) -> Path:
    """A run that was killed while it wrote a record."""
    path = run / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-100]) + lines[-100][:40])
    (run / "summary.json").unlink()
    return run


def test_a_run_that_was_killed_is_verified_up_to_its_last_whole_record_and_said_to_be_cut(killed, capsys):
    assert pmrun(["replay", str(killed), "--verify"]) == 0
    said = capsys.readouterr().out
    assert "verified: " in said
    assert re.search(r"the run was cut off, or is still going: its journal ends after fact \d+ \(.* at 20", said)
    assert replay(killed).cut is not None


def test_a_record_of_a_killed_run_that_was_altered_is_still_named(killed, capsys):
    number = altered(killed, '"k":"fill"', lambda entries: entries.reverse() or entries[0].update(size=1))
    assert pmrun(["replay", str(killed), "--verify"]) == 1
    assert f"line {number}" in capsys.readouterr().err


def test_compare_says_in_one_line_that_a_run_was_cut(killed, recorded, capsys):
    assert pmrun(["compare", str(recorded), str(killed)]) == 1
    said = capsys.readouterr().err
    assert "not a finished run: summary.json is missing (it was cut off, or is still going" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("missing", ["summary.json", "manifest.json", "journal.jsonl", "config.yaml"])
def test_a_run_without_one_of_its_files_cannot_be_verified(run, missing):
    (run / missing).unlink()
    with pytest.raises(DataError, match=re.escape(missing)):
        replay(run)
