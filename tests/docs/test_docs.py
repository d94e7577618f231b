"""The pages name everything there is, and what they tell a reader to type can be typed."""

import ast
import contextlib
import inspect
import io
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import scenes
import yaml

import pmrun
from pmrun.plugins.exchanges.embedded.fault_terms import TERMS, Name
from pmrun.plugins.exchanges.polymarket.credentials import API_KEY, API_PASSPHRASE, API_SECRET, FUNDER, PRIVATE_KEY
from pmrun.plugins.exchanges.polymarket.doctor import ACCOUNT, PUBLIC
from pmrun.plugins.executors import paper_exchange as paper
from pmrun.runner import book, facts, hooks, inventory, market, orders, units, verbs
from pmrun.runner.assembly import DeskConfig, RescanConfig, UniverseConfig, plan
from pmrun.runner.compose import compose_config
from pmrun.runner.facts import MarketStatus
from pmrun.runner.framing import expand
from pmrun.runner.hooks import ComponentHooks, PackHooks
from pmrun.runner.packs import component_class, pack_verbs
from pmrun.runner.units import parse_price, parse_size
from pmrun.runner.values import settings_of

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = [README, ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
TAPE = ROOT / "strategies" / "tapes" / "btc_15m"
ENDS_WITH_DOLLAR = re.compile(r"^\$ ?")


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def code_words(text: str) -> set[str]:
    """Everything in backticks outside fences: what a page names."""
    return set(re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)))


def sections(text: str, level: int) -> dict[str, str]:
    """What stands under each heading of a level, without the code marks of the heading."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    parts = re.split(rf"^#{{{level}}} +(.+)$", text, flags=re.M)
    return {
        name.strip().strip("`"): re.split(rf"^#{{1,{level}}} ", body, flags=re.M)[0]
        for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def fences(path: Path, language: str) -> Iterator[tuple[str, str]]:
    """Each fenced block of a language, and the line before it."""
    pattern = rf"^([^\n]*)\n```{language}\n(.*?)^```$"
    yield from re.findall(pattern, path.read_text(encoding="utf-8"), flags=re.S | re.M)


# Hooks.

HOOKS = [
    pytest.param(hook, name, id=name)
    for hook in (ComponentHooks, PackHooks)
    for name in vars(hook)
    if not name.startswith("_")
]


@pytest.mark.parametrize(("hook", "name"), HOOKS)
def test_every_hook_has_its_sentence_and_its_arguments_in_the_docs(hook, name):
    found = sections(text_of("06-write-a-component.md"), 3)
    assert name in found, f"06: no heading for the hook {name}"
    sentence = inspect.getdoc(getattr(hook, name)).split("\n\n")[0]
    assert sentence in " ".join(found[name].split()), f"06: {name}: {sentence}"
    listed = set(re.findall(r"^- `(\w+)`", found[name], flags=re.M))
    assert listed == set(inspect.signature(getattr(hook, name)).parameters) - {"self"}


def test_every_attribute_that_the_desk_reads_of_a_component_is_in_the_docs():
    source = (ROOT / "runner" / "hooks.py").read_text(encoding="utf-8")
    read = set(re.findall(r'getattr\((?:component|each), "(\w+)"', source))
    assert read >= {"depth", "observes", "judges", "cumulative", "order"}
    table = sections(text_of("06-write-a-component.md"), 2)["Attributes"]
    assert read <= set(re.findall(r"^\| `(\w+)` \|", table, flags=re.M))


# Settings.


def component_files() -> Iterator[tuple[str, dict[str, object]]]:
    for file in sorted((ROOT / "conf").glob("*/*.yaml")):
        node = yaml.safe_load(file.read_text(encoding="utf-8"))
        if "_target_" in node:
            yield f"{file.parent.name}={file.stem}", node


FROM_ELSEWHERE = re.compile(r"\$\{oc\.select:([\w.]+),(.*)\}")


def documented(section: str) -> dict[str, str]:
    """The settings of a section's table, with the default it shows."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:3] == "| `"]
    return {row[0].strip("`"): row[2] for row in rows}


