"""One engine a wallet: the second one is told who has it, and a dead one has it no longer."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pmrun.runner.errors import ConfigError, DataError
from pmrun.runner.units import Micros
from pmrun.runner.wallet_lock import hold_wallet

ADDRESS = "0xAbCdEf0123456789aBcDeF0123456789AbCdEf01"
NOON = Micros(1_763_985_600_000_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


def lock_of(folder: Path) -> Path:
    return folder / f"{ADDRESS.lower()}.lock"


def taken(folder: Path, address: str = ADDRESS) -> str:
    """What a second engine is told."""
    with pytest.raises(ConfigError) as raised, hold_wallet(address, "second", NOON, folder):
        pass
    return str(raised.value)


def test_a_second_engine_is_refused_in_one_line_that_names_the_first(folder):
    with hold_wallet(ADDRESS, "outputs/one", NOON, folder, pid=123, host="desk"):
        said = taken(folder)
    who = "pid 123 on desk since 2025-11-24 12:00:00 UTC (run outputs/one)"
    assert said == f"live={ADDRESS}: is traded by {who}"


def test_a_wallet_written_in_capitals_is_the_same_wallet(folder):
    with hold_wallet(ADDRESS.lower(), "one", NOON, folder):
        assert "is traded by pid" in taken(folder, ADDRESS.upper().replace("0X", "0x"))


def test_who_is_refused_changes_nothing_for_who_holds_it(folder):
    with hold_wallet(ADDRESS, "one", NOON, folder, pid=123, host="desk"):
        assert taken(folder) == taken(folder)


def test_two_wallets_are_traded_side_by_side(folder):
    with hold_wallet(ADDRESS, "one", NOON, folder), hold_wallet("0x" + "1" * 40, "two", NOON, folder):
        pass


def test_it_is_free_again_after_the_run_and_after_an_error_in_it(folder):
    with hold_wallet(ADDRESS, "one", NOON, folder):
        pass
    with pytest.raises(RuntimeError), hold_wallet(ADDRESS, "two", NOON, folder):
        raise RuntimeError
    with hold_wallet(ADDRESS, "three", NOON, folder):
        assert json.loads(lock_of(folder).read_text())["run"] == "three"
    assert lock_of(folder).read_text() == ""


@pytest.mark.parametrize(
    "left", ['{"pid": 1, "run": "a run with a very long name, of long ago"}', "{", "\x00\xff", "[]"]
)
def test_what_a_dead_engine_left_in_the_file_means_nothing(folder, left):
    folder.mkdir(mode=0o700)
    lock_of(folder).write_text(left)
    with hold_wallet(ADDRESS, "new", NOON, folder):
        assert json.loads(lock_of(folder).read_text())["run"] == "new"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x"}', "\x00"])
def test_a_holder_that_had_no_time_to_say_who_it_is_holds_it_all_the_same(folder, content):
    with hold_wallet(ADDRESS, "one", NOON, folder):
        lock_of(folder).write_text(content)
        assert taken(folder) == f"live={ADDRESS}: is traded by another pmrun"


def test_the_lock_is_ours_alone(folder):
    with hold_wallet(ADDRESS, "one", NOON, folder):
        assert lock_of(folder).stat().st_mode & 0o777 == 0o600


def test_a_link_is_not_followed(folder, tmp_path):
    folder.mkdir(mode=0o700)
    (tmp_path / "precious").write_text("do not empty me")
    lock_of(folder).symlink_to(tmp_path / "precious")
    with pytest.raises(DataError), hold_wallet(ADDRESS, "one", NOON, folder):
        pass
    assert (tmp_path / "precious").read_text() == "do not empty me"


HOLDER = """
import sys
from pathlib import Path
from pmrun.runner.wallet_lock import hold_wallet
with hold_wallet({address!r}, "killed", {noon}, Path({folder!r})):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(folder):
    script = HOLDER.format(address=ADDRESS, noon=NOON, folder=str(folder))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", script], **pipes) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        if process.poll() is None:
            process.kill()


def test_an_engine_that_was_killed_holds_nothing(folder, holder):
    assert re.search(rf"is traded by pid {holder.pid} on .* \(run killed\)$", taken(folder))
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert "killed" in lock_of(folder).read_text()  # it is still written there, and means nothing
    with hold_wallet(ADDRESS, "next", NOON, folder):
        pass


def test_a_program_that_the_engine_started_does_not_hold_it_on(folder):
    with hold_wallet(ADDRESS, "one", NOON, folder):
        child = subprocess.Popen(["sleep", "30"], close_fds=False)
    try:
        with hold_wallet(ADDRESS, "two", NOON, folder):
            pass
    finally:
        child.kill()
        child.wait()
