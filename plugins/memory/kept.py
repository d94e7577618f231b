"""Keep what components carry in a file of its own, from one paper run to the next (P2, M5)."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from loguru import logger

from pmrun.runner.account_file import AccountFile
from pmrun.runner.errors import ConfigError
from pmrun.runner.memory import Remembered
from pmrun.runner.private_files import file_of, state_folder
from pmrun.runner.units import SECOND, Micros
from pmrun.runner.wallet_lock import hold_wallet

log = logger.bind(module="main")


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Give every component back what it carried last, and keep what it carries in the end.

    `name` names the file `paper-NAME.sqlite` in `folder` (None: where accounts are kept). With `keep` false a run
    starts from what is kept and leaves it alone, and so does one beside another that keeps it: the first one keeps.
    """

    name: str = "pmrun"
    folder: str | None = None
    keep: bool = True

    def __post_init__(self) -> None:
        """Refuse a name that cannot be that of a file."""
        try:
            file_of(self.name, Path(), "")
            file_of(self._account, Path(), "")
        except ConfigError:
            raise ValueError("name must be 1 to 94 letters, digits, - and _") from None

    @property
    def _account(self) -> str:
        return f"paper-{self.name}"

    def unkept(self) -> "Kept":
        """Return what starts from the same and keeps nothing: the jobs of a sweep learn nothing from each other."""
        return replace(self, keep=False)

    @contextmanager
    def open(self, run: str) -> Iterator[Remembered]:
        """Yield what is remembered, and what keeps it; raises DataError for a file that cannot be used."""
        folder = None if self.folder is None else Path(self.folder).expanduser()
        with ExitStack() as stack:
            keeps = self.keep
            if keeps:
                try:
                    stack.enter_context(hold_wallet(self._account, run, _now(), folder))
                except ConfigError as error:
                    keeps = False
                    log.warning("what this run learns is not kept: {} {}", self._account, error.reason)
            if not keeps and not file_of(self._account, state_folder(folder), ".sqlite").exists():
                yield Remembered({}, None)
                return
            file = stack.enter_context(AccountFile.open(self._account, folder))

            def keep(values: Mapping[str, Mapping[str, int]]) -> None:
                file.carry_all(values, _now())

            yield Remembered(file.carried(_now()), keep if keeps else None)


def _now() -> Micros:
    return Micros(int(time.time() * SECOND))