def assert_same_settings(where: str, section: str, settings: set[str], node: dict[str, object]) -> None:
    found = documented(section)
    assert set(found) == settings, f"05: {where}"
    for name in settings:
        shown = found[name]
        elsewhere = FROM_ELSEWHERE.fullmatch(str(node[name]))
        if node[name] == "???":
            assert shown == "none", f"05: {where}.{name}"
        elif elsewhere:  # of another key, which the section has to name
            assert yaml.safe_load(shown.strip("`")) == yaml.safe_load(elsewhere[2]), f"05: {where}.{name}: default"
            assert f"`{elsewhere[1]}`" in section, f"05: {where}.{name}: {elsewhere[1]}"
        else:
            assert yaml.safe_load(shown.strip("`")) == node[name], f"05: {where}.{name}: default"


@pytest.mark.parametrize(
    ("option", "node"), list(component_files()), ids=lambda value: value if type(value) is str else ""
)
def test_every_setting_of_a_component_is_in_the_docs_with_its_default(option, node):
    found = sections(text_of("05-settings.md"), 3)
    assert option in found, f"05: no heading for {option}"
    settings = set(settings_of(component_class(str(node["_target_"]), option)))
    assert_same_settings(option, found[option], settings, node)


@pytest.mark.parametrize(
    ("key", "kind"), [("desk", DeskConfig), ("universe", UniverseConfig), ("rescan", RescanConfig)]
)
def test_every_setting_of_the_desk_and_the_universe_is_in_the_docs(key, kind):
    node = yaml.safe_load((ROOT / "conf" / "config.yaml").read_text(encoding="utf-8"))[key]
    found = sections(text_of("05-settings.md"), 3)
    assert_same_settings(key, found[key], set(settings_of(kind)), node)


def test_every_setting_of_the_run_itself_is_in_the_docs_with_its_default():
    node = yaml.safe_load((ROOT / "conf" / "config.yaml").read_text(encoding="utf-8"))
    plain = {key: value for key, value in node.items() if not isinstance(value, dict) and key != "defaults"}
    found = documented(sections(text_of("05-settings.md"), 2)["The run"].partition("\n### ")[0])
    assert set(found) - {"strategy", "exchange", "thesis"} == set(plain) >= {"seed", "timings"}
    assert {key: yaml.safe_load(found[key].strip("`")) for key in plain} == plain


def test_every_setting_of_a_bundle_is_in_the_docs_with_its_default():
    node = yaml.safe_load((ROOT / "conf" / "exchange" / "live.yaml").read_text(encoding="utf-8"))["live"]
    assert_same_settings("live", sections(text_of("05-settings.md"), 3)["live"], {"armed", *node}, node)


def test_the_settings_page_has_no_component_that_is_gone():
    known = {option for option, _ in component_files()} | {"desk", "universe", "rescan", "live"}
    assert set(sections(text_of("05-settings.md"), 3)) == known


# Reason codes.

SAYS = {  # who says a code, and which argument it is
    "Objection": 0,
    "Reason": 0,
    "NoQuote": 2,
    "Quote": 3,
    "Unhedged": 2,
    "Exit": 1,
    "_offer": 3,
    "_observe_oddity": 0,
    "_pull": 1,
    "_pull_all": 0,
    "_no_quote": 0,
    "_halt": 1,
}
# Codes that are passed on: they were said elsewhere, by one of the above or by a rule's basis.
PASSED_ON = {
    "code", "quote.code", "objection.code", "gap.code", "want.basis", "basis", "first.basis", "self._stopped",
    "reasons[0].code",
}  # fmt: skip
NOT_SAID = {"prospect"}  # of a quote that is tried, to ask for its size, and never placed


