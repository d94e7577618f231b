"""What can be chosen: the options of every group, from every pack."""

from importlib.resources import files
from importlib.resources.abc import Traversable

from pmrun.runner.packs import installed_packs


def options() -> dict[str, list[str]]:
    """Return the names that each configuration group offers."""
    found: dict[str, set[str]] = {}
    for pack in installed_packs():
        for config in pack.configs:
            _collect(files(config), "", found)
    return {group: sorted(names) for group, names in sorted(found.items())}


def _collect(folder: Traversable, group: str, found: dict[str, set[str]]) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name.isidentifier() and entry.name != "__pycache__" and entry.name != "tapes":
            _collect(entry, f"{group}/{entry.name}" if group else entry.name, found)
        elif group and entry.name.endswith(".yaml"):
            found.setdefault(group, set()).add(entry.name.removesuffix(".yaml"))
