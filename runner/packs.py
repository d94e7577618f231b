"""Packages that add components and configurations, found by their entry point (C6)."""

import importlib
import re
from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, cast

import pluggy

from pmrun.runner.errors import ConfigError
from pmrun.runner.hooks import GROUP, PackHooks

PKG = "pkg://"
_VERB = re.compile(r"[a-z][a-z0-9_-]*")
_TARGET = re.compile(r"[\w.]+:\w+")


class PackVerb(NamedTuple):
    """A verb that a pack adds to the command line."""

    name: str
    help: str  # one line
    target: str  # `module:function`: takes the arguments after the verb, returns an exit code


class Pack(NamedTuple):
    """An installed package of configurations."""

    name: str
    distribution: str
    version: str
    configs: tuple[str, ...]  # packages that hold YAML
    roots: tuple[str, ...]  # packages whose components may be named by `_target_`
    verbs: tuple[PackVerb, ...] = ()
    variables: tuple[str, ...] = ()  # how the names of environment variables begin that its components read


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
            verbs = _verbs_of(module)
            variables = tuple(getattr(module, "environment_variables", list)())
        except Exception as error:
            raise _broken(entry, error) from None
        dist = entry.dist
        packs[entry.name] = Pack(
            entry.name,
            dist.name if dist else "?",
            dist.version if dist else "?",
            configs,
            _roots(entry.value, configs),
            verbs,
            variables,
        )
    return tuple(packs.values())


def _check_configs(configs: tuple[str, ...]) -> None:
    for name in configs:
        if find_spec(name) is None:
            raise ModuleNotFoundError(f"config_packs names {name}, and there is no such package")


def _verbs_of(module: Any) -> tuple[PackVerb, ...]:
    verbs = tuple(PackVerb(*each) for each in getattr(module, "pmrun_verbs", list)())
    for verb in verbs:
        if not _VERB.fullmatch(verb.name):
            raise ValueError(f"pmrun_verbs names {verb.name!r}, and a verb is a word in lower case")
        if not _TARGET.fullmatch(verb.target):
            raise ValueError(f"pmrun_verbs: {verb.name}: {verb.target!r} is not module:function")
    return verbs


def pack_verbs() -> dict[str, PackVerb]:
    """Return the verbs of all packs by name; raises ConfigError when two packs add the same one."""
    found: dict[str, PackVerb] = {}
    for pack in installed_packs():
        for verb in pack.verbs:
            if verb.name in found:
                raise ConfigError(f"pack {pack.name}", verb.name, "another pack has this verb; uninstall one of them")
            found[verb.name] = verb
    return found


def verb_function(verb: PackVerb) -> Callable[[list[str]], int]:
    """Import what answers a verb; raises ConfigError."""
    module, _, name = verb.target.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"pmrun {verb.name}", verb.target, f"cannot be imported: {error}") from None
    return cast(Callable[[list[str]], int], found)


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