def calls_that_say(path: Path) -> Iterator[ast.expr]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name not in SAYS:
            continue
        given = [keyword.value for keyword in node.keywords if keyword.arg in ("code", "basis")]
        given += node.args[SAYS[name] : SAYS[name] + 1]
        for each in given:  # one of two codes
            yield from (each.body, each.orelse) if isinstance(each, ast.IfExp) else (each,)


def sources() -> list[Path]:
    return [path for folder in ("runner", "plugins") for path in sorted((ROOT / folder).rglob("*.py"))]


def codes() -> set[str]:
    found = {each.value for path in sources() for each in calls_that_say(path) if isinstance(each, ast.Constant)}
    tree = ast.parse((ROOT / "runner" / "desk.py").read_text(encoding="utf-8"))
    state = ast.parse((ROOT / "runner" / "market_state.py").read_text(encoding="utf-8"))
    blocked = next(node for node in ast.walk(state) if isinstance(node, ast.FunctionDef) and node.name == "blocked")
    said = {each.value for each in ast.walk(blocked) if isinstance(each, ast.Constant) and isinstance(each.value, str)}
    said.discard(ast.get_docstring(blocked, clean=False))
    said |= {  # why the desk has stopped: kept, and said later
        each.args[0].value
        for each in ast.walk(tree)
        if isinstance(each, ast.Call)
        and ast.unparse(each.func) == "self.stop"
        and isinstance(each.args[0], ast.Constant)
    }
    said |= {  # one of two codes, chosen before it is said
        each.value
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.IfExp)
        if [ast.unparse(target) for target in node.targets] == ["code"]
        for each in (node.value.body, node.value.orelse)
        if isinstance(each, ast.Constant)
    }
    status = {str(status) for status in MarketStatus} - {str(MarketStatus.TRADING)}
    return {str(code) for code in found | said} - NOT_SAID | status


def test_every_reason_code_is_in_the_docs():
    known = codes()
    assert known >= {"second_bid", "price_cliff", "no_book", "resolved", "component_failed", "funds", "moved"}
    assert known >= {"feed_ended", "hedge_cover", "stop_loss", "awaiting_settlement", "hedge_alarm", "max_markets"}
    missing = known - code_words(text_of("08-reason-codes.md"))
    assert not missing, f"08: {sorted(missing)}"


def test_no_code_is_made_up_where_the_page_cannot_see_it():
    for path in sources():
        for said in calls_that_say(path):
            if not isinstance(said, ast.Constant):
                assert ast.unparse(said) in PASSED_ON, f"{path.name}:{said.lineno}: {ast.unparse(said)}"


def test_no_code_in_the_docs_is_gone():
    page = sections(text_of("08-reason-codes.md"), 2)
    tables = "".join(body for name, body in page.items() if name not in ("Rejections by the exchange", "Exit codes"))
    assert set(re.findall(r"^\| `(\w+)` \|", tables, flags=re.M)) == codes()


