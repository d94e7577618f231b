"""The pack of strategies: YAML only."""

from pmrun.runner.hooks import hookimpl


@hookimpl
def config_packs() -> list[str]:
    """Name the strategies' configurations."""
    return ["pmrun.strategies"]
