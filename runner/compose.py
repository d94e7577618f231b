"""Composes configurations with Hydra, and turns its complaints into one line each."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pmrun.runner.assembly import plan
from pmrun.runner.errors import ConfigError, PmrunError
from pmrun.runner.packs import installed_packs

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
    """Return a composed configuration as plain values, without Hydra's own part; raises ConfigError for what is missing."""
    ours = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
    missing = sorted(OmegaConf.missing_keys(ours))
    if missing:
        raise ConfigError(missing[0], None, "missing value")
    with _one_line([]):
        whole = OmegaConf.to_container(ours, resolve=True)
    assert isinstance(whole, dict)
    return {str(key): value for key, value in whole.items()}


def compose_config(overrides: list[str]) -> dict[str, Any]:
    """Compose a configuration without running it; raises ConfigError."""
    register()
    with _one_line(overrides):
        GlobalHydra.instance().clear()
        with initialize_config_module(CONFIG_MODULE, version_base="1.3"):
            return plain_config(compose(CONFIG_NAME, overrides))


@contextmanager
def _one_line(overrides: list[str]) -> Iterator[None]:
    try:
        yield
    except COMPLAINTS as error:
        raise explain(error, overrides) from None


def explain(error: BaseException, overrides: list[str]) -> PmrunError:
    """Turn a complaint of Hydra or OmegaConf into one line that names the key, the value and what is allowed."""
    text = str(error)
    option = re.search(r"Could not find '([^']+)'\s+Available options in '[^']+':\s+(.*?)(?:\n\s*\n|Config search path|$)", text, re.S)
    if option:
        wanted = option.group(1)
        group, _, name = wanted.rpartition("/")
        return ConfigError(_given(overrides, group, name), None, f"no such option; {group} can be: {', '.join(option.group(2).split())}")
    unknown = re.search(r"(?:Could not override|Key|Could not append to config\.[^']*) '([^']+)'", text)
    if unknown:
        found = _as_added(overrides, unknown.group(1))
        if found:
            return found
    group_missing = re.search(r"You must specify '([^']+)', e\.g, \S+=<OPTION>\s*(?:Available options:\s*(.*))?", text, re.S)
    if group_missing:
        names = ", ".join((group_missing.group(2) or "").split())
        return ConfigError(group_missing.group(1), None, f"missing; choose one with {group_missing.group(1)}=…: {names}")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith(("provider=", "full_key", "object_type", "Set the env"))]
    return ConfigError(" ".join(lines) or type(error).__name__)


def _given(overrides: list[str], group: str, name: str) -> str:
    """Return the override as it was typed."""
    for override in overrides:
        key, _, value = override.partition("=")
        if value == name and key.lstrip("+~").split("@")[0] == group:
            return override
    return f"{group}={name}"


def _as_added(overrides: list[str], key: str) -> ConfigError | None:
    """Compose again with the unknown key added, so that our own check can say what is known in its place."""
    forced = [f"++{each}" if each.partition("=")[0].lstrip("+") == key and not each.startswith(("++", "~")) else each for each in overrides]
    if forced == overrides:
        return None
    try:
        with initialize_config_module(CONFIG_MODULE, version_base="1.3"):
            plan(plain_config(compose(CONFIG_NAME, [each.lstrip("+") if each.startswith("+++") else each for each in forced])))
    except ConfigError as error:
        return error
    except COMPLAINTS:
        return None
    return None
