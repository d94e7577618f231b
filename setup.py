import os
import sys
import tempfile
from contextlib import chdir
from pathlib import Path

from setuptools import Extension, find_packages, setup

# The folder path with `pmrun.` in front is the import path; new sub-packages are picked up by themselves.
FOLDERS = ("conf", "runner", "plugins", "strategies")
PACKAGES = [f"pmrun.{folder}" for folder in FOLDERS]
INNER = [f"pmrun.{folder}.{inner}" for folder in FOLDERS for inner in find_packages(folder)]

# With PMRUN_COMPILE=1 these are compiled by mypyc; the same sources run as they are without. Modules that define
# msgspec structs stay as they are: a struct is compiled already, and mypyc cannot make one.
COMPILE = os.environ.get("PMRUN_COMPILE") == "1"
COMPILED = (
    "runner/acting.py",
    "runner/aligning.py",
    "runner/book.py",
    "runner/deciding.py",
    "runner/desk.py",
    "runner/fitting.py",
    "runner/grid.py",
    "runner/holding.py",
    "runner/inventory.py",
    "runner/journal_writer.py",
    "runner/known.py",
    "runner/learning.py",
    "runner/market_state.py",
    "runner/order_count.py",
    "runner/orders.py",
    "runner/own_orders.py",
    "runner/reconcile.py",
    "runner/simulate.py",
    "runner/summary.py",
    "runner/units.py",
    "runner/wanted.py",
    "plugins/executors/paper_exchange.py",
    "plugins/executors/told.py",
)
# What the types of these modules come from: mypyc reads them while it compiles.
COMPILER = ["mypy>=1.15", "msgspec>=0.19", "numpy>=2.0", "pluggy>=1.7", "trio>=0.30"]


def extensions() -> list[Extension]:
    if not COMPILE or {"egg_info", "dist_info"} & {*sys.argv}:
        return []  # asked for what to install first, or for the metadata
    from mypyc.build import mypycify

    here = Path(__file__).resolve().parent
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        Path("pmrun").symlink_to(here)  # mypyc takes a module's name from its path
        paths = [f"pmrun/{path}" for path in COMPILED]
        # What is ignored of libraries that are not there while building is not an error.
        options = ["--config-file", str(here / "pyproject.toml"), "--no-warn-unused-ignores"]
        made = mypycify(
            [*options, *paths],
            opt_level="3",
            debug_level="0",
            group_name="pmrun.runner.desk",
            target_dir=str(here / "build"),
        )
    if sys.platform != "win32":
        for extension in made:  # the library's functions call one another directly, and small ones are put in place
            extension.extra_compile_args = [*extension.extra_compile_args, "-fno-semantic-interposition", "-fno-plt"]
    return made


setup(
    package_dir={"pmrun": "."},
    packages=["pmrun", *PACKAGES, *INNER],
    package_data={
        "pmrun": ["py.typed"],
        "pmrun.conf": ["**/*.yaml"],
        "pmrun.plugins": ["**/*.html", "**/*.yaml", "**/*.css", "**/*.js", "**/*.json"],  # reports, statistics
        "pmrun.strategies": ["**/*.yaml", "tapes/**/*"],
    },
    include_package_data=False,
    py_modules=[],
    setup_requires=COMPILER if COMPILE else [],
    ext_modules=extensions(),
    options={"build_ext": {"force": True}},  # so that the library is never older than the sources
)
