"""What a component can be told stands in its YAML, with the value it has anyway."""

import inspect
import re
from importlib.resources import files

import pytest
import yaml

from pmrun.plugins.filters.range import Range
from pmrun.runner.assembly import DeskConfig, UniverseConfig, build_components
from pmrun.runner.compose import compose_config
from pmrun.runner.errors import ConfigError
from pmrun.runner.options import options
from pmrun.runner.packs import component_class
from pmrun.runner.units import Cash, Price, Size
from pmrun.runner.values import convert, describe, settings_of

OTHERS = {("fill", "risk_averse")}  # named settings of another option: they differ on purpose
SAID = {("hedging", name, "may_take") for name in ("hedge_sell", "event_hedge")}  # off unless said: ours say it (M1)
OWN = {  # no default of their own
    ("sizing", "fixed", "shares"),
    ("feed", "tape", "path"),
    ("feed", "columns", "path"),
    ("feed", "sim", "seed"),
    ("feed", "sim_no_edge", "seed"),
}


FROM_ELSEWHERE = re.compile(r"\$\{oc\.select:([\w.]+),(.*)\}")


def own_value(given):
    """What a component is told when nobody sets the key that its setting is taken from."""
    elsewhere = FROM_ELSEWHERE.fullmatch(given) if isinstance(given, str) else None
    return yaml.safe_load(elsewhere[2]) if elsewhere else given


def components():
    for group, names in options().items():
        for name in names:
            file = files("pmrun.conf") / group / f"{name}.yaml"
            node = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else {}
            if "_target_" in node:
                yield pytest.param(group, name, node, id=f"{group}={name}")


@pytest.mark.parametrize(("group", "name", "node"), list(components()))
def test_every_setting_of_a_component_stands_in_its_yaml_with_its_default(group, name, node):
    settings = settings_of(component_class(node["_target_"], group))
    assert set(node) - {"_target_"} == set(settings)
    for key, setting in settings.items():
        if setting.default is inspect.Parameter.empty:
            assert (group, name, key) in OWN
        elif node[key] == "${seed}":
            assert key == "seed", "the seed of the run"
        elif (group, name, key) in SAID:
            assert (node[key], setting.default) == (True, False)
        elif (group, name) not in OTHERS:
            assert convert(setting.kind, own_value(node[key]), key) == setting.default, key


def test_what_a_setting_is_taken_from_has_the_same_value_there():
    live = yaml.safe_load((files("pmrun.conf") / "exchange" / "live.yaml").read_text(encoding="utf-8"))["live"]
    executor = yaml.safe_load((files("pmrun.conf") / "executor" / "live.yaml").read_text(encoding="utf-8"))
    taken = {key: FROM_ELSEWHERE.fullmatch(str(given)) for key, given in executor.items()}
    assert {found[1] for found in taken.values() if found} == {f"live.{key}" for key in live}
    assert {key: own_value(executor[key]) for key in live} == live


@pytest.mark.parametrize(("key", "kind"), [("desk", DeskConfig), ("universe", UniverseConfig)])
def test_every_setting_of_the_desk_stands_in_the_first_yaml_with_its_default(key, kind):
    node = yaml.safe_load((files("pmrun.conf") / "config.yaml").read_text(encoding="utf-8"))[key]
    settings = settings_of(kind)
    assert set(node) == set(settings)
    assert {name: convert(settings[name].kind, node[name], name) for name in node} == {
        name: setting.default for name, setting in settings.items()
    }


def test_every_yaml_of_a_component_says_in_its_first_line_what_it_does():
    for group, names in options().items():
        for name in names:
            file = files("pmrun.conf") / group / f"{name}.yaml"
            if file.is_file():
                text = file.read_text(encoding="utf-8").splitlines()
                assert any(line.startswith("# ") and not line.startswith("# @") for line in text[:2]), f"{group}/{name}"


# Settings that have settings of their own.

MINE = ["strategy=reward_mm", "exchange=paper", "+filters@filters.mine=spread"]
RANGE = "filters.mine.spread_range"


def spread_of(*overrides):
    return build_components(compose_config([*MINE, *overrides]))["filters.mine"].spread_range


@pytest.mark.parametrize(
    ("override", "limits"),
    [
        (f"{RANGE}.max=0.04", Range(None, Price(400))),
        (f"{RANGE}.min=0.01", Range(Price(100), Price(500))),
        (f"{RANGE}.max=null", Range()),
        (f"~{RANGE}.max", Range()),
        (f"{RANGE}={{min:0.01,max:0.02}}", Range(Price(100), Price(200))),
        (f"{RANGE}.min=0.05", Range(Price(500), Price(500))),
    ],
)
def test_one_end_of_a_range_is_set_by_its_own_key(override, limits):
    assert spread_of(override) == limits


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (f"{RANGE}.most=0.04", f"{RANGE}.most=0.04: unknown setting; known: max, min"),
        (f"+{RANGE}.most=0.04", f"{RANGE}.most=0.04: unknown setting; known: max, min"),
        (f"{RANGE}.max=wide", f"{RANGE}.max=wide: must be a number of dollars (price 'wide' is not a number)"),
        (f"{RANGE}.max=0.00001", f"{RANGE}.max=1e-05: must be a number of dollars (price '0.00001' is finer than "),
        (f"{RANGE}.max=-0.01", f"{RANGE}.max=-0.01: max must be 0 or more"),
        (f"{RANGE}.min=nan", f"{RANGE}.min=nan: must be a finite number of dollars"),
        (f"{RANGE}.max=inf", f"{RANGE}.max=inf: must be a finite number of dollars"),
        (f"{RANGE}.min=0.06", f"{RANGE}={{min: 0.06, max: 0.05}}: a range must have min at most max"),
        (f"{RANGE}=0.05", f"{RANGE}=0.05: must be a mapping of min and max"),
        (f"{RANGE}=null", f"{RANGE}=null: must be a mapping of min and max"),
        (f"{RANGE}.max=${{oc.env:PMRUN_NOT_SET}}", f"{RANGE}.max=${{oc.env:PMRUN_NOT_SET}}: the environment variable"),
    ],
)
def test_a_mistake_in_a_range_is_one_line_with_the_key_the_value_and_what_is_allowed(override, message):
    with pytest.raises(ConfigError) as error:
        spread_of(override)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_limit_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("PMRUN_WIDEST", "0.03")
    assert spread_of(f"{RANGE}.max=${{oc.env:PMRUN_WIDEST}}") == Range(None, Price(300))
    monkeypatch.setenv("PMRUN_WIDEST", "secret")
    with pytest.raises(ConfigError) as error:
        spread_of(f"{RANGE}.max=${{oc.env:PMRUN_WIDEST}}")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("unit", "given", "limits"),
    [
        (Price, {"max": 0.05}, Range(None, 500)),
        (Cash, {"min": 5}, Range(5_000_000)),
        (Size, {"min": "2.5", "max": 20}, Range(2_500_000, 20_000_000)),
    ],
)
def test_a_range_has_the_unit_its_component_names(unit, given, limits):
    assert convert(Range[unit], given, "it") == limits


def test_a_list_is_no_range():
    with pytest.raises(ConfigError, match=r"^it=\[0, 1\]: must be a mapping of min and max$"):
        convert(Range[Price], [0, 1], "it")


def test_a_range_may_be_left_out_where_the_component_says_so():
    assert convert(Range[Price] | None, None, "it") is None
    assert describe(Range[Price] | None) == "a mapping of min and max or null"
