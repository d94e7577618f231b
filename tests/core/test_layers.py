"""Modules depend one way: no import leads back, not even for a type or in a function; the runner needs no plugin."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pmrun

ROOT = Path(pmrun.__file__).resolve().parent


def module_of(file: Path) -> str:
    return ".".join(["pmrun", *file.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__")


def imports() -> dict[str, set[str]]:
    files = {module_of(file): file for folder in ("runner", "plugins") for file in (ROOT / folder).rglob("*.py")}
    found: dict[str, set[str]] = {}
    for module, file in files.items():
        nodes = [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if type(node) is ast.ImportFrom]
        named = {name for node in nodes for name in [node.module, *(f"{node.module}.{one.name}" for one in node.names)]}
        found[module] = (named & files.keys()) - {module}
    return found


def test_no_import_leads_back_to_where_it_came_from():
    graph = imports()
    assert len(graph) > 200
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise AssertionError(f"a circle: {' <- '.join(error.args[1])}") from None


def test_the_runner_imports_no_plugin():
    plugins = {(module, other) for module, others in imports().items() for other in others if ".plugins" in other}
    assert {pair for pair in plugins if pair[0].startswith("pmrun.runner")} == set()


EXCHANGES = "pmrun.plugins.exchanges."


def home(module: str) -> str | None:
    return module.removeprefix(EXCHANGES).split(".")[0] if module.startswith(EXCHANGES) else None


def test_adapters_know_nothing_of_one_another_and_share_what_is_common_to_all():
    pairs = {
        (module, other) for module, others in imports().items() for other in others if home(module) and home(other)
    }
    assert {(home(module), home(other)) for module, other in pairs if home(module) != home(other)} == {
        ("embedded", "common"),
        ("polymarket", "common"),
        ("satori", "common"),
        ("verbs", "common"),
        ("verbs", "polymarket"),
        ("verbs", "satori"),
    }
    shared = {other for module, other in pairs if home(module) == "embedded" and home(other) == "common"}
    assert shared == {f"{EXCHANGES}common.book_hash"}, "the other side is an implementation of its own"
