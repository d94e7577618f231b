"""A key that rehearses and trades has two accounts: what a rehearsal left never counts for real (O2, P9)."""

from pathlib import Path

import pytest

from pmrun.plugins.exchanges.common.account_folder import account_folder

KEPT = Path("/kept")


def test_real_accounts_stay_where_they_have_always_been() -> None:
    assert account_folder(KEPT, "https://clob.polymarket.com") == KEPT
    assert account_folder(KEPT, "https://CLOB.polymarket.com/") == KEPT


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://127.0.0.1:8700", "127-0-0-1"),
        ("http://127.0.0.1:8701", "127-0-0-1"),
        ("http://localhost:8700", "localhost"),
        ("http://[::1]:8700", "1"),
        ("https://clob-staging.polymarket.com", "clob-staging-polymarket-com"),
        ("https://..", "elsewhere"),
    ],
)
def test_any_other_exchange_has_a_folder_of_its_own(url: str, name: str) -> None:
    assert account_folder(KEPT, url) == KEPT / name
