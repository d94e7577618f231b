"""A compiled desk is never older than the sources that somebody reads beside it."""

import os
from importlib.machinery import EXTENSION_SUFFIXES

import pytest

from pmrun.runner import compiled
from pmrun.runner.compiled import LIBRARY, check_compiled
from pmrun.runner.errors import ConfigError

SUFFIX = EXTENSION_SUFFIXES[0]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout whose desk was compiled a minute after its sources were written."""
    monkeypatch.setattr(compiled, "compiled", lambda: True)
    (tmp_path / ".git").mkdir()
    (tmp_path / "runner").mkdir()
    for name, at in (("desk.py", 0), ("other.py", 900), (f"desk{SUFFIX}", 60), (LIBRARY + SUFFIX, 60)):
        path = tmp_path / "runner" / name
        path.touch()
        os.utime(path, (at, at))
    return tmp_path


def test_what_was_compiled_from_these_sources_runs(checkout):
    check_compiled(checkout)


def test_a_source_that_changed_after_it_was_compiled_stops_the_run(checkout):
    os.utime(checkout / "runner" / "desk.py", (61, 61))
    with pytest.raises(ConfigError, match=r"runner/desk\.py: changed after it was compiled"):
        check_compiled(checkout)


def test_an_installed_package_is_not_asked(checkout):
    os.utime(checkout / "runner" / "desk.py", (61, 61))
    (checkout / ".git").rmdir()
    check_compiled(checkout)
