"""Where the truth of a hypothetical order is certain, the three brackets agree with it (P3, issue 5)."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pmrun.plugins.executors.fill import Queue, Touch
from pmrun.plugins.feeds.tape import Tape
from pmrun.runner.units import SECOND

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data" / "tapes"
SHIPPED = "pkg://pmrun.strategies/tapes/btc_15m"


@pytest.fixture(scope="module")
def brackets() -> ModuleType:
    """The benchmark, as a module."""
    spec = importlib.util.spec_from_file_location("brackets", ROOT / "benchmarks" / "brackets.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["brackets"] = module  # its NamedTuples look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["books-and-prints-updown", "raw-btc-5m", SHIPPED])
def tape(request: pytest.FixtureRequest) -> str:
    """The shipped tape, and the recorded ones with prints where they are there."""
    path = request.param if "://" in request.param else str(SHARED / request.param)
    if "://" not in path and not Path(path).is_dir():
        pytest.skip("needs ../shared")
    return path


def test_every_form_agrees_where_the_truth_is_certain(brackets, tape):
    found = brackets.measure(Tape(tape).open(), tape, 120 * SECOND)
    assert found.orders > 100
    assert found.truths["filled"] > 10 and found.truths["not filled"] > 10
    assert set(found.disagreements.values()) == {0}
    assert found.unordered == 0
    assert found.inferred == (tape == SHIPPED)


def test_a_model_that_lies_is_found_out(brackets):
    found = brackets.measure(Tape(SHIPPED).open(), SHIPPED, 300 * SECOND, forms={"touch": Touch()})
    assert found.disagreements["touch"] > 0


def test_forms_in_the_wrong_order_are_found_out(brackets):
    ranked = Queue().bracket()
    wrong = {"queue": ranked["optimistic"], "queue_optimistic": ranked["pessimistic"]}
    found = brackets.measure(Tape(SHIPPED).open(), SHIPPED, 300 * SECOND, forms=wrong)
    assert found.unordered > 0
