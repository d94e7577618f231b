"""What a component can be told stands in its YAML, with the value it has anyway."""

import inspect
from importlib.resources import files

import pytest
import yaml

from pmrun.runner.assembly import DeskConfig, UniverseConfig
from pmrun.runner.options import options
from pmrun.runner.packs import component_class
from pmrun.runner.values import convert, settings_of

OTHERS = {("fill", "risk_averse")}  # named settings of another option: they differ on purpose
OWN = {("sizing", "fixed", "shares"), ("feed", "tape", "path"), ("feed", "columns", "path")}  # no default of their own


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
        elif (group, name) not in OTHERS:
            assert convert(setting.kind, node[key], key) == setting.default, key


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
