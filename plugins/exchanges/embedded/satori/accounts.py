"""Calls about accounts: signing in, who one is, money and positions."""

from typing import Any

from pmrun.plugins.exchanges.embedded.satori.calls import Call, text_of
from pmrun.plugins.exchanges.embedded.satori.identity import Identity
from pmrun.plugins.exchanges.embedded.satori.limits import Limits
from pmrun.plugins.exchanges.embedded.satori.settings import SatoriSettings
from pmrun.plugins.exchanges.embedded.satori.wallets import Wallets

LOOPBACK = "127.0.0.1"  # sign-ins are limited by address, and here there is only one


class Accounts:
    """Answers them."""

    def __init__(self, identity: Identity, wallets: Wallets, limits: Limits, settings: SatoriSettings) -> None:
        """Take who knows."""
        self._identity = identity
        self._wallets = wallets
        self._limits = limits
        self._settings = settings

    def login(self, call: Call) -> Any:
        """Answer POST /auth/login."""
        self._limits.spend(LOOPBACK, {"login": self._settings.logins_a_minute}, call.at)
        body = call.body()
        totp = text_of(body, "totp") if body.get("totp") is not None else None
        return self._identity.login(text_of(body, "email"), text_of(body, "password"), totp, call.at)

    def refresh(self, call: Call) -> Any:
        """Answer POST /auth/refresh."""
        self._limits.spend(LOOPBACK, {"refresh": self._settings.refreshes_a_minute}, call.at)
        return self._identity.renew(text_of(call.body(), "refresh_token"), call.at)

    def me(self, call: Call) -> Any:
        """Answer GET /me."""
        user = call.caller.user
        return {
            "id": user.user_id,
            "email": user.email,
            "kyc_tier": user.kyc_tier,
            "two_factor_enabled": user.two_factor,
            "scopes": list(call.caller.scopes),
        }

    def personal_tokens(self, call: Call) -> Any:
        """Answer GET /me/personal-access-tokens."""
        return [
            {
                "name": token.name,
                "scopes": list(token.scopes),
                "expires_at": None if token.expires_at is None else token.expires_at // 1_000,
                "created_at": token.created_at // 1_000,
            }
            for token in self._identity.personal_tokens(call.caller.user)
        ]

    def balance(self, call: Call) -> Any:
        """Answer GET /wallet/balance."""
        return self._wallets.balance(call.caller.user.user_id)

    def positions(self, call: Call) -> Any:
        """Answer GET /me/positions."""
        return self._wallets.positions(call.caller.user.user_id)
