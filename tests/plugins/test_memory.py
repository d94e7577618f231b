"""What a component learned on paper is there in the next run, and in the journal of that run (P2, M5)."""

import pytest

from pmrun.plugins.memory.kept import Kept
from pmrun.runner.assembly import plan
from pmrun.runner.compose import compose_config
from pmrun.runner.errors import DataError
from pmrun.runner.facts import Carried, TimerDue, Together
from pmrun.runner.hooks import Hooks, hookimpl
from pmrun.runner.memory import Keeping, Remembered, recall
from pmrun.runner.units import SECOND, Micros

NOON = Micros(1_700_000_000_000_000)


class Learns:
    """A check that counts timers over all runs."""

    observes = (Carried, TimerDue)

    def __init__(self):
        self.count = 0

    @hookimpl
    def observe(self, fact):
        self.count = fact.values["count"] if isinstance(fact, Carried) else self.count + 1

    @hookimpl
    def carry(self):
        return {"count": self.count}


class Limits(Learns):
    """The same as a limit of the account."""

    @hookimpl
    def object_to_account(self):
        return None


def kept(folder, **settings):
    return Kept(name="spread", folder=str(folder), **settings)


def test_the_next_run_starts_with_what_the_last_one_learned(tmp_path):
    with kept(tmp_path).open("first") as remembered:
        assert remembered.values == {}
        remembered.keep({"adjust.calibration": {"fills": 3}})
    with kept(tmp_path).open("second") as remembered:
        assert remembered.values == {"adjust.calibration": {"fills": 3}}


def test_runs_of_another_name_learn_for_themselves(tmp_path):
    with kept(tmp_path).open("first") as remembered:
        remembered.keep({"a": {"b": 1}})
    with Kept(name="other", folder=str(tmp_path)).open("second") as remembered:
        assert remembered.values == {}


def test_of_two_runs_at_once_the_first_one_keeps(tmp_path):
    with kept(tmp_path).open("first") as first, kept(tmp_path).open("second") as second:
        assert first.keep is not None
        assert second.keep is None


def test_a_run_that_keeps_nothing_leaves_the_file_alone_and_makes_none(tmp_path):
    with kept(tmp_path, keep=False).open("first") as remembered:
        assert remembered == Remembered({}, None)
    assert list(tmp_path.iterdir()) == []
    with kept(tmp_path).open("second") as remembered:
        remembered.keep({"a": {"b": 1}})
    with kept(tmp_path).unkept().open("a job of a sweep") as remembered:
        assert remembered == Remembered({"a": {"b": 1}}, None)


def test_a_damaged_file_is_refused_in_one_line(tmp_path):
    (tmp_path / "paper-spread.sqlite").write_bytes(b"what is this" * 100)
    (tmp_path / "paper-spread.sqlite").chmod(0o600)
    with pytest.raises(DataError, match="paper-spread"), kept(tmp_path).open("first"):
        pass


@pytest.mark.parametrize("name", ["", "../up", "a b", "x" * 101])
def test_a_name_that_cannot_be_a_files_is_refused(name):
    with pytest.raises(ValueError, match="name must be"):
        Kept(name=name)


def test_what_is_remembered_is_told_as_facts_by_component_in_a_fixed_order():
    assert recall({"b": {"x": 1}, "a": {"y": 2}}, NOON) == [Carried(NOON, "a", {"y": 2}), Carried(NOON, "b", {"x": 1})]


def test_limits_of_the_account_start_anew_with_each_paper_purse():
    hooks = Hooks({"risk.limit": Limits(), "adjust.learns": Learns()})
    assert set(hooks.carried()) == {"risk.limit", "adjust.learns"}
    assert set(hooks.learned()) == {"adjust.learns"}


def test_a_live_run_keeps_as_it_goes_and_a_simulated_one_in_the_end():
    said = []
    carried = {"now": 0}
    live, simulated = (
        Keeping(Remembered({}, lambda values, who=who: said.append((who, values["now"]))), lambda: carried, every)
        for who, every in (("live", Micros(60 * SECOND)), ("simulated", None))
    )
    for second in range(0, 100, 10):
        carried["now"] = second
        for keeping in (live, simulated):
            keeping.record(TimerDue(Micros(NOON + second * SECOND)), ())
    assert said == [("live", 0), ("live", 60)]
    simulated.close()
    assert said[2:] == [("simulated", 90)]


def test_a_run_tells_its_desk_what_was_remembered_before_anything_else():
    from pmrun.runner.simulate import Simulation

    made = plan(compose_config(["strategy=reward_mm", "tape=btc_15m", "memory=none"]))
    desk = made.desk("pmrun")
    exchange = made.executor.open(made.feed.open(), made.fill, made.depth(desk.hooks), False)
    first = []

    class First:
        def record(self, fact, intents):
            first.append(fact)

    simulation = Simulation(desk, exchange, [First()], "over", remembered={"risk.volatility": {"x": 1}})
    next(simulation.run(every=1))
    assert isinstance(first[0], Together)
    assert first[0].facts[0] == Carried(first[0].at, "risk.volatility", {"x": 1})
