"""Composes as the command line does, without running."""

from collections.abc import Callable
from typing import Any

import pytest

from pmrun.runner.assembly import Plan, plan
from pmrun.runner.compose import compose_config

Compose = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def composed() -> Compose:
    """Compose reward_mm with overrides; the same overrides are composed once."""
    known: dict[tuple[str, ...], dict[str, Any]] = {}

    def compose(*overrides: str, strategy: str | None = "reward_mm") -> dict[str, Any]:
        whole = (*((f"strategy={strategy}",) if strategy else ()), *overrides)
        if whole not in known:
            known[whole] = compose_config(list(whole))
        return known[whole]

    return compose


@pytest.fixture(scope="session")
def planned(composed: Compose) -> Callable[..., Plan]:
    """Compose and build."""
    return lambda *overrides, **more: plan(composed(*overrides, **more))
