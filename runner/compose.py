"""Composes configurations with Hydra, and turns its complaints into one line each."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from omegaconf.resolvers import oc

from pmrun.runner.assembly import DESK_GROUPS, DESK_NODES, SHELL_NODES, plan
from pmrun.runner.errors import ConfigError, PmrunError
from pmrun.runner.options import options
from pmrun.runner.packs import installed_packs
from pmrun.runner.values import shown

CONFIG_MODULE = "pmrun.conf"
CONFIG_NAME = "config"
COMPLAINTS = (HydraException, OmegaConfBaseException)


class PackSearchPath(SearchPathPlugin):
    """Adds the YAML of every installed pack."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append each pack's packages after our own."""
        for pack in installed_packs():
            for config in pack.configs:
                if config != CONFIG_MODULE:
                    search_path.append(provider=pack.name, path=f"pkg://{config}")


def register() -> None:
    """Make Hydra see the packs."""
    plugins = Plugins.instance()
    if PackSearchPath not in plugins.discover(SearchPathPlugin):
        plugins.register(PackSearchPath)


def plain_config(config: DictConfig) -> dict[str, Any]:
    """Return a composed configuration as plain values, without Hydra's own; raises ConfigError for what is missing.

    `${oc.env:…}` stays as it is written: it may be a secret, and what is returned here is what gets saved. The
    assembly reads the variable when it builds the component.
    """
    ours = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    try:
        with _environment_unread():
            missing = sorted(OmegaConf.missing_keys(ours))
            whole = None if missing else OmegaConf.to_container(ours, resolve=True)
    except COMPLAINTS as error:
        raise _unresolved(error, ours) from None
    if missing:
        raise ConfigError(missing[0], None, "missing value")
    assert isinstance(whole, dict)
    return {str(key): value for key, value in whole.items()}


def _unresolved(error: BaseException, config: DictConfig) -> PmrunError:
    """Show a reference that leads nowhere as it is written."""
    key = str(getattr(error, "full_key", "") or "")
    value: Any = OmegaConf.to_container(config, resolve=False)
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    said = str(error).splitlines()[0]
    return ConfigError(key, shown(value), said) if key else ConfigError(said)


@contextmanager
def _environment_unread() -> Iterator[None]:
    """Make OmegaConf leave references to the environment standing, also where one setting refers to another's."""
    OmegaConf.register_new_resolver("oc.env", _as_written, replace=True)
    try:
        yield
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)


def _as_written(*arguments: Any) -> str:
    return "${oc.env:" + ",".join("null" if each is None else str(each) for each in arguments) + "}"


def compose_config(overrides: list[str]) -> dict[str, Any]:
    """Compose a configuration without running it; raises ConfigError."""
    register()
    check_overrides(overrides)
    with one_line(overrides):
        return plain_config(_compose(overrides))


def _compose(overrides: list[str]) -> DictConfig:
    GlobalHydra.instance().clear()
    with initialize_config_module(CONFIG_MODULE, version_base="1.3"):
        return compose(CONFIG_NAME, overrides)


def check_overrides(overrides: Sequence[str], sweep: bool = False) -> None:
    """Refuse overrides that Hydra would take for something else, or refuse without naming them; raises ConfigError."""
    parser = OverridesParser.create()
    groups = options()
    for text in overrides:
        try:
            given = parser.parse_override(text)
        except HydraException as error:
            raise ConfigError(text, None, _unreadable(text, error)) from None
        if given.is_sweep_override() and not sweep:
            raise ConfigError(text, None, "several values: add -m to run one job for each, or write a list as [1,2]")
        reason = _misplaced(given, groups)
        if reason:
            raise ConfigError(text, None, reason)


def _unreadable(text: str, error: HydraException) -> str:
    if "=" not in text and not text.startswith("~"):
        return "neither a verb nor an override; an override is KEY=VALUE, or ~KEY to drop something (see pmrun --help)"
    reason = " ".join(str(error).split("\nSee ")[0].split())
    return f"cannot be read as KEY=VALUE; close brackets and quotes, and quote text with blanks or commas ({reason})"


def _misplaced(given: Override, groups: Mapping[str, list[str]]) -> str | None:
    """Say what is wrong with an override of a group, None if nothing."""
    key, package = given.key_or_group, given.package
    if not key:
        return "no key; an override is KEY=VALUE"
    if key.startswith("hydra") or given.is_delete():
        return None
    if package is not None and key not in groups:
        return f"no such group; groups: {', '.join(groups)}"
    if key not in groups or given.is_sweep_override():
        return None
    value = given.value()
    if isinstance(value, dict):
        return None if value else f"merges nothing and clears nothing; drop parts with ~{key}.NAME"
    if package is None and key in DESK_GROUPS:
        return f"needs a name of its own: +{key}@{key}.NAME=OPTION, with an option of {', '.join(groups[key])}"
    if isinstance(value, list) and key in (*DESK_NODES, *SHELL_NODES):
        return f"takes one option: {', '.join(groups[key])}"
    if not isinstance(value, str | list):
        return f"must name an option: {', '.join(groups[key])}"
    return None


@contextmanager
def one_line(overrides: list[str]) -> Iterator[None]:
    """Turn complaints of Hydra and OmegaConf into a PmrunError."""
    try:
        yield
    except COMPLAINTS as error:
        raise explain(error, overrides) from None