def test_every_rejection_of_the_paper_exchange_is_in_the_docs():
    page = text_of("08-reason-codes.md")
    said = {paper.CROSSES, paper.NOT_TRADING, paper.MARKET_RESOLVED}
    tree = ast.parse((ROOT / "plugins" / "executors" / "paper_exchange.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name in ("_refusal", "_rest"):
            for each in ast.walk(node):
                if isinstance(each, ast.JoinedStr) and len(each.values) > 2:  # a sentence around its numbers
                    said |= {str(part.value) for part in each.values if isinstance(part, ast.Constant)}
                elif isinstance(each, ast.Constant) and isinstance(each.value, str) and each.value.startswith("too "):
                    said.add(each.value)
    assert len(said) == 11, said
    assert [sentence for sentence in sorted(said) if sentence not in page] == []


# Hedging, and the examples of hooks.


def hedging_examples() -> list[tuple[str, ...]]:
    _, _, table = text_of("13-hedging.md").partition("<!-- hedging: 20 at 0.70 -->\n")
    rows = table.split("\n\n")[0].splitlines()[2:]
    return [tuple(cell.strip().strip("`") for cell in row.strip("|").split("|")[:4]) for row in rows]


@pytest.mark.parametrize(("bids", "asks", "code", "price"), hedging_examples())
def test_the_worked_prices_of_the_hedging_are_those_it_gives(bids, asks, code, price):
    hedging = plan(compose_config(["strategy=reward_mm"])).components["hedging"]
    (exit_,) = hedging.hedge(
        scenes.market(),
        scenes.FIRST,
        scenes.book(bids, asks),
        scenes.a_holding(scenes.YES, "20", "0.70"),
        [],
        scenes.NOON,
    )
    assert (exit_.basis, exit_.price, exit_.size) == (code, parse_price(price), parse_size("20"))


def test_every_exit_is_in_the_worked_prices():
    codes_there = {code for _, _, code, _ in hedging_examples()}
    assert codes_there == {"stop_loss", "take_profit", "hedge_cover", "hedge_best_bid", "hedge_rest"}


HOOK_EXAMPLES = [body for before, body in fences(DOCS / "06-write-a-component.md", "python") if "file:" not in before]


@pytest.mark.parametrize("body", HOOK_EXAMPLES, ids=lambda body: re.search(r"def (\w+)", body).group(1))
def test_the_desk_takes_every_example_of_a_hook_as_it_is_printed(body):
    known: dict[str, object] = {"Generator": Generator}
    for module in (book, facts, hooks, inventory, market, orders, units):
        known |= vars(module)
    known["__annotations__"] = {}
    exec("class Example:\n" + "".join(f"    {line}\n" for line in body.splitlines()), known)  # our own page
    made = known["Example"]()
    hooks.Hooks({"example": made})
    shown = scenes.book("0.45x20 0.44x20", "0.48x20")
    holding = scenes.a_holding(scenes.NO, "20", "0.50")
    if hasattr(made, "hedge"):
        (sale,) = made.hedge(scenes.market(), shown, holding)
        assert (sale.outcome, sale.price, sale.size) == (scenes.NO, parse_price("0.52"), parse_size("20"))
    if hasattr(made, "rank_market"):
        assert made.rank_market(scenes.market(), shown).value == parse_price("0.03")
    if hasattr(made, "reject_market"):
        assert made.reject_market(scenes.market(), shown) is None
        assert made.reject_market(scenes.market(), scenes.book("0.45x20", "0.57x20")).numbers["value"] == 0.12
    if hasattr(made, "needs_both_sides"):
        assert made.needs_both_sides(scenes.book("0.08x9", "0.12x9"))
        assert not made.needs_both_sides(scenes.book("0.09x9", "0.12x9"))


# Verbs, groups, options.


@pytest.mark.parametrize("verb", sorted([*verbs.VERBS, *pack_verbs()]))
def test_every_verb_is_shown_in_the_docs(verb):
    assert any(re.search(rf"\bpmrun {verb}\b", page.read_text(encoding="utf-8")) for page in PAGES)


def test_every_group_and_every_option_is_in_the_table_of_groups():
    found: dict[str, set[str]] = {}
    for folder in (ROOT / "conf", ROOT / "strategies"):
        for file in folder.glob("*/*.yaml"):
            found.setdefault(file.parent.name, set()).add(file.stem)
    rows = re.findall(
        r"^\| `(\w+)` \|.*\| ([^|]+) \|$", sections(text_of("02-change-a-strategy.md"), 2)["The groups"], re.M
    )
    assert {group: set(re.findall(r"`(\w+)`", options)) for group, options in rows} == found


# The wire: going live, the embedded exchange, its faults.


def rows(section: str) -> list[list[str]]:
    """The cells of every row of a section's tables, without the heads."""
    found = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in section.splitlines() if line[:2] == "| "
    ]
    return [row for row in found if not set("".join(row)) <= set("- |")]


@pytest.mark.parametrize("name", list(Name))
def test_every_fault_is_in_the_docs_with_its_settings(name):
    page = text_of("15-embedded-exchange.md")
    (row,) = [row for row in rows(page) if row[0] == f"`{name}`"]
    for setting in TERMS[name].settings:
        assert f"`{setting}`" in row[2], f"15: {name}: {setting}"


def test_every_option_of_the_embedded_exchange_is_in_the_docs():
    said = io.StringIO()
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit):
        verbs.verb("exchange")(["--help"])
    options = set(re.findall(r"(?<![\w-])--[a-z]+", said.getvalue())) - {"--help"}
    listed = sections(text_of("15-embedded-exchange.md"), 2)["Options"]
    assert options == set(re.findall(r"^\| `(--[a-z]+)", listed, flags=re.M))


