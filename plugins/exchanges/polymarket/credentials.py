"""What proves who we are, wrapped so that it is never shown; read from the environment and nowhere else (P6)."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from pmrun.plugins.exchanges.common.secret import Secret
from pmrun.runner.errors import ConfigError, ProtocolViolation

PRIVATE_KEY = "POLYMARKET_PRIVATE_KEY"
FUNDER = "POLYMARKET_FUNDER"
API_KEY = "POLYMARKET_API_KEY"
API_SECRET = "POLYMARKET_API_SECRET"
API_PASSPHRASE = "POLYMARKET_API_PASSPHRASE"

_PRIVATE_KEY = re.compile(r"(0x)?[0-9a-fA-F]{64}")
_SENDABLE = re.compile(r"[!-~]+")  # what a header takes; for anything else it would be named, value and all
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141  # of secp256k1
_API_KEY_ANSWER = msgspec.json.Decoder(dict[str, str])


@dataclass(frozen=True, slots=True)
class Wallet:
    """Who signs and who pays; all of it is public (reference 2.3)."""

    address: str  # of the key that signs
    funder: str  # the wallet that holds the money
    signature_type: int
    chain_id: int


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What signs requests: the key is a name, the other two are secret (reference 2.2)."""

    key: str
    secret: Secret
    passphrase: Secret

    def secret_bytes(self) -> bytes:
        """Return the key of the HMAC (reference 2.1); ConfigError when the secret is not base64."""
        return _hmac_key(self.secret, API_SECRET)


def read_private_key(environment: Mapping[str, str]) -> Secret:
    """Read the signing key; ConfigError names the variable and never its value."""
    text = environment.get(PRIVATE_KEY, "").strip()
    if not text:
        raise ConfigError(PRIVATE_KEY, None, "is not set: put it into .env beside where you run pmrun, or export it")
    key = Secret(text)
    private_key_bytes(key)
    return key


def private_key_bytes(key: Secret) -> bytes:
    """Return the 32 bytes of a private key; ConfigError when it is none."""
    if not _PRIVATE_KEY.fullmatch(key.reveal()):
        raise ConfigError(PRIVATE_KEY, None, "is no private key: 64 hexadecimal digits are wanted, with or without 0x")
    found = bytes.fromhex(key.reveal().removeprefix("0x"))
    if not 0 < int.from_bytes(found) < _CURVE_ORDER:
        raise ConfigError(PRIVATE_KEY, None, "is no private key: it is outside the range of the curve")
    return found


def read_funder(environment: Mapping[str, str]) -> str | None:
    """Read the address of the wallet that holds the money; None when it is not set: the key's own (reference 2.3)."""
    text = environment.get(FUNDER, "").strip()
    if text and not _ADDRESS.fullmatch(text):
        raise ConfigError(FUNDER, None, "is no address: 0x and 40 hexadecimal digits are wanted")
    return text or None


def read_api_key(environment: Mapping[str, str]) -> ApiKey | None:
    """Read the API key; None when no part of it is set, ConfigError when only some parts are."""
    names = (API_KEY, API_SECRET, API_PASSPHRASE)
    found = {name: environment.get(name, "").strip() for name in names}
    if not any(found.values()):
        return None
    for name, text in found.items():
        if not text:
            raise ConfigError(name, None, f"is not set, though others of {', '.join(names)} are: set all three or none")
    for name, text in found.items():
        if not _SENDABLE.fullmatch(text):
            raise ConfigError(name, None, "holds a space, a line break or a character outside ASCII: copy it again")
    api_key = ApiKey(found[API_KEY], Secret(found[API_SECRET]), Secret(found[API_PASSPHRASE]))
    api_key.secret_bytes()
    return api_key


def parse_api_key(raw: bytes) -> ApiKey:
    """Read the answer of `POST /auth/api-key` or `GET /auth/derive-api-key`; no message shows what is in it."""
    api_key = _whole_key(raw)
    del raw  # what is raised below holds this frame, and it would hold the answer
    if api_key is None:
        raise ProtocolViolation("API key answer: apiKey, secret and passphrase are not all there")
    _hmac_key(api_key.secret, "the API secret that the exchange gave")
    return api_key


def _whole_key(raw: bytes) -> ApiKey | None:
    try:
        found = _API_KEY_ANSWER.decode(raw)
    except (msgspec.DecodeError, UnicodeError):
        return None
    if not all(_SENDABLE.fullmatch(found.get(name, "")) for name in ("apiKey", "secret", "passphrase")):
        return None
    return ApiKey(found["apiKey"], Secret(found["secret"]), Secret(found["passphrase"]))


def _hmac_key(secret: Secret, name: str) -> bytes:
    try:
        return base64.b64decode(secret.reveal(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        pass
    # Raised outside of the handler, so that no traceback carries the decoder's frames with the text in them.
    raise ConfigError(name, None, "is no base64 text")
