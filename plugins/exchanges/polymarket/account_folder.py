"""Where an account is kept: one key at two exchanges is two accounts, and a rehearsal is one of them."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from pmrun.runner.private_files import state_folder

PRODUCTION = "clob.polymarket.com"


def account_folder(given: Path | None, clob_url: str) -> Path:
    """Return the folder of the accounts at an exchange: the given one or pmrun's, below it for any but the real."""
    place = state_folder(given)
    host = (urlsplit(clob_url).hostname or "").lower()
    return place if host == PRODUCTION else place / (re.sub("[^a-z0-9]+", "-", host).strip("-") or "elsewhere")