def explain(error: BaseException, overrides: list[str]) -> PmrunError:
    """Turn a complaint of Hydra or OmegaConf into one line that names the key, the value and what is allowed."""
    text = str(error)
    for reader in (_no_option, _not_chosen, _unknown_key, _nothing_to_drop, _no_choice, _chosen_twice):
        found = reader(text, overrides)
        if found:
            return found
    noise = ("provider=", "full_key", "object_type", "reference_type", "Set the env", "See https://")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith(noise)]
    said = " ".join(lines) or type(error).__name__
    key = getattr(error, "full_key", None)
    return ConfigError(str(key), _typed(overrides, str(key)), said) if key else ConfigError(said)


def _no_option(text: str, overrides: list[str]) -> ConfigError | None:
    pattern = r"Could not find '([^']+)'\s+Available options in '[^']+':\s+(.*?)(?:\n\s*\n|Config search path|$)"
    found = re.search(pattern, text, re.S)
    if not found:
        return None
    group, _, name = found.group(1).rpartition("/")
    known = ", ".join(found.group(2).split())
    return ConfigError(_given(overrides, group, name), None, f"no such option; {group} can be: {known}")


def _given(overrides: list[str], group: str, name: str) -> str:
    """Return the override as it was typed."""
    for override in overrides:
        key, _, value = override.partition("=")
        if value == name and key.lstrip("+~").split("@")[0] == group:
            return override
    return f"{group}={name}"


def _typed(overrides: list[str], key: str) -> str | None:
    """Return the value that was typed for a key."""
    values = [each.partition("=")[2] for each in overrides if each.partition("=")[0].lstrip("+") == key]
    return values[-1] if values else None


def _not_chosen(text: str, overrides: list[str]) -> ConfigError | None:
    instead = r"(?:\s+Did you mean to override (?:one of )?([^?]+)\?)?"
    found = re.search(r"Could not override '([^'@]+@[^']+)'\." + instead, text)
    if not found:
        return None
    key = found.group(1)
    override = next((each for each in overrides if each.startswith(f"{key}=")), key)
    chosen = f"; what is there: {' '.join(found.group(2).split())}" if found.group(2) else ""
    return ConfigError(override, None, f"nothing there to replace; add it with +{override}{chosen}")


def _unknown_key(text: str, overrides: list[str]) -> PmrunError | None:
    """Compose again with the unknown key added, so that our own check can say what is known in its place."""
    found = re.search(r"(?:Could not override|Key|Could not append to config\.[^']*) '([^']+)'", text)
    if not found:
        return None
    key = found.group(1)
    forced = [f"++{each.lstrip('+')}" if each.partition("=")[0].lstrip("+") == key else each for each in overrides]
    error = _mistake_in(forced) if forced != overrides else None
    if error:
        return error
    if key.startswith("hydra."):
        return ConfigError(key, _typed(overrides, key), "unknown setting of Hydra; see pmrun --cfg hydra")
    if key.startswith("live."):
        reason = "belongs to live trading, such as exchange=live; this run has none"
        return ConfigError(key, _typed(overrides, key), reason)
    return ConfigError(key, _typed(overrides, key), f"not in the configuration; add it with +{key}=…")


def _mistake_in(overrides: list[str]) -> PmrunError | None:
    try:
        plan(plain_config(_compose(overrides)))
    except PmrunError as error:
        return error
    except COMPLAINTS:
        return None
    return None


def _nothing_to_drop(text: str, overrides: list[str]) -> ConfigError | None:
    found = re.search(r"Could not delete.*?'([^']+)'", text) or re.search(r"Could not delete '([^']+)'", text)
    if not found:
        return None
    key = found.group(1)
    try:
        kept = [each for each in overrides if not each.startswith("~")]
        there: Any = OmegaConf.select(_compose(kept), key.rpartition(".")[0]) if "." in key else _compose(kept)
    except COMPLAINTS:
        there = None
    names = [str(name) for name in there] if isinstance(there, DictConfig) else []
    if key.rpartition(".")[2] in names:
        return ConfigError(f"~{key}", None, "is null already; there is nothing to drop")
    above = f"{key.rpartition('.')[0]} has" if "." in key else "there is"
    return ConfigError(f"~{key}", None, f"nothing there to drop; {above}: {', '.join(sorted(names)) or 'nothing'}")


def _no_choice(text: str, overrides: list[str]) -> ConfigError | None:
    found = re.search(r"You must specify '([^']+)', e\.g, \S+=<OPTION>\s*(?:Available options:\s*(.*))?", text, re.S)
    if not found:
        return None
    names = ", ".join((found.group(2) or "").split())
    return ConfigError(found.group(1), None, f"missing; choose one with {found.group(1)}=…: {names}")


def _chosen_twice(text: str, overrides: list[str]) -> ConfigError | None:
    found = re.search(r"(\S+) appears more than once in the final defaults list", text)
    if not found:
        return None
    added = next((each for each in overrides if each.startswith("+") and not each.startswith("++")), found.group(1))
    reason = f"chooses {found.group(1)} a second time; to replace what is chosen leave out the +"
    return ConfigError(added, None, reason)
