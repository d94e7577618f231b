"""Where an account is kept: one key at two exchanges is two accounts, and a rehearsal is one of them."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from pmrun.runner.private_files import state_folder

AT_THE_TOP = "clob.polymarket.com"  # its accounts were kept before there was a second exchange


def account_folder(given: Path | None, url: str) -> Path:
    """Return the folder of the accounts at an exchange: the given one or pmrun's, below it for all but one."""
    place = state_folder(given)
    host = (urlsplit(url).hostname or "").lower()
    return place if host == AT_THE_TOP else place / (re.sub("[^a-z0-9]+", "-", host).strip("-") or "elsewhere")