def test_every_check_of_the_doctor_is_in_the_docs():
    listed = sections(text_of("14-live.md"), 2)["Doctor, check by check"]
    named = {name for row in rows(listed) for name in re.findall(r"`([^`]+)`", row[0])}
    services = {"CLOB", "Gamma", "market socket", "user socket", "Data API", "geoblock service"}
    assert named - services == {step.name for step in PUBLIC + ACCOUNT} - {"addresses"}


def test_every_module_of_the_wire_is_on_the_map():
    section = sections(text_of("09-how-it-is-built.md"), 2)["The wire"]
    named = set(" ".join(code_words(section)).split())
    folders = [ROOT / "plugins" / "exchanges" / name for name in ("common", "polymarket")]
    modules = {path.stem for folder in folders for path in folder.glob("[!_]*.py")}
    missing = {name for name in modules - named if not name.startswith(("doctor", "limits_"))}
    assert not missing, f"09: {sorted(missing)}"


def test_the_unit_in_the_docs_is_the_one_that_is_shipped_and_can_be_started():
    ((before, shown),) = list(fences(DOCS / "14-live.md", "ini"))
    unit = (ROOT / "examples" / "pmrun.service").read_text(encoding="utf-8")
    assert before == "<!-- file: examples/pmrun.service -->"
    assert shown == unit
    (command,) = re.findall(r"^ExecStart=\S+/pmrun (.*)$", unit, flags=re.M)
    executor = plan(compose_config(shlex.split(command))).executor
    assert not executor.armed, "a unit that is only copied must not trade"
    assert plan(compose_config([*shlex.split(command), "live.armed=true"])).executor.armed
    assert re.search(r"^RestartPreventExitStatus=2 4$", unit, flags=re.M)


def test_the_example_of_an_environment_names_every_credential_and_holds_none():
    lines = (ROOT / "env.example").read_text(encoding="utf-8").splitlines()
    given = [line.lstrip("#").partition("=") for line in lines if re.match(r"#?[A-Z_]+=", line)]
    known = {PRIVATE_KEY, FUNDER, API_KEY, API_SECRET, API_PASSPHRASE}
    assert {name for name, _, _ in given} == known <= code_words(text_of("14-live.md"))
    assert not any(value for _, _, value in given)


def test_the_rehearsal_of_the_docs_is_armed_and_stays_on_this_machine():
    page = (DOCS / "14-live.md").read_text(encoding="utf-8")
    body = re.search(r"<!-- rehearsal -->\n```bash\n(.*?)```", page, flags=re.S)[1]
    held = {name: " ".join(text.split()) for name, text in SHELL_ARRAY.findall(body)}
    *_, run = [filled(line, held) for line in body.splitlines() if line.startswith("pmrun ")]
    made = plan(compose_config(shlex.split(run)[1:]))
    assert made.executor.armed
    assert made.feed.simulated


# Links.


