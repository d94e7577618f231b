"""Who has money at the embedded exchange, and from which wallet they spend it; all of it is simulated."""

from collections.abc import Callable, Mapping

from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.identity import EOA, WALLET_KINDS, ApiKey, Wallets, checksum
from pmrun.plugins.exchanges.embedded.settings import HostSettings
from pmrun.runner.errors import ConfigError
from pmrun.runner.market import TokenId
from pmrun.runner.units import Cash, Micros, Size

NO_HOLDINGS: Mapping[TokenId, Size] = {}


class Accounts:
    """Wallets and their owners."""

    def __init__(self, engine: Engine, settings: HostSettings, moment: Callable[[], Micros]) -> None:
        """Know nobody yet."""
        self.wallets = Wallets()
        self._engine = engine
        self._settings = settings
        self._moment = moment
        self._welcomed: set[str] = set()

    def add(
        self,
        address: str,
        funds: Cash,
        signature_type: int = EOA,
        funder: str | None = None,
        holdings: Mapping[TokenId, Size] = NO_HOLDINGS,
    ) -> str:
        """Give a signer a wallet with simulated money and shares, and return the wallet's address.

        Every kind but an EOA needs a funder: the wallet that holds the money (reference 2.3).
        """
        if signature_type not in WALLET_KINDS:
            raise ConfigError("signature_type", signature_type, "one of 0, 1, 2, 3 is allowed")
        if (signature_type == EOA) != (funder is None):
            raise ConfigError("funder", funder, "a wallet is named for signature types 1, 2 and 3, and only for them")
        try:
            signer = checksum(address)
            wallet = signer if funder is None else checksum(funder)
        except ValueError as error:
            raise ConfigError("address", None, str(error)) from None
        self.wallets.register(signer, signature_type, wallet)
        self._welcomed.add(signer)
        at = self._moment()
        self._engine.deposit(wallet, funds, at)
        for token, size in holdings.items():
            self._engine.grant(wallet, token, size, at)
        return wallet

    def welcome(self, address: str, at: Micros) -> None:
        """Fund the wallet of a signer that comes for the first time."""
        if self._settings.open_to_all and address not in self._welcomed:
            self._welcomed.add(address)
            self.wallets.register(address, EOA, address)
            self._engine.deposit(address, self._settings.funds, at)

    def promised(self, address: str, kind: int) -> Cash:
        """Return what a signer will find in a wallet that we learn of by its first order only."""
        awaited = self._settings.open_to_all and self.wallets.of(address, kind) is None
        return self._settings.funds if awaited else Cash(0)

    def admit(self, key: ApiKey, wallet: str, kind: int, at: Micros) -> bool:
        """Whether a signer may spend from a wallet; the first to come with an unknown one is its owner."""
        if kind == EOA:
            return True
        owner = self.wallets.owner(wallet)
        if owner is None and self._settings.open_to_all and self.wallets.of(key.address, kind) is None:
            self.wallets.register(key.address, kind, wallet)
            self._engine.deposit(wallet, self._settings.funds, at)
            owner = key.address
        return owner == key.address and self.wallets.of(key.address, kind) == wallet
