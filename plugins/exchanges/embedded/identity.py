"""Who calls: wallet signatures (L1), API keys and their HMAC (L2), and whose money a wallet kind means."""

import base64
import hashlib
import hmac
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from eth_account import Account
from eth_account.messages import SignableMessage, encode_typed_data
from eth_keys.exceptions import BadSignature
from eth_utils.address import to_checksum_address
from eth_utils.exceptions import ValidationError

from pmrun.plugins.exchanges.embedded.replies import CallRefused, decode
from pmrun.plugins.exchanges.embedded.terms import Request
from pmrun.runner.units import SECOND, Micros

ATTESTATION = "This message attests that I control the given wallet"
EOA, PROXY, SAFE, DEPOSIT_WALLET = 0, 1, 2, 3
WALLET_KINDS = (EOA, PROXY, SAFE, DEPOSIT_WALLET)

_CLOB_AUTH: Mapping[str, Any] = {
    "EIP712Domain": [
        {"name": "name", "type": "string"},
        {"name": "version", "type": "string"},
        {"name": "chainId", "type": "uint256"},
    ],
    "ClobAuth": [
        {"name": "address", "type": "address"},
        {"name": "timestamp", "type": "string"},
        {"name": "nonce", "type": "uint256"},
        {"name": "message", "type": "string"},
    ],
}


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What an API key is to the exchange; the secrets never show."""

    key: str
    address: str  # the signer it belongs to
    nonce: int
    secret: str = field(repr=False)
    passphrase: str = field(repr=False)

    def shown_once(self) -> dict[str, str]:
        """Return the body of a creation or derivation (reference 2.2)."""
        return {"apiKey": self.key, "secret": self.secret, "passphrase": self.passphrase}


def checksum(address: str) -> str:
    """Write an address as the exchange does; raises ValueError when it is none."""
    try:
        return str(to_checksum_address(address))
    except (ValueError, TypeError):
        raise ValueError(f"{address!r} is not an address") from None


def recover(message: SignableMessage, signature: str) -> str | None:
    """Return who signed a message, None when the signature is no signature at all."""
    try:
        return str(Account.recover_message(message, signature=signature))
    except (ValueError, TypeError, IndexError, BadSignature, ValidationError):
        return None


class Wallets:
    """Which wallet a signer's money is in, by signature type, and whose a wallet is."""

    def __init__(self) -> None:
        self._wallets: dict[tuple[str, int], str] = {}
        self._owners: dict[str, str] = {}

    def register(self, address: str, kind: int, wallet: str) -> None:
        """Let a wallet belong to a signer."""
        self._wallets[address, kind] = wallet
        self._owners[wallet] = address

    def of(self, address: str, kind: int) -> str | None:
        """Return the wallet of a signer for a signature type; an EOA is its own."""
        return address if kind == EOA else self._wallets.get((address, kind))

    def owner(self, wallet: str) -> str | None:
        """Return whose wallet it is."""
        return self._owners.get(wallet)