def anchors(path: Path) -> set[str]:
    heads = re.findall(r"^#+ +(.+)$", path.read_text(encoding="utf-8"), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("https://", "http://")):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.is_file(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(there), f"{page.name}: {target}: no such heading"


def test_the_readme_leads_to_every_page():
    linked = set(re.findall(r"\]\(docs/([^)#]+)", README.read_text(encoding="utf-8")))
    assert linked == {page.name for page in DOCS.glob("*.md")}


# Commands.


def commands() -> list[str]:
    found = []
    for page in PAGES:
        arrays: dict[str, str] = {}  # what a page has the shell remember, for the commands after it
        for _, body in fences(page, "bash"):
            arrays |= {name: " ".join(held.split()) for name, held in SHELL_ARRAY.findall(body)}
            lines = ENDS_WITH_DOLLAR.sub("", body).replace("\\\n", " ").splitlines()
            found += [filled(line.strip(), arrays) for line in lines if line.strip().startswith("pmrun ")]
    return list(dict.fromkeys(found))


SHELL_ARRAY = re.compile(r"^(\w+)=\((.*?)\)$", re.S | re.M)


def filled(line: str, arrays: dict[str, str]) -> str:
    """A command as the shell gives it, with what its arrays hold."""
    return re.sub(r'"\$\{(\w+)\[@\]\}"', lambda used: arrays[used[1]], line)


COMMANDS = commands()
NEEDS_THE_PACK = [command for command in COMMANDS if "not_too_cheap" in command]
HERE = [command for command in COMMANDS if command not in NEEDS_THE_PACK]


AS_A_RUN = ("universe", "stop", "exchange", "record", "doctor", "limits")  # overrides as for a run


def test_the_docs_hold_commands():
    assert len(COMMANDS) > 15
    assert NEEDS_THE_PACK


@pytest.mark.parametrize("command", HERE)
def test_every_command_in_the_docs_can_be_typed(command, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    words = [word.replace("/path/to/tape", str(TAPE)) for word in shlex.split(command, comments=True)[1:]]
    if words[0] in AS_A_RUN:  # what the command line gives a run
        overrides = [word for word in words[1:] if not word.startswith("-") and ("=" in word or word.startswith("~"))]
        if words[0] == "stop":
            overrides = [*verbs.stopping(overrides), "desk.stop_only=true"]
        chosen = any(word.startswith("strategy=") for word in overrides) or words[0] == "universe"
        given = [] if chosen else ["strategy=reward_mm"]
        plan(compose_config([*given, *(["feed=polymarket"] if words[0] == "record" else []), *overrides]))
    if words[0] == "stop":  # nothing but that
        return None
    if verbs.verb(words[0]) is not None:
        return check_verb(words)
    sweep = "-m" in words
    if "--cfg" in words:
        assert words[words.index("--cfg") + 1] == "job"
        del words[words.index("--cfg") : words.index("--cfg") + 2]
    overrides = [word for word in words if word != "-m"]
    assert not [word for word in overrides if word.startswith("-")], "an option this test does not know"
    for job in expand(overrides) if sweep else [overrides]:
        plan(compose_config(job))
    return None


def check_verb(words: list[str]) -> None:
    """A verb's options are its own, and it has room for what it is given."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit) as left:
        verb = verbs.verb(words[0])
        assert verb is not None
        verb(["--help"])
    assert left.value.code == 0
    usage = said.getvalue()
    for option in (word for word in words[1:] if word.startswith("-")):
        assert re.search(rf"(?<![\w-]){re.escape(option)}\b", usage), f"{words[0]} has no {option}"
    given = [word for word in words[1:] if not word.startswith("-")]
    taken = [word for word in given if word not in values_of(words)]
    assert bool(taken) <= ("positional arguments" in usage), usage
    assert taken or "[OVERRIDE ...]" in usage or "positional arguments" not in usage, usage


def values_of(words: list[str]) -> set[str]:
    """What stands behind an option and is no override: its value."""
    return {word for before, word in itertools.pairwise(words) if before.startswith("--") and "=" not in word}


def test_a_command_that_is_wrong_is_noticed(monkeypatch):
    for wrong in (
        "pmrun strategy=reward_mm risk.cliff.treshold=1", "pmrun replay RUN --quickly", "pmrun compare",
        "pmrun universe strategy=reward_mm filters.expiry.days=3", "pmrun stop strategy=reward_mm risk.nope=1",
        "pmrun exchange --loudly", "pmrun record --to tape feed.tops=3", "pmrun replay",
    ):  # fmt: skip
        with pytest.raises((AssertionError, pmrun.runner.errors.ConfigError)):
            test_every_command_in_the_docs_can_be_typed(wrong, monkeypatch)


def test_the_worked_package_works_as_it_is_printed(tmp_path):
    page = DOCS / "06-write-a-component.md"
    files = {}
    for language in ("toml", "python", "yaml"):
        for before, body in fences(page, language):
            marked = re.fullmatch(r"<!-- file: (\S+) -->", before)
            if marked:
                files[marked.group(1)] = body
    assert len(files) == 4
    for name, body in {**files, "my_rules/__init__.py": "", "my_rules/conf/__init__.py": ""}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body, encoding="utf-8")
    project = tomllib.loads(files["pyproject.toml"])["project"]
    installed = tmp_path / "my_rules-0.1.0.dist-info"  # what pip would leave: enough to be found by
    installed.mkdir()
    (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0.1.0\n")
    lines = [f"{key} = {value}" for key, value in project["entry-points"]["pmrun"].items()]
    (installed / "entry_points.txt").write_text("[pmrun]\n" + "\n".join(lines) + "\n")
    (command,) = NEEDS_THE_PACK
    done = typed(f"{command} feed.length=600 store=none report=none", tmp_path)  # ten minutes of the two hours
    assert done.returncode == 0, done.stderr
    summary = json.loads(next(tmp_path.glob("outputs/*/*/summary.json")).read_text(encoding="utf-8"))
    assert summary["refusals"]["risk.cheap: too_cheap"] > 0
    assert "not_too_cheap" in typed("pmrun plugins", tmp_path).stdout
    wrong = typed(NEEDS_THE_PACK[0].replace("min_price=0.2", "min_price=2"), tmp_path)
    assert wrong.returncode == 2
    assert "risk.cheap.min_price=2: min_price must be above 0 and below 1 dollar" in wrong.stderr
    assert wrong.stderr.strip().removeprefix("pmrun: ") in " ".join(page.read_text(encoding="utf-8").split())


def typed(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    run = "import sys; from pmrun.runner.cli import run; sys.exit(run(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", run, *shlex.split(command)[1:]],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
    )


# What the CI takes from the README.


def marked(name: str) -> list[str]:
    return [body.strip() for before, body in fences(README, "bash") if before == f"<!-- ci: {name} -->"]


def test_the_readme_has_the_two_commands_of_the_ci():
    ((first,), (tests,)) = marked("first"), marked("tests")
    assert "\n" not in first
    for part in ("venv .venv", "install -e '.[dev]'", ".venv/bin/pmrun strategy=reward_mm exchange=paper"):
        assert part in first
    assert tests == ".venv/bin/pytest -n auto"
    override = first.partition(".venv/bin/pmrun ")[2]
    plan(compose_config(shlex.split(override)))


def test_the_readme_shows_what_its_first_command_ends_with(tmp_path):
    (first,) = marked("first")
    done = typed(f"pmrun{first.rpartition('.venv/bin/pmrun')[2]}" + " report=none store=none log.console=OFF", tmp_path)
    assert done.returncode == 0, done.stderr
    shown = next(body for _, body in fences(README, "text") if body.startswith("strategy:"))
    said = [line for line in done.stdout.splitlines() if not line.startswith("directory:")]
    assert said == shown.splitlines(), "python benchmarks/figures.py puts the pages right"


def test_the_ci_takes_both_from_there():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(r"readme_command first\b", script)
    assert re.search(r"readme_command tests\b", script)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_licence_line_of_the_tape_is_in_the_readme():
    line = (TAPE / "LICENCE.txt").read_text(encoding="utf-8").splitlines()[0]
    assert line in README.read_text(encoding="utf-8")


def test_the_change_log_has_this_version():
    heads = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.M)
    assert heads[0] == "Unreleased"
    assert pmrun.__version__ in heads
