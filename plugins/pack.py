"""The pack of built-in components."""

from pmrun.runner.hooks import hookimpl


@hookimpl
def config_packs() -> list[str]:
    """Name our own configurations."""
    return ["pmrun.conf"]


@hookimpl
def environment_variables() -> list[str]:
    """Name how the variables of our exchanges' credentials begin: `.env` may hold them."""
    return ["POLYMARKET_", "SATORI_"]


@hookimpl
def pmrun_verbs() -> list[tuple[str, str, str]]:
    """Add the embedded exchange, the recorder, and the look at an account before it trades."""
    return [
        (
            "exchange",
            "an exchange on loopback: the real protocols, simulated markets and money  (--json)",
            "pmrun.plugins.exchanges.embedded.verb:exchange",
        ),
        (
            "record",
            "record a live feed as a tape that replays  (--to FOLDER, --seconds N)",
            "pmrun.plugins.exchanges.polymarket.record_verb:main",
        ),
        (
            "doctor",
            "what would keep an account from trading, why, and the cure  (--json)",
            "pmrun.plugins.exchanges.verbs.doctor:main",
        ),
        (
            "limits",
            "what an account's limits have used; --reset NODE lets one trade again",
            "pmrun.plugins.exchanges.verbs.limits:main",
        ),
    ]
