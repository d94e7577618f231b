"""Hands a command line to Hydra: composition, run directories, sweeps, launchers."""

import os
import sys
from pathlib import Path

from omegaconf import DictConfig

from pmrun.runner.compose import COMPLAINTS, CONFIG_MODULE, CONFIG_NAME, explain, plain_config, register
from pmrun.runner.errors import ConfigError, PmrunError
from pmrun.runner.sweep import Refused


def run_hydra(arguments: list[str]) -> int:
    """Run overrides, or a sweep of them; raises PmrunError."""
    import hydra

    register()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # its errors come to us, and leave as one line
    sys.argv = [sys.argv[0], *("--help" if each == "--hydra-help" else each for each in arguments)]
    overrides = [each for each in arguments if not each.startswith("-")]
    exit_code = 0
    try:
        hydra.main(version_base="1.3", config_path=f"pkg://{CONFIG_MODULE}", config_name=CONFIG_NAME)(job)()
    except Refused as refused:
        raise refused.error from None
    except COMPLAINTS as error:
        raise explain(error, overrides) from None
    except (PermissionError, FileNotFoundError, NotADirectoryError, OSError) as error:
        raise PmrunError(f"cannot write the run: {error.strerror}: {error.filename}") from None
    except SystemExit as stop:
        exit_code = stop.code if isinstance(stop.code, int) else 1
    return exit_code


def job(config: DictConfig) -> float:
    """Run one job; returns its PnL in dollars, for sweepers that look for the best."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from pmrun.runner.assembly import plan
    from pmrun.runner.progress import show_summary
    from pmrun.runner.run import run_plan

    about = HydraConfig.get()
    directory = Path(about.runtime.output_dir)
    single = about.mode is RunMode.RUN
    try:
        outcome = run_plan(plan(plain_config(config)), directory, list(about.overrides.task), show=single)
    except ConfigError as error:
        raise Refused(error) from None
    if single:
        show_summary(outcome.summary, directory)
    if outcome.exit_code:
        raise SystemExit(outcome.exit_code)
    return float(outcome.summary["pnl_usd"]["total"])
