"""What proves who we are, wrapped so that it is never shown; read from the environment and nowhere else (P6)."""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pmrun.plugins.exchanges.common.secret import Secret
from pmrun.runner.errors import ConfigError
from pmrun.runner.units import SECOND, Micros

__all__ = ["Credentials", "one_time_code", "read_credentials"]

TOKEN = "SATORI_TOKEN"
EMAIL = "SATORI_EMAIL"
PASSWORD = "SATORI_PASSWORD"
TOTP = "SATORI_TOTP"
PERSONAL = "pat_"  # how a personal access token begins (assumed)

_SENDABLE = re.compile(r"[!-~]+")  # what a header takes; for anything else it would be named, value and all
_ONE_TIME = re.compile(r"[0-9]{6}")
_STEP = 30  # seconds that a one-time code is good for (RFC 6238)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A token, or what a login takes; `totp` is a code of six digits, good once, or the base32 secret behind them."""

    token: Secret | None = None
    email: str | None = None
    password: Secret | None = None
    totp: Secret | None = None

    @property
    def can_log_in(self) -> bool:
        """Whether a token that ran out can be replaced by a new login."""
        return self.email is not None and self.password is not None

    def secrets(self) -> list[Secret]:
        """Return everything that must not be shown."""
        return [each for each in (self.token, self.password, self.totp) if each is not None]


def read_credentials(environment: Mapping[str, str]) -> Credentials | None:
    """Read them; None when nothing is set. ConfigError names a variable and never its value."""
    found = {name: environment.get(name, "").strip() for name in (TOKEN, EMAIL, PASSWORD, TOTP)}
    if not any(found.values()):
        return None
    for name in (TOKEN, EMAIL):
        if found[name] and not _SENDABLE.fullmatch(found[name]):
            raise ConfigError(name, None, "holds a space, a line break or a character outside ASCII: copy it again")
    if bool(found[EMAIL]) != bool(found[PASSWORD]):
        missing = PASSWORD if found[EMAIL] else EMAIL
        raise ConfigError(missing, None, f"is not set: a login takes {EMAIL} and {PASSWORD}; or set {TOKEN} alone")
    if not found[TOKEN] and not found[EMAIL]:
        raise ConfigError(TOKEN, None, f"is not set: {TOTP} alone is no login; set {TOKEN}, or {EMAIL} and {PASSWORD}")
    if found[TOTP]:
        one_time_code(Secret(found[TOTP]), Micros(0))
    return Credentials(
        token=_secret(found[TOKEN]),
        email=found[EMAIL] or None,
        password=_secret(found[PASSWORD]),
        totp=_secret(found[TOTP]),
    )


def required(environment: Mapping[str, str]) -> Credentials:
    """Read them; raises ConfigError when nothing is set."""
    found = read_credentials(environment)
    if found is None:
        raise ConfigError(
            TOKEN, None, f"is not set: put it into .env beside where you run pmrun, or {EMAIL} and {PASSWORD}"
        )
    return found


def one_time_code(secret: Secret, at: Micros) -> str:
    """Return the code of a moment (RFC 6238: SHA-1, 30 s, six digits), or the one that was given."""
    text = secret.reveal().replace(" ", "")
    if _ONE_TIME.fullmatch(text):
        return text
    key = _base32(text)
    if not key:
        raise ConfigError(TOTP, None, "is neither a code of six digits nor a base32 secret")
    digest = hmac.digest(key, (at // SECOND // _STEP).to_bytes(8, "big"), "sha1")
    start = digest[-1] & 15
    number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"


def _base32(text: str) -> bytes:
    try:
        return base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError):
        return b""


def _secret(text: str) -> Secret | None:
    return Secret(text) if text else None
