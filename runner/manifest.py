"""What a run was made of: versions, revision, seed, hashes."""

import hashlib
import json
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pmrun
from pmrun.runner.compiled import compiled
from pmrun.runner.packs import installed_packs
from pmrun.runner.ports import FeedInfo

LIBRARIES = ("hydra-core", "omegaconf", "pluggy", "trio", "msgspec", "numpy", "numba")


def config_hash(config: dict[str, Any]) -> str:
    """Return the SHA-256 of a resolved configuration, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()


def git_revision() -> str | None:
    """Return the revision pmrun runs from, with "+changes" where files differ; None outside a checkout."""
    root = Path(pmrun.__file__).resolve().parent
    if not (root / ".git").exists():
        return None
    try:
        revision = _git(root, "rev-parse", "HEAD")
        return revision + ("+changes" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=10
    ).stdout.strip()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def manifest(config: dict[str, Any], overrides: list[str], info: FeedInfo, order: Sequence[str] = ()) -> dict[str, Any]:
    """Return what is needed to make the same run again, or to see why it would differ.

    `order` is the order in which the components are asked.
    """
    return {
        "pmrun": pmrun.__version__,
        "git_revision": git_revision(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "compiled": compiled(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "packs": {pack.name: f"{pack.distribution} {pack.version}" for pack in installed_packs()},
        "overrides": overrides,
        "command": [Path(sys.argv[0]).name, *overrides],
        "seed": config.get("seed", 0),
        "order": list(order),
        "config_hash": config_hash(config),
        "feed": {
            "name": info.name,
            "source": info.source,
            "data_hash": info.data_hash,
            "frames": info.frames,
            "prints": info.prints,
            "duplicates": info.duplicates,
            "late": info.late,
            "unlisted": info.unlisted,
            "unknown_events": info.unknown,
            "inferred_ticks": info.inferred_ticks,
            "licence": info.licence,
            "simulated": info.simulated,
        },
    }
