"""Packages that add components and configurations, found by their entry point (C6)."""

import importlib
from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pluggy

from pmrun.runner.errors import ConfigError
from pmrun.runner.hooks import GROUP, PackHooks

PKG = "pkg://"


class Pack(NamedTuple):
    """An installed package of configurations."""

    name: str
    distribution: str
    version: str
    configs: tuple[str, ...]  # packages that hold YAML
    roots: tuple[str, ...]  # packages whose components may be named by `_target_`


@cache
def installed_packs() -> tuple[Pack, ...]:
    """Load every pack behind the entry point group `pmrun`, our own by the same door.

    Raises ConfigError when a pack cannot be loaded: its name, and why.
    """
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(PackHooks)
    packs: dict[str, Pack] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda found: (found.name, found.value)):
        if entry.name in packs:
            continue  # the same distribution seen twice on the path
        try:
            module = entry.load()
            manager.register(module, name=entry.name)
            configs = tuple(getattr(module, "config_packs", list)())
            _check_configs(configs)
        except Exception as error:
            raise _broken(entry, error) from None
        dist = entry.dist
        packs[entry.name] = Pack(
            entry.name, dist.name if dist else "?", dist.version if dist else "?", configs, _roots(entry.value, configs)
        )
    return tuple(packs.values())


def _check_configs(configs: tuple[str, ...]) -> None:
    for name in configs:
        if find_spec(name) is None:
            raise ModuleNotFoundError(f"config_packs names {name}, and there is no such package")


def _broken(entry: EntryPoint, error: Exception) -> ConfigError:
    by = f"; it came with {entry.dist.name} {entry.dist.version}: update or uninstall that" if entry.dist else ""
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return ConfigError(f"pack {entry.name}", entry.value, f"cannot be loaded: {reason}{by}")


def _roots(value: str, configs: tuple[str, ...]) -> tuple[str, ...]:
    modules = {value.partition(":")[0], *configs}
    own = {name for name in modules if name.startswith("pmrun.")}
    ours = {"pmrun.plugins", "pmrun.runner.log"} if own else set()
    return tuple(sorted({name.split(".")[0] for name in modules - own} | ours))


def component_class(target: str, key: str) -> Callable[..., Any]:
    """Import the class that a `_target_` names; raises ConfigError unless it is an installed pack's."""
    roots = {root for pack in installed_packs() for root in pack.roots}
    module, _, name = target.rpartition(".")
    if not any(module == root or module.startswith(root + ".") for root in roots):
        known = ", ".join(sorted(roots))
        raise ConfigError(f"{key}._target_", target or '""', f"not from an installed pack; packs: {known}")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{key}._target_", target, f"cannot be imported: {error}") from None
    if not isinstance(found, type):
        raise ConfigError(f"{key}._target_", target, "not a component class")
    return found


def resource_path(path: str) -> Path:
    """Return a folder or file by its path, or by `pkg://package.name/inner/path` for what a package ships."""
    if not path.startswith(PKG):
        return Path(path).expanduser()
    package, _, inner = path.removeprefix(PKG).partition("/")
    try:
        return Path(str(files(package))) / inner
    except (ModuleNotFoundError, TypeError, ValueError):
        raise ConfigError("path", path, f"no package {package} is installed") from None
