"""The token that proves who we are: given, or from a login, and renewed by one call however many ask (V1)."""

from collections.abc import Awaitable, Callable

import trio

from pmrun.plugins.exchanges.common.secret import Secret
from pmrun.plugins.exchanges.satori.credentials import Credentials, one_time_code
from pmrun.runner.errors import ExchangeError
from pmrun.runner.units import SECOND, Micros

# What asks the exchange for tokens: a body in, (access, refresh, seconds) out; it raises ExchangeError.
Pair = tuple[str, str, int]
Login = Callable[[dict[str, str]], Awaitable[Pair]]
Refresh = Callable[[str], Awaitable[Pair | None]]  # None: the refresh token is none any more
AGAIN = Micros(60 * SECOND)  # after a refused login before the next: ten a minute are allowed
EARLY = Micros(30 * SECOND)  # before a token runs out, a new one is asked for


class NoToken(ExchangeError):
    """There is no token that the exchange takes, and what would have to be done about it."""


class Tokens:
    """Holds the token; `current` may wait for a login, `latest` never does."""

    def __init__(self, credentials: Credentials, login: Login, refresh: Refresh, now: Callable[[], Micros]) -> None:
        """Take the credentials; nothing is asked for before the first call."""
        self._credentials = credentials
        self._login = login
        self._refresh = refresh
        self._now = now
        self._access = credentials.token
        self._refresh_token: Secret | None = None
        self._until: Micros | None = None  # when it runs out; None: nobody said
        self._one_at_a_time = trio.Lock()
        self._failed: tuple[Micros, str] | None = None  # when a new one was refused last, and why
        self.renewals = 0

    def latest(self) -> Secret:
        """Return the token that was had last; NoToken where there is none."""
        if self._access is None:
            raise NoToken("no token: the account is not logged in")
        return self._access

    def secrets(self) -> list[Secret]:
        """Return everything that must not be shown."""
        held = [each for each in (self._access, self._refresh_token) if each is not None]
        return [*self._credentials.secrets(), *held]

    async def current(self) -> Secret:
        """Return the token, after a login where there is none, or a new one where it is about to run out."""
        token = self._access
        if token is None or (self._until is not None and self._now() > self._until - EARLY):
            return await self.renewed(token)
        return token

    async def renewed(self, refused: Secret | None) -> Secret:
        """Return another token than one that was refused; raises NoToken.

        However many ask at once, the exchange is asked once: the others find the new token there.
        """
        async with self._one_at_a_time:
            if self._access is not None and self._access is not refused:
                return self._access
            if self._failed is not None and self._now() < self._failed[0] + AGAIN:
                raise NoToken(self._failed[1])
            try:
                access, refresh, seconds = await self._another(refused is not None)
            except NoToken as error:
                self._failed = self._now(), str(error)
                raise
            self.renewals += 1
            self._access, self._refresh_token = Secret(access), Secret(refresh)
            self._until = Micros(self._now() + seconds * SECOND) if seconds > 0 else None
            return self._access

    async def _another(self, was_refused: bool) -> Pair:
        pair = None
        if self._refresh_token is not None:
            pair = await self._refresh(self._refresh_token.reveal())
        return pair or await self._logged_in(was_refused)

    async def _logged_in(self, was_refused: bool) -> Pair:
        known = self._credentials
        if known.email is None or known.password is None:
            why = "the token is refused or ran out" if was_refused else "there is none"
            raise NoToken(f"token: {why}: set SATORI_TOKEN to a new one, or SATORI_EMAIL and SATORI_PASSWORD")
        body = {"email": known.email, "password": known.password.reveal()}
        if known.totp is not None:
            body["totp"] = one_time_code(known.totp, self._now())
        return await self._login(body)
