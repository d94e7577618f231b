"""What the command answers without running anything: help, version, completion, what can be chosen."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from commands import COMMAND, PLAIN

import pmrun
from pmrun.runner.options import options


def processor_seconds():
    """What our commands took of a processor so far: a busy machine does not count."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["help"], ["--version"], ["--version", "more"]])
def test_help_and_version_answer_at_once_and_without_hydra(arguments, cwd):
    for _ in range(10):  # where others use the processor, everything takes longer
        begin = processor_seconds()
        subprocess.run([COMMAND, *arguments], cwd=cwd, check=True, capture_output=True)
        seconds = processor_seconds() - begin
        if seconds < 0.2:
            break
    assert seconds < 0.2
    code = (
        "import sys; from pmrun.runner.cli import run; code = run(sys.argv[1:]); "
        "heavy = ('hydra', 'omegaconf', 'trio', 'numba', 'numpy', 'rich', 'httpx', 'starlette', 'hypercorn'); "
        "print([name for name in heavy if name in sys.modules]); "
        "sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=cwd, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_names_every_verb_and_the_version_is_the_packages(pmrun_says):
    from pmrun.runner.packs import pack_verbs
    from pmrun.runner.verbs import VERBS

    text = pmrun_says("--help").out
    assert "exchange" in pack_verbs()
    assert [verb for verb in (*VERBS, *pack_verbs()) if f"  {verb}" not in text] == []
    assert "{" not in text
    assert pmrun_says("--version").out == f"pmrun {pmrun.__version__}\n"


def test_without_any_argument_help_is_shown(pmrun_says):
    said = pmrun_says()
    assert (said.code, said.err) == (2, "")
    assert said.out.startswith("pmrun runs market-making strategies")


def test_hydras_own_help_stays_reachable(pmrun_says):
    said = pmrun_says("--hydra-help")
    assert (said.code, said.err) == (0, "")
    assert "--cfg" in said.out


def test_plugins_lists_packs_and_every_option(pmrun_says):
    told = json.loads(pmrun_says("plugins", "--json").out)
    assert {pack["name"] for pack in told["packs"]} >= {"builtin", "strategies"}
    assert told["groups"] == options()
    text = pmrun_says("plugins").out
    assert "pricing: complement, maker_follow, nth_level, queue_value, reservation, reward_band, spread" in text
    assert f"pmrun {pmrun.__version__}" in text


def test_the_whole_composed_run_can_be_seen_without_running(pmrun_says, cwd):
    import yaml

    from pmrun.runner.compose import compose_config

    said = pmrun_says("strategy=reward_mm", "--cfg", "job", "--resolve", "~risk.volatility")
    assert (said.code, said.err) == (0, "")
    assert yaml.safe_load(said.out) == compose_config(["strategy=reward_mm", "~risk.volatility"])
    assert list(cwd.iterdir()) == []


def complete(cwd, line):
    """Complete a command line as bash does at a TAB: through the function that `pmrun completion bash` defines."""
    script = """
        source /usr/share/bash-completion/bash_completion 2>/dev/null
        eval "$(pmrun completion bash)"
        function=$(complete -p pmrun | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        COMP_LINE="$1" COMP_POINT=${#1} COMP_WORDS=($1) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        $function pmrun "${COMP_WORDS[COMP_CWORD]}" pmrun
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    path = f"{Path(COMMAND).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script, "bash", line], cwd=cwd, capture_output=True, text=True, check=True, timeout=60,
        env={**os.environ, "PATH": path},
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "among"),
    [
        ("pmrun strat", {"strategy="}),
        ("pmrun strategy=reward", {"strategy=reward_mm", "strategy=reward_mm_small"}),
        ("pmrun pricing=", {"pricing=maker_follow", "pricing=reward_band", "pricing=nth_level"}),
        ("pmrun strategy=reward_mm risk.cl", {"risk.cliff."}),
        ("pmrun strategy=reward_mm risk.cliff.pr", {"risk.cliff.price_cliff_threshold="}),
        ("pmrun hydra/launcher=", {"hydra/launcher=joblib"}),
        ("pmrun repl", {"replay"}),
        ("pmrun comp", {"compare", "completion"}),
        ("pmrun exch", {"exchange", "exchange="}),
        ("pmrun exchange feed=", {"feed=sim", "feed=tape"}),
    ],
)
def test_a_tab_completes_groups_options_keys_and_verbs(cwd, line, among):
    assert among <= set(complete(cwd, line))


def test_completion_is_printed_for_other_shells_too(pmrun_says):
    for shell in ("zsh", "fish"):
        said = pmrun_says("completion", shell)
        assert (said.code, said.err) == (0, "")
        assert "pmrun" in said.out


def test_a_finished_run_is_replayed_compared_and_shown_from_the_command_line(pmrun_says, cwd, short_tape):
    for name, more in (("a", []), ("b", ["risk.cliff.price_cliff_threshold=0.02"])):
        assert pmrun_says(*PLAIN, f"feed.path={short_tape}", f"hydra.run.dir={name}", *more).code == 0
    assert pmrun_says("replay", "a", "--verify").out.startswith("verified: ")
    said = pmrun_says("compare", "a", "b")
    assert said.code == 0, said
    assert "risk.cliff.price_cliff_threshold" in said.out
    told = json.loads(pmrun_says("compare", "a", "b", "--json").out)
    assert [each["key"] for each in told["config"]] == ["risk.cliff.price_cliff_threshold"]
    manifest = json.loads((cwd / "a" / "manifest.json").read_text())
    assert manifest["order"][:2] == ["pricing", "sizing"]
    assert next(name for name in manifest["order"] if name.startswith("risk.")) == "risk.position"
