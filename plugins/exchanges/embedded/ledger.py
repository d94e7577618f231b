"""The embedded exchange's money and shares in double entry; all of it is simulated."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from pmrun.runner.errors import PmrunError
from pmrun.runner.market import TokenId
from pmrun.runner.units import Micros

COLLATERAL: Final = "pUSD"


class Unbalanced(PmrunError):
    """An entry, or the whole ledger, breaks the laws of double entry."""


class Part(StrEnum):
    """What a wallet's money is doing; SYSTEM is the only part of an account of the exchange itself."""

    AVAILABLE = "available"
    ESCROW = "escrow"  # held for resting orders
    PENDING = "pending"  # matched, and given away when the settlement is confirmed
    SYSTEM = "system"


WALLET_PARTS: Final = (Part.AVAILABLE, Part.ESCROW, Part.PENDING)


class Account(NamedTuple):
    """A part of a wallet, or an account of the exchange."""

    owner: str
    part: Part


VAULT: Final = Account("vault", Part.SYSTEM)  # the dollar behind each pair of YES and NO
FEES: Final = Account("fees", Part.SYSTEM)
ROUNDING: Final = Account("rounding", Part.SYSTEM)
ISSUER: Final = Account("issuer", Part.SYSTEM)  # the other side of deposits, grants and withdrawals
CROWD: Final = Account("crowd", Part.SYSTEM)  # everybody else's money: without limit


class Movement(NamedTuple):
    """What one account gains, or loses, of one asset in base units."""

    account: Account
    asset: str
    amount: int


class Entry(NamedTuple):
    """Movements that happened together."""

    at: Micros
    why: str
    movements: tuple[Movement, ...]


def moved(source: Account, target: Account, asset: str, amount: int) -> tuple[Movement, Movement]:
    """Return the two movements of a transfer."""
    return Movement(source, asset, -amount), Movement(target, asset, amount)


def asset_of(token: TokenId | None) -> str:
    """Return the name of an asset: a token's, or the collateral's for None."""
    return COLLATERAL if token is None else token


class Ledger:
    """Entries, and what they add up to."""

    def __init__(self) -> None:
        """Start without money."""
        self._entries: list[Entry] = []
        self._held: defaultdict[tuple[Account, str], int] = defaultdict(int)

    @property
    def entries(self) -> Sequence[Entry]:
        """Everything that ever moved, oldest first."""
        return self._entries

    def post(self, at: Micros, why: str, movements: Iterable[Movement]) -> None:
        """Write an entry; Unbalanced, and nothing written, when it does not sum to zero or overdraws a wallet."""
        entry = Entry(at, why, tuple(movements))
        _require_balance(entry)
        after: dict[tuple[Account, str], int] = {}
        for account, asset, amount in entry.movements:
            key = (account, asset)
            after[key] = after.get(key, self._held.get(key, 0)) + amount
        for (account, asset), amount in after.items():
            _require_cover(account, asset, amount, why)
        self._held.update(after)
        self._entries.append(entry)

    def of(self, account: Account, asset: str) -> int:
        """Return what an account holds of an asset."""
        return self._held.get((account, asset), 0)

    def balance(self, wallet: str, token: TokenId | None) -> int:
        """Return all that a wallet owns of a token (None: collateral): available, escrowed and pending."""
        asset = asset_of(token)
        return sum(self.of(Account(wallet, part), asset) for part in WALLET_PARTS)

    def spendable(self, wallet: str, token: TokenId | None) -> int:
        """Return what a wallet may still promise of a token (None: collateral)."""
        return self.of(Account(wallet, Part.AVAILABLE), asset_of(token))

    def holders(self, asset: str) -> list[tuple[Account, int]]:
        """Return who holds an asset, or owes it, in order of first appearance."""
        return [(account, held) for (account, name), held in self._held.items() if name == asset and held]

    def check(self) -> None:
        """Raise Unbalanced unless every entry and the whole sum to zero, and no part of a wallet is overdrawn."""
        sums: defaultdict[tuple[Account, str], int] = defaultdict(int)
        for entry in self._entries:
            _require_balance(entry)
            for account, asset, amount in entry.movements:
                sums[account, asset] += amount
        wholes: defaultdict[str, int] = defaultdict(int)
        for (account, asset), held in self._held.items():
            if held != sums[account, asset]:
                raise Unbalanced(f"{' '.join(account)} holds {held} of {asset}, its entries say {sums[account, asset]}")
            _require_cover(account, asset, held, "the whole ledger")
            wholes[asset] += held
        for asset, whole in wholes.items():
            if whole:
                raise Unbalanced(f"the ledger sums to {whole} of {asset}, not to zero")


def _require_balance(entry: Entry) -> None:
    sums: defaultdict[str, int] = defaultdict(int)
    for _, asset, amount in entry.movements:
        sums[asset] += amount
    for asset, whole in sums.items():
        if whole:
            raise Unbalanced(f"{entry.why}: the entry sums to {whole} of {asset}, not to zero")


def _require_cover(account: Account, asset: str, held: int, why: str) -> None:
    if held < 0 and account.part is not Part.SYSTEM:
        raise Unbalanced(f"{why}: {' '.join(account)} would hold {held} of {asset}")
