"""Replays a synthetic market kept as columns: the form of the reference job."""

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pmrun.plugins.executors.kernel import LEVEL, PRINT, Rows
from pmrun.runner.errors import ConfigError, DataError
from pmrun.runner.market import ConditionId, Market, TokenId
from pmrun.runner.packs import resource_path
from pmrun.runner.ports import FeedData, FeedInfo
from pmrun.runner.units import Micros, Price, Size

NEEDED = ("ts", "token", "kind", "side", "px", "qty")
CENT = Price(100)
QTY = 10_000  # a hundredth of a share
KINDS = np.array([LEVEL, LEVEL, PRINT], np.uint8)  # snapshot level, change, trade


@dataclass(frozen=True, slots=True, eq=False)
class ColumnFile:
    """An `.npz` of equally long columns: ts (ms), token, kind, side, px (cents), qty (1/100 share).

    Kinds are 0 snapshot level, 1 change, 2 trade; sides 0 buy, 1 sell.

    Every token is a market of its own with a tick of a cent, and simulated.
    """

    path: str

    def __post_init__(self) -> None:
        """Refuse an empty path."""
        if not self.path:
            raise ValueError("path must name an .npz file")

    def check(self) -> None:
        """Refuse a file that is not there, before anything starts."""
        if not resource_path(self.path).is_file():
            raise ConfigError("feed.path", self.path, "no such file; an .npz with columns " + ", ".join(NEEDED))

    def open(self) -> FeedData:
        """Read the columns; raises DataError when they are damaged."""
        path = resource_path(self.path)
        columns = _read(path)
        tokens = int(columns["token"].max()) + 1
        at = columns["ts"] * 1_000
        rows = Rows(
            at,
            at,
            np.arange(1, len(at) + 1, dtype=np.int64),
            columns["token"].astype(np.int32),
            KINDS[columns["kind"]],
            columns["side"].astype(np.uint8),
            columns["px"].astype(np.int32) * CENT,
            columns["qty"].astype(np.int64) * QTY,
        )
        return FeedData(
            markets=tuple(_market(token) for token in range(tokens)),
            steps=(CENT,) * tokens,
            rows=rows,
            notes=(),
            info=FeedInfo(
                name="columns",
                source=self.path,
                simulated=True,
                data_hash=_hash(path),
                frames=len(at),
                prints=int((columns["kind"] == 2).sum()),
                first_at=Micros(int(at[0])),
                last_at=Micros(int(at[-1])),
                remarks=("simulated market: synthetic columns",),
            ),
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        with np.load(path) as file:
            columns = {name: file[name] for name in NEEDED}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not columns of a market: {error}") from None
    if len({len(column) for column in columns.values()}) != 1 or not len(columns["ts"]):
        raise DataError(f"{path}: columns are empty or of different lengths")
    if (np.diff(columns["ts"]) < 0).any():
        raise DataError(f"{path}: ts goes backwards")
    outside = (columns["px"] < 1) | (columns["px"] > 99) | (columns["qty"] < 0)
    for name, highest in (("kind", 2), ("side", 1)):
        outside |= (columns[name] < 0) | (columns[name] > highest)
    if outside.any() or columns["token"].min() < 0:
        raise DataError(f"{path}: row {int(outside.argmax())} has a price, size, kind or side out of range")
    return columns


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _market(token: int) -> Market:
    return Market(
        condition=ConditionId(f"0x{token:064x}"),
        question=f"simulated market {token}",
        slug=f"simulated-{token}",
        yes=TokenId(str(2 * token + 1)),
        no=TokenId(str(2 * token + 2)),
        tick=CENT,
        min_order_size=Size(5_000_000),
        simulated=True,
    )
