"""Hands a command line to Hydra: composition, run directories, sweeps, launchers."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig

from pmrun.runner.compose import COMPLAINTS, CONFIG_MODULE, CONFIG_NAME, check_overrides, explain, register
from pmrun.runner.errors import ConfigError, PmrunError
from pmrun.runner.framing import first_job, framed
from pmrun.runner.sweep import Refused, end_of_sweep, job_of_sweep, stopping


def run_hydra(arguments: list[str]) -> int:
    """Run overrides, or a sweep of them; raises PmrunError."""
    import hydra

    flags, overrides = _split(arguments)
    register()
    code = 0
    with _as_hydra_wants_it([*flags, *overrides]), framed(), stopping():
        try:
            hydra.main(version_base="1.3", config_path=f"pkg://{CONFIG_MODULE}", config_name=CONFIG_NAME)(job)()
        except Refused as refused:
            raise refused.error from None
        except COMPLAINTS as error:
            raise explain(error, first_job(overrides)) from None
        except BrokenPipeError:
            raise  # whoever read our output has enough of it
        except OSError as error:
            raise PmrunError(f"cannot write the run: {error.strerror}: {error.filename}") from None
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        finally:
            failed = end_of_sweep()
    return code or int(failed)


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Tell Hydra's options from the overrides; raises ConfigError for what is neither."""
    if "-sc" in arguments or "--shell-completion" in arguments:
        return list(arguments), []
    parser = get_args_parser()
    parser.exit_on_error = False
    try:
        given, rest = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise ConfigError(error.argument_name or "options", None, error.message) from None
    unknown = [each for each in rest if each.startswith("-")]
    if unknown:
        hint = f"; a setting has no dashes: {unknown[0].lstrip('-')}" if "=" in unknown[0] else ""
        raise ConfigError(unknown[0], None, f"unknown option; see pmrun --help{hint}")
    if given.resolve and not given.cfg:
        raise ConfigError("--resolve", None, "goes with --cfg job")
    overrides = [*given.overrides, *rest]
    check_overrides(overrides, sweep=given.multirun or any(each.startswith("hydra.mode=") for each in overrides))
    return [each for each in arguments if each not in overrides], overrides


@contextmanager
def _as_hydra_wants_it(arguments: list[str]) -> Iterator[None]:
    """Put the arguments where Hydra looks for them, and have its errors come to us: they leave as one line."""
    before, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [before[0], *arguments]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv = before
        if full is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full


def job(config: DictConfig) -> float:
    """Run one job; returns its PnL in dollars, for sweepers that look for the best."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    about = HydraConfig.get()
    directory = Path(about.runtime.output_dir)
    overrides = list(about.overrides.task)
    if about.mode is not RunMode.RUN:
        return job_of_sweep(config, about, directory, overrides)
    return _single(config, directory, overrides)


def _single(config: DictConfig, directory: Path, overrides: list[str]) -> float:
    from pmrun.runner.assembly import plan
    from pmrun.runner.compose import plain_config
    from pmrun.runner.progress import show_summary
    from pmrun.runner.run import run_plan

    try:
        outcome = run_plan(plan(plain_config(config)), directory, overrides)
    except Exception as error:  # Hydra would add a line of its own
        raise Refused(error) from error
    show_summary(outcome.summary, directory)
    if outcome.exit_code:
        raise SystemExit(outcome.exit_code)
    return float(outcome.summary["pnl_usd"]["total"])
