"""How Hydra composes what is to be run: once, and the frame of a sweep by its first job (C5)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf


@dataclass
class _Framing:
    """Stands between Hydra and its loader of configurations.

    Hydra composes twice: first to see whether the configuration asks for a sweep, then to run it. The second is the
    first over again, and a third of the time until a run starts. And it composes the frame of a sweep from what is not
    swept: with `-m strategy=a,b ~risk.volatility`, it would find no `risk.volatility` in it.
    """

    load: Any  # Hydra's own
    asked: Sequence[str] = ()  # the overrides that were composed to see the mode
    composed: DictConfig | None = None

    def __call__(
        self, loader: ConfigLoaderImpl, config_name: str | None, overrides: list[str], run_mode: RunMode, **more: Any
    ) -> DictConfig:
        """Load a configuration, as ConfigLoaderImpl.load_configuration does."""
        again = self._again(overrides, run_mode)
        if again is not None:
            return again
        config = self._load(loader, config_name, overrides, run_mode, **more)
        if run_mode is RunMode.MULTIRUN:
            self.asked, self.composed = [*overrides], config
        return config

    def _again(self, overrides: list[str], run_mode: RunMode) -> DictConfig | None:
        """Return what was composed to see the mode, where only the mode was added since."""
        mode = f"hydra.mode={run_mode.name}"
        config, self.composed = self.composed, None
        if config is None or overrides != [*self.asked, mode]:
            return None
        if run_mode is RunMode.RUN and OmegaConf.missing_keys(config.hydra.runtime.choices):
            return None  # a single run has to be told what is missing, a sweep's frame has not
        config.hydra.mode = run_mode
        config.hydra.overrides.hydra.append(mode)
        return config

    def _load(
        self, loader: ConfigLoaderImpl, config_name: str | None, overrides: list[str], run_mode: RunMode, **more: Any
    ) -> DictConfig:
        first = first_job(overrides) if run_mode is RunMode.MULTIRUN else overrides
        config: DictConfig = self.load(loader, config_name, first, run_mode, **more)
        if first is not overrides:
            parsed = OverridesParser.create().parse_overrides(overrides)
            config.hydra.overrides.task = [each.input_line for each in parsed if not each.is_hydra_override()]
        return config


@contextmanager
def framed() -> Iterator[None]:
    """Let Hydra load configurations through our framing."""
    load = ConfigLoaderImpl.load_configuration
    framing = _Framing(load)

    def load_framed(loader: ConfigLoaderImpl, *given: Any, **more: Any) -> DictConfig:
        return framing(loader, *given, **more)

    ConfigLoaderImpl.load_configuration = load_framed  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        ConfigLoaderImpl.load_configuration = load  # type: ignore[method-assign]


def first_job(overrides: list[str]) -> list[str]:
    """Return the overrides of the first job; all of them where nothing is swept, or not from a list of values."""
    try:
        jobs = expand(overrides)
    except HydraException:
        return overrides
    return jobs[0] if len(jobs) > 1 else overrides


def expand(overrides: Sequence[str]) -> list[list[str]]:
    """Return the overrides of each job of a sweep."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return [list(job) for batch in BasicSweeper.split_arguments(parsed, None) for job in batch]
