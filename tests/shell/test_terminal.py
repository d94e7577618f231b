"""What a person sees while a run goes, and how it ends when asked to."""

import contextlib
import json
import os
import pty
import re
import select
import signal
import sqlite3
import subprocess
import time

import pytest
from commands import COMMAND, PLAIN, runs, wait_for

LONG = (*PLAIN, "~risk.volatility")


def on_a_terminal(cwd, arguments, columns=100, until=None, then=None):
    """Run a command on a terminal of its own; returns its exit code and everything it showed."""
    leader, follower = pty.openpty()
    os.set_blocking(leader, False)
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "40"}
    process = subprocess.Popen(
        [COMMAND, *arguments], cwd=cwd, stdin=follower, stdout=follower, stderr=follower, env=env,
        start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    shown, end = b"", time.monotonic() + 90
    while time.monotonic() < end:
        select.select([leader], [], [], 0.05)
        try:
            shown += os.read(leader, 65536)
        except BlockingIOError:
            continue
        except OSError:
            break  # the other side is closed
        if until is not None and re.search(until, shown):
            then(process)
            until = None
    os.close(leader)
    return process.wait(timeout=30), shown.decode(errors="replace")


def without_colour(text):
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def test_a_terminal_shows_progress_and_one_table_with_the_directory(cwd, long_tape):
    code, shown = on_a_terminal(cwd, [*LONG, f"feed.path={long_tape}"])
    plain = without_colour(shown)
    assert code == 0, plain
    assert "reading the feed" in plain
    assert re.search(r"running .*\d+% [\d,]+ orders, [\d,]+ fills", plain)
    assert plain.count("most exposed") == 1
    (directory,) = runs(cwd)
    assert re.search(rf"directory +{re.escape(str(directory))}", plain)
    assert shown.rstrip().endswith(str(directory))
    assert "\x1b[?25h" in shown[shown.rindex("\x1b[?25l") :]  # the cursor is back


def test_without_a_terminal_there_is_no_bar_no_colour_and_one_line_a_figure(pmrun_says, cwd, short_tape):
    said = pmrun_says(*PLAIN, f"feed.path={short_tape}")
    assert (said.code, said.err) == (0, "")
    assert "\x1b" not in said.out
    lines = said.out.splitlines()
    assert all(re.match(r"[A-Za-z ]+: +\S", line) for line in lines), lines
    (directory,) = runs(cwd)
    assert lines[-1].split() == ["directory:", str(directory)]


def said_of(text):
    """Return the lines that end a run by name; notes are many."""
    named = [re.match(r"([A-Za-z ]+): +(.*)", line).groups() for line in text.splitlines()]
    return dict(named), [said for name, said in named if name == "note"]


def test_the_table_counts_every_market_that_was_traded_and_says_what_is_assumed_or_simulated(pmrun_says, cwd):
    lines, notes = said_of(pmrun_says(*PLAIN, "tape=btc_15m", "bracket=true", "report=none").out)
    (directory,) = runs(cwd)
    summary = json.loads((directory / "summary.json").read_text())
    assert summary["markets"]["ever_selected"] == 4
    assert lines["markets"].startswith("4 of 4 traded")
    assert lines["PnL"].endswith(" on assumed terms)")
    assert re.fullmatch(r"rebates \S+ on assumed terms; rewards \S+ on assumed terms", lines["estimated"])
    assert notes == summary["remarks"]
    assert any("fills are simulated" in note for note in notes)
    forms = ("pessimistic", "realistic", "optimistic")
    said = [rf"{form} \$[+-][\d.]+ with {summary['bracket'][form]['fills']['count']} fills" for form in forms]
    assert re.fullmatch("; ".join(said), lines["bracket"])


def test_a_stop_says_what_it_did_and_blames_no_filter(pmrun_says, cwd):
    lines, _ = said_of(pmrun_says("stop", "exchange=paper", "log.console=OFF").out)
    found_none = "no bid of an earlier session was found in the markets that are watched; nothing was quoted"
    assert lines["stop"] == found_none, "not that anything was cancelled"
    assert lines["markets"] == "none of 48 was to be traded"
    assert "no market" not in lines


def journal_of(cwd):
    return [path / "journal.jsonl" for path in runs(cwd) if (path / "journal.jsonl").exists()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_in_order_with_nothing_resting(pmrun_says, started, cwd, long_tape, number):
    process = started(*LONG, f"feed.path={long_tape}", "store=sqlite")
    wait_for(lambda: any(path.stat().st_size for path in journal_of(cwd)), process)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (128 + number, "")
    assert f"stopped by:      {number.name}; nothing rests" in out
    (directory,) = runs(cwd)
    summary = json.loads((directory / "summary.json").read_text())
    assert (summary["complete"], summary["stopped"]) == (True, number.name)
    assert pmrun_says("replay", str(directory), "--verify").out.startswith("verified: ")
    assert resting(directory) == []


def resting(directory):
    """Return the orders that the exchange still had at the end."""
    with contextlib.closing(sqlite3.connect(directory / "run.sqlite")) as database:
        placed = database.execute("SELECT count(*) FROM orders").fetchone()[0]
        assert placed > 0
        return database.execute("SELECT order_no, state FROM orders WHERE ended_at_us IS NULL").fetchall()


def test_a_second_signal_ends_a_run_at_once(started, cwd, long_tape):
    process = started(*LONG, f"feed.path={long_tape}", "report=html", "store=sqlite")
    wait_for(lambda: journal_of(cwd), process)
    process.send_signal(signal.SIGINT)
    begin = time.monotonic()
    while process.poll() is None and time.monotonic() < begin + 10:
        process.send_signal(signal.SIGINT)
    assert process.returncode in (130, -signal.SIGINT)  # the shell calls both 130
    assert time.monotonic() - begin < 2  # compiled code is not interrupted, and the machine may be busy
    (directory,) = runs(cwd)
    assert not (directory / "summary.json").exists()


def test_a_signal_while_the_tape_is_read_leaves_no_run(cwd, long_tape):
    code, shown = on_a_terminal(
        cwd, [*LONG, f"feed.path={long_tape}"], until=rb"reading the feed", then=lambda run: run.send_signal(2)
    )
    assert code == 130
    assert "pmrun: stopped before anything started" in without_colour(shown)
    assert runs(cwd) == []


def test_ctrl_c_on_a_terminal_still_shows_the_table(cwd, long_tape):
    code, shown = on_a_terminal(
        cwd, [*LONG, f"feed.path={long_tape}"], until=rb"running", then=lambda run: os.killpg(run.pid, signal.SIGINT)
    )
    plain = without_colour(shown)
    assert code == 130
    assert "SIGINT; nothing rests" in plain
    assert "Traceback" not in plain
