"""The pack of built-in components."""

from pmrun.runner.hooks import hookimpl


@hookimpl
def config_packs() -> list[str]:
    """Name our own configurations."""
    return ["pmrun.conf"]