class Identity:
    """API keys made from a seed, a signer and a nonce, and the checks of both levels (reference 2.1, 2.2)."""

    def __init__(self, seed: int, chain_id: int, tolerance: Micros) -> None:
        """Take the seed of all keys, the chain, and how far a caller's clock may be from ours."""
        self._seed = seed
        self._chain_id = chain_id
        self._tolerance = tolerance
        self._keys: dict[str, ApiKey] = {}
        self._readonly: dict[str, list[str]] = {}

    def level_one(self, request: Request, clock: Micros) -> tuple[str, int]:
        """Return who signed the headers, and the nonce; CallRefused with 401 when nobody did."""
        headers = request.headers
        address, stamp, nonce = (headers.get(f"poly_{name}", "") for name in ("address", "timestamp", "nonce"))
        nonce = nonce or "0"
        if not (_whole(nonce) and len(nonce) < 20 and self._timely(stamp, clock)):
            raise CallRefused(401, "Invalid L1 Request headers")
        try:
            claimed = checksum(address)
        except ValueError:
            raise CallRefused(401, "Invalid L1 Request headers") from None
        message = self._attestation(claimed, stamp, int(nonce))
        if recover(message, headers.get("poly_signature", "")) != claimed:
            raise CallRefused(401, "Invalid L1 Request headers")
        return claimed, int(nonce)

    def level_two(self, request: Request, clock: Micros) -> ApiKey:
        """Return the API key that signed a call; CallRefused with 401 otherwise."""
        headers = request.headers
        found = self._keys.get(headers.get("poly_api_key", ""))
        stamp = headers.get("poly_timestamp", "")
        if found is None or not self._timely(stamp, clock):
            raise CallRefused(401, "Unauthorized/Invalid api key")
        expected = signature_of(found.secret, stamp, request)
        genuine = (
            _same(headers.get("poly_signature", ""), expected)
            and _same(headers.get("poly_passphrase", ""), found.passphrase)
            and headers.get("poly_address", "").lower() == found.address.lower()
        )
        if not genuine:
            raise CallRefused(401, "Unauthorized/Invalid api key")
        return found

    def credentials(self, key: str, secret: str, passphrase: str) -> ApiKey | None:
        """Return the API key whose three parts these are, as the user channel gets them (reference 5.3)."""
        found = self._keys.get(key)
        if found is None or not (_same(secret, found.secret) and _same(passphrase, found.passphrase)):
            return None
        return found

    def create(self, address: str, nonce: int) -> ApiKey:
        """Make the API key of a signer and a nonce; CallRefused when it exists."""
        made = self._make(address, nonce)
        if made.key in self._keys:
            raise CallRefused(400, "Could not create api key")
        self._keys[made.key] = made
        return made

    def derive(self, address: str, nonce: int) -> ApiKey:
        """Return the API key made before; CallRefused when there is none."""
        found = self._keys.get(self._make(address, nonce).key)
        if found is None:
            raise CallRefused(400, "Could not derive api key!")
        return found

    def keys_of(self, address: str) -> list[str]:
        """Return the API keys of a signer."""
        return [key.key for key in self._keys.values() if key.address == address]

    def delete(self, key: ApiKey) -> None:
        """Forget an API key: what it signs from now on is refused."""
        self._keys.pop(key.key, None)

    def create_readonly(self, address: str) -> str:
        """Make a key that may only read; the embedded exchange lists it and knows no use for it."""
        made = self._readonly.setdefault(address, [])
        made.append(self._uuid(f"readonly:{address}:{len(made)}"))
        return made[-1]

    def readonly_keys(self, address: str) -> list[str]:
        """Return the read-only keys of a signer."""
        return list(self._readonly.get(address, ()))

    def delete_readonly(self, address: str, key: str) -> None:
        """Forget a read-only key."""
        kept = self._readonly.get(address, [])
        if key in kept:
            kept.remove(key)

    def _attestation(self, address: str, stamp: str, nonce: int) -> SignableMessage:
        return encode_typed_data(
            full_message={
                "types": _CLOB_AUTH,
                "primaryType": "ClobAuth",
                "domain": {"name": "ClobAuthDomain", "version": "1", "chainId": self._chain_id},
                "message": {"address": address, "timestamp": stamp, "nonce": nonce, "message": ATTESTATION},
            }
        )

    def _timely(self, stamp: str, clock: Micros) -> bool:
        return _whole(stamp) and len(stamp) <= 12 and abs(int(stamp) * SECOND - clock) <= self._tolerance

    def _make(self, address: str, nonce: int) -> ApiKey:
        return ApiKey(
            key=self._uuid(f"key:{address}:{nonce}"),
            address=address,
            nonce=nonce,
            secret=base64.urlsafe_b64encode(self._digest(f"secret:{address}:{nonce}")).decode(),
            passphrase=self._digest(f"passphrase:{address}:{nonce}").hex(),
        )

    def _uuid(self, what: str) -> str:
        return str(uuid.UUID(bytes=self._digest(what)[:16]))

    def _digest(self, what: str) -> bytes:
        return hashlib.sha256(f"{self._seed}:{what}".encode()).digest()


class KeyCalls:
    """The calls about credentials (reference 2.2); `welcome` hears of every signer that asks for a key."""

    def __init__(self, identity: Identity, welcome: Callable[[str, Micros], None], only_closing: bool = False) -> None:
        """Take the keys, and whether their accounts may close and nothing else."""
        self._identity = identity
        self._welcome = welcome
        self._only_closing = only_closing

    def create(self, request: Request, clock: Micros, at: Micros) -> dict[str, str]:
        """`POST /auth/api-key`."""
        address, nonce = self._identity.level_one(request, clock)
        made = self._identity.create(address, nonce)
        self._welcome(address, at)
        return made.shown_once()

    def derive(self, request: Request, clock: Micros, at: Micros) -> dict[str, str]:
        """`GET /auth/derive-api-key`."""
        return self._identity.derive(*self._identity.level_one(request, clock)).shown_once()

    def keys(self, request: Request, clock: Micros, at: Micros) -> dict[str, list[str]]:
        """`GET /auth/api-keys`."""
        return {"apiKeys": self._identity.keys_of(self._identity.level_two(request, clock).address)}

    def delete(self, request: Request, clock: Micros, at: Micros) -> str:
        """`DELETE /auth/api-key`."""
        self._identity.delete(self._identity.level_two(request, clock))
        return "OK"

    def closed_only(self, request: Request, clock: Micros, at: Micros) -> dict[str, bool]:
        """`GET /auth/ban-status/closed-only`."""
        self._identity.level_two(request, clock)
        return {"closed_only": self._only_closing}

    def create_readonly(self, request: Request, clock: Micros, at: Micros) -> dict[str, str]:
        """`POST /auth/readonly-api-key`."""
        return {"apiKey": self._identity.create_readonly(self._identity.level_two(request, clock).address)}

    def readonly_keys(self, request: Request, clock: Micros, at: Micros) -> dict[str, list[str]]:
        """`GET /auth/readonly-api-keys`."""
        address = self._identity.level_two(request, clock).address
        return {"readonlyApiKeys": self._identity.readonly_keys(address)}

    def delete_readonly(self, request: Request, clock: Micros, at: Micros) -> str:
        """`DELETE /auth/readonly-api-key`."""
        address = self._identity.level_two(request, clock).address
        self._identity.delete_readonly(address, decode(_Readonly, request.body, "Invalid API key").key)
        return "OK"


class _Readonly(msgspec.Struct):
    key: str


def signature_of(secret: str, stamp: str, request: Request) -> str:
    """Return the HMAC of a call: time, method, path without the query, and the body's exact bytes (reference 2.1)."""
    message = f"{stamp}{request.method.upper()}{request.path}".encode() + request.body
    digest = hmac.new(base64.urlsafe_b64decode(secret), message, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode()


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def _whole(text: str) -> bool:
    return text.isascii() and text.isdigit()
