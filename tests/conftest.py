"""Settings of all tests: how hard the laws are tried, and where the tests' own words are found."""

import os
import sys
from itertools import groupby, islice
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings

from pmrun.runner.compiled import compiled

# Our words live beside the tests that use them; pytest's importlib mode does not look there by itself.
for folder in ("core", "laws"):
    sys.path.append(str(Path(__file__).parent / folder))

_COMMON = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
# Few: the same examples every time, and no search for the smallest one, which may take minutes. Many: both.
_QUICK = (Phase.explicit, Phase.generate)
settings.register_profile("few", max_examples=20, derandomize=True, phases=_QUICK, **_COMMON)
settings.register_profile("many", max_examples=1500, **_COMMON)
settings.load_profile("many" if os.environ.get("PMRUN_LAWS") == "many" else "few")


def pytest_terminal_summary(terminalreporter):
    terminalreporter.line(f"the desk ran {'compiled' if compiled() else 'as plain Python'}")


def pytest_xdist_auto_num_workers():
    """One worker more than there are processors: many tests wait for a process or a clock."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(config, items):
    """Give each worker its share of the slow files first, so that what is left to share out at the end is quick."""
    workers = getattr(config, "workerinput", {"workercount": 1})["workercount"]
    files = [list(tests) for _, tests in groupby(items, lambda item: item.path)]
    slow = [tests for tests in files if tests[0].path.parent.name in ("shell", "packaging")]
    quick = (test for tests in files if tests not in slow for test in tests)
    shared = []
    for worker in range(workers):
        share = [test for tests in slow[worker::workers] for test in tests]
        shared += share + list(islice(quick, max(len(items) // workers - len(share), 0)))
    items[:] = [*shared, *quick]
