"""Simulated markets beside recorded ones: quartiles, and where the recorded ones come from."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from pmrun.plugins.feeds.sim.calibration import calibration, choice, even
from pmrun.plugins.feeds.sim.sim import Simulated
from pmrun.plugins.feeds.sim.table import TOLERANCE, Compared, compare, markdown, moves

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / ".." / "shared" / "data"
PAGE = ROOT / "docs" / "10-simulated-markets.md"


@pytest.fixture(scope="module", params=[0, 1, 2])
def compared(request):
    return compare(Simulated(request.param))


def test_every_quartile_is_within_a_fifth_of_the_recorded_one(compared):
    assert [f"{row.what}: {row.recorded} and {row.simulated}" for row in compared if not row.off <= TOLERANCE] == []


def test_mids_move_as_often_and_as_far_as_the_recorded_ones():
    assert [f"{row.what}: {row.recorded} and {row.simulated}" for row in moves(range(6)) if row.off > TOLERANCE] == []


def test_the_comparison_covers_spread_depth_by_level_size_and_time_between_events(compared):
    said = [row.what for row in compared]
    for kind in ("quiet", "deep", "busy"):
        assert f"{kind}: spread, cents" in said
        assert [f"{kind}: size of level {rank}, shares" in said for rank in range(1, 6)] == [True] * 5
    for kind in ("quiet", "busy"):
        assert f"{kind}: trade size, shares" in said
        assert any(what.startswith(f"{kind}: time between trades") for what in said)
    assert sum("time between changes" in what for what in said) == 5


def test_a_statistic_that_is_off_would_be_noticed():
    row = Compared("x", "y", (1.0, 2.0, 3.0), (1.0, 2.0, 3.7))
    assert row.off > TOLERANCE
    assert row._replace(simulated=(1.0, 2.0, 3.5)).off < TOLERANCE


def test_the_page_shows_the_comparison_of_the_default_seed():
    def first_columns(text: str) -> list[list[str]]:
        return [line.split(" | ")[:3] for line in text.splitlines() if line.startswith("| ")]

    shown = first_columns(PAGE.read_text(encoding="utf-8"))
    rows = first_columns(markdown(compare(Simulated(0))))
    assert [row for row in rows if row not in shown] == []


def test_the_page_names_every_recording():
    page = PAGE.read_text(encoding="utf-8")
    found = calibration()
    sources = [shape.source for shape in found.books.values()] + [prints.source for prints in found.prints.values()]
    sources += [found.orders.source, found.rewards.scanned.source, found.rewards.max_spread_cents.source]
    sources.append(found.listed.source)
    for source in sources:
        assert re.split("[,/]", source)[0] in page, source


@pytest.mark.skipif(not DATA.is_dir(), reason="no recorded data beside the repository")
def test_the_recorded_statistics_are_those_of_the_recordings():
    spec = importlib.util.spec_from_file_location("calibrate", ROOT / "benchmarks" / "calibrate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.dumped(module.calibration(DATA)) == module.OUT.read_text(encoding="utf-8")


def test_a_table_gives_back_its_quantiles():
    found = calibration()
    for table in (found.books["deep"].size[0], found.rewards.scanned.volume_24h):
        assert found.at(table, np.array(found.probabilities)) == pytest.approx(table)
    assert found.quartiles(found.prints["busy"].gap_seconds) == (0.24, 0.861, 3.004)


def test_even_shares_cover_a_table_evenly():
    shares = even(np.random.default_rng(1), 8)
    assert sorted(shares.tolist()) == [(i + 0.5) / 8 for i in range(8)]
    assert sorted(choice({"a": 0.5, "b": 0.25, "c": 0.25}, shares)) == ["a"] * 4 + ["b"] * 2 + ["c"] * 2
