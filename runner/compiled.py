"""Whether the desk runs compiled, and whether what was compiled is still what stands in the sources."""

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from pmrun.runner import desk
from pmrun.runner.errors import ConfigError

LIBRARY = "desk__mypyc"  # holds all that is compiled; the module files beside the sources only open it


def compiled() -> bool:
    """Whether PMRUN_COMPILE=1 was set when pmrun was installed."""
    return not desk.__file__.endswith(".py")


def check_compiled(root: Path = Path(__file__).resolve().parent.parent) -> None:
    """Raise ConfigError in a checkout whose sources changed after they were compiled: the old code would run."""
    if not compiled() or not (root / ".git").exists():
        return  # what is installed does not change
    suffix = EXTENSION_SUFFIXES[0]
    made = (root / "runner" / (LIBRARY + suffix)).stat().st_mtime
    for module in sorted(root.glob(f"*/**/*{suffix}")):
        source = module.with_name(module.name.removesuffix(suffix) + ".py")
        if source.is_file() and source.stat().st_mtime > made:
            name = source.relative_to(root)
            raise ConfigError(str(name), None, "changed after it was compiled: compile again, or delete the .so files")
