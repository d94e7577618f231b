"""What the entry point in pyproject.toml leads to: it says where this package keeps its YAML."""

from pmrun.runner.hooks import hookimpl


@hookimpl
def config_packs() -> list[str]:
    """Name the packages that hold configuration groups; `acme_pack.conf/pricing/…` adds options to `pricing=`."""
    return ["acme_pack.conf"]
