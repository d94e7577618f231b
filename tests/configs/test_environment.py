"""Secrets come from the environment or a private file (R17)."""

import os

import pytest

from pmrun.runner.environment import load_environment
from pmrun.runner.errors import ConfigError

CANARY = "canary-91c2"


@pytest.fixture
def env_file(tmp_path, monkeypatch):
    """Write a private .env; the names it may set are gone before and after."""
    for name in ("POLYMARKET_PRIVATE_KEY", "POLYMARKET_FUNDER"):
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)

    def write(text: str, mode: int = 0o600):
        path = tmp_path / ".env"
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    return write


def test_a_private_file_sets_what_nobody_has_set(env_file, tmp_path, monkeypatch):
    monkeypatch.setenv("POLYMARKET_FUNDER", "from the shell")
    env_file(f"# keys\n\nexport POLYMARKET_PRIVATE_KEY='{CANARY}=='\nPOLYMARKET_FUNDER=from the file\n")
    load_environment(tmp_path)
    assert os.environ["POLYMARKET_PRIVATE_KEY"] == f"{CANARY}=="
    assert os.environ["POLYMARKET_FUNDER"] == "from the shell"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o777])
def test_a_file_that_others_can_use_is_refused(env_file, tmp_path, mode):
    env_file(f"POLYMARKET_PRIVATE_KEY={CANARY}\n", mode)
    with pytest.raises(ConfigError, match="chmod 600") as refused:
        load_environment(tmp_path)
    assert CANARY not in str(refused.value)
    assert "POLYMARKET_PRIVATE_KEY" not in os.environ


@pytest.mark.parametrize("written", [f'"{CANARY}" # mine', f"'{CANARY}'", f'"{CANARY}"', CANARY])
def test_a_value_is_taken_without_its_quotes_and_what_is_said_after_them(env_file, tmp_path, written):
    env_file(f"\ufeffPOLYMARKET_PRIVATE_KEY={written}\n")
    load_environment(tmp_path)
    assert os.environ["POLYMARKET_PRIVATE_KEY"] == CANARY


@pytest.mark.parametrize("written", [f'"{CANARY}', f'"{CANARY}" {CANARY}'])
def test_a_quote_that_is_not_closed_is_named_and_its_value_is_not_shown(env_file, tmp_path, written):
    env_file(f"POLYMARKET_PRIVATE_KEY={written}\n")
    with pytest.raises(ConfigError, match="POLYMARKET_PRIVATE_KEY") as refused:
        load_environment(tmp_path)
    assert CANARY not in str(refused.value)


def test_what_is_not_ours_is_left_alone_whoever_can_read_it(env_file, tmp_path, monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    env_file(f"DATABASE_URL={CANARY}\nnot a variable\nPOLYMARKET_ODD-NAME=x\n", 0o644)
    load_environment(tmp_path)
    assert "DATABASE_URL" not in os.environ


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / ".env").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"\.env: cannot be read"):
        load_environment(tmp_path)


def test_without_a_file_nothing_happens(tmp_path):
    load_environment(tmp_path)
