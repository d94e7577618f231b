"""The pack of built-in components."""

from pmrun.runner.hooks import hookimpl


@hookimpl
def config_packs() -> list[str]:
    """Name our own configurations."""
    return ["pmrun.conf"]


@hookimpl
def pmrun_verbs() -> list[tuple[str, str, str]]:
    """Add the embedded exchange."""
    line = "an exchange on loopback: the real protocols, simulated markets and money  (--json)"
    return [("exchange", line, "pmrun.plugins.exchanges.embedded.verb:exchange")]
