"""What the checks of this machine are told of an account, whatever the exchange."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from pmrun.plugins.executors.armed import Armed
from pmrun.runner.units import Micros


class Named(Protocol):
    """Who the account is."""

    @property
    def maker(self) -> str:
        """What its file and its lock are named by."""


class Placed(Protocol):
    """Where the exchange is."""

    @property
    def clob_url(self) -> str:
        """The address that says where its accounts are kept."""


class Machine(Protocol):
    """The account as configured, and what earlier checks learned of it."""

    held_by: str | None  # who trades it now

    @property
    def feed(self) -> Placed:
        """Where the exchange is."""

    @property
    def exchange(self) -> str:
        """What a run chooses it by."""

    @property
    def live(self) -> Armed | None:
        """How orders are sent; None: paper, where only what is public matters."""

    @property
    def limits(self) -> tuple[str, ...]:
        """The nodes of the components that limit the account."""

    @property
    def now(self) -> Callable[[], Micros]:
        """The clock."""

    @property
    def folder(self) -> Path:
        """Where pmrun is run."""

    @property
    def signer(self) -> Named | None:
        """Who the account is, once it is known."""

    @property
    def clock_fits(self) -> bool:
        """Whether the exchange shares the clock."""
