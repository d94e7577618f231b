"""Every call about our account, with its answer, kept for audit; secrets are removed before it comes here (O9)."""

import gzip
from pathlib import Path

import msgspec

from pmrun.plugins.exchanges.common.calls import Exchanged

FILE = "exchange.jsonl.gz"


class AuditFile:
    """Appends one line a call; each is a gzip member of its own, so that a crash loses at most the last."""

    def __init__(self, directory: Path) -> None:
        """Write into a run's directory."""
        self._path = directory / FILE
        self._encode = msgspec.json.Encoder(enc_hook=str).encode

    def __call__(self, exchanged: Exchanged) -> None:
        """Write a call."""
        with self._path.open("ab") as file:
            file.write(gzip.compress(self._encode(exchanged) + b"\n", 1))
