"""Who calls: accounts, sign-in with tokens that expire, and personal access tokens with scopes; all of it simulated."""

import base64
import hashlib
import hmac
from random import Random
from typing import Any, Final

import msgspec

from pmrun.plugins.exchanges.embedded.satori.codes import Code, Refusal
from pmrun.plugins.exchanges.embedded.satori.settings import SatoriSettings
from pmrun.runner.units import SECOND, Micros

READ, TRADE = "read", "trade"
EVERYTHING: Final = (READ, TRADE)
PERSONAL: Final = "pat_"


class User(msgspec.Struct, frozen=True, kw_only=True):
    """An account; its id is also the name of its wallet in the ledger."""

    user_id: str
    email: str
    password_hash: str
    kyc_tier: int = 1
    two_factor: bool = True  # without it nothing may be traded
    totp: str | None = None  # what a sign-in has to bring; None: this device is known


class PersonalToken(msgspec.Struct, frozen=True, kw_only=True):
    """A personal access token without the token itself."""

    name: str
    scopes: tuple[str, ...]
    expires_at: Micros | None
    created_at: Micros


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Who is behind a token, what it allows, and until when."""

    user: User
    scopes: tuple[str, ...] = EVERYTHING
    expires_at: Micros | None = None
    personal: bool = False

    def require(self, scope: str) -> None:
        """Raise Refusal unless the token has a scope."""
        if scope not in self.scopes:
            raise Refusal(Code.SCOPE_MISSING)


def hashed(secret: str) -> str:
    """Return what is kept of a password or a token."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Identity:
    """All accounts and tokens; ids and tokens come from the seed."""

    def __init__(self, settings: SatoriSettings, seed: int = 0) -> None:
        """Start without accounts."""
        self._settings = settings
        self._random = Random(f"satori identity {seed}")
        self._key = self._random.randbytes(32)
        self._users: dict[str, User] = {}
        self._by_email: dict[str, User] = {}
        self._refresh: dict[str, tuple[str, Micros]] = {}
        self._personal: dict[str, tuple[str, PersonalToken]] = {}
        self._void_before = Micros(0)

    def add(self, email: str, password: str, *, kyc_tier: int, two_factor: bool, totp: str | None) -> User:
        """Open an account."""
        user = User(
            user_id=f"u{self._random.getrandbits(64):016x}",
            email=email,
            password_hash=hashed(password),
            kyc_tier=kyc_tier,
            two_factor=two_factor,
            totp=totp,
        )
        self._users[user.user_id] = self._by_email[email.lower()] = user
        return user

    def user(self, user_id: str) -> User | None:
        """Return an account."""
        return self._users.get(user_id)

    def change(self, user: User) -> None:
        """Put a changed account in the place of what it was."""
        self._users[user.user_id] = self._by_email[user.email.lower()] = user

    def login(self, email: str, password: str, totp: str | None, at: Micros) -> dict[str, Any]:
        """Return fresh tokens; Refusal for wrong credentials, and where the second factor is missing."""
        user = self._by_email.get(email.lower())
        if user is None or not hmac.compare_digest(user.password_hash, hashed(password)):
            raise Refusal(Code.BAD_CREDENTIALS)
        if user.totp is not None and totp != user.totp:
            raise Refusal(Code.TWO_FACTOR_REQUIRED)
        return self._tokens(user, at)

    def renew(self, token: str, at: Micros) -> dict[str, Any]:
        """Return fresh tokens for a refresh token, which is used up by that; Refusal when it is unknown or too old."""
        user_id, until = self._refresh.pop(hashed(token), ("", Micros(0)))
        user = self._users.get(user_id)
        if user is None:
            raise Refusal(Code.TOKEN_INVALID)
        if until <= at:
            raise Refusal(Code.TOKEN_EXPIRED)
        return self._tokens(user, at)

    def personal(
        self, user: User, name: str, scopes: tuple[str, ...], at: Micros, expires_at: Micros | None = None
    ) -> str:
        """Return a new personal access token."""
        token = f"{PERSONAL}{self._random.getrandbits(160):040x}"
        terms = PersonalToken(name=name, scopes=scopes, expires_at=expires_at, created_at=at)
        self._personal[hashed(token)] = (user.user_id, terms)
        return token

    def personal_tokens(self, user: User) -> list[PersonalToken]:
        """Return an account's personal access tokens, never the secret."""
        return [terms for owner, terms in self._personal.values() if owner == user.user_id]

    def expire_all(self, at: Micros) -> None:
        """Let all tokens of a sign-in be too old from now on; they can be renewed, and personal ones stay."""
        self._void_before = at

    def who(self, token: str, at: Micros) -> Session:
        """Return who is behind a token; Refusal when it is unknown or too old."""
        return self._owner(token, at) if token.startswith(PERSONAL) else self._signed_in(token, at)

    def _owner(self, token: str, at: Micros) -> Session:
        user_id, terms = self._personal.get(hashed(token), ("", None))
        user = self._users.get(user_id)
        if user is None or terms is None:
            raise Refusal(Code.TOKEN_INVALID)
        if terms.expires_at is not None and terms.expires_at <= at:
            raise Refusal(Code.TOKEN_EXPIRED)
        return Session(user=user, scopes=terms.scopes, expires_at=terms.expires_at, personal=True)

    def _signed_in(self, token: str, at: Micros) -> Session:
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), self._signature(signed).encode()):
            raise Refusal(Code.TOKEN_INVALID)
        claims = msgspec.json.decode(_unpacked(signed.partition(".")[2]))
        user, until = self._users[claims["sub"]], Micros(claims["exp"] * SECOND)
        if until <= at or claims["issued"] <= self._void_before:
            raise Refusal(Code.TOKEN_EXPIRED)
        return Session(user=user, expires_at=until)

    def _tokens(self, user: User, at: Micros) -> dict[str, Any]:
        until = -(-(at + self._settings.token_life) // SECOND)
        claims = {
            "sub": user.user_id,
            "iat": at // SECOND,
            "exp": until,
            "issued": max(at, self._void_before + 1),
            "jti": f"{self._random.getrandbits(64):016x}",
        }
        signed = f"{_packed({'alg': 'HS256', 'typ': 'JWT'})}.{_packed(claims)}"
        refresh = f"rt_{self._random.getrandbits(160):040x}"
        self._refresh[hashed(refresh)] = (user.user_id, Micros(at + self._settings.refresh_life))
        return {
            "access_token": f"{signed}.{self._signature(signed)}",
            "refresh_token": refresh,
            "expires_in": self._settings.token_life // SECOND,
        }

    def _signature(self, signed: str) -> str:
        return _trimmed(hmac.digest(self._key, signed.encode("utf-8", "replace"), "sha256"))


def _packed(claims: dict[str, Any]) -> str:
    return _trimmed(msgspec.json.encode(claims))


def _trimmed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
