"""pmrun and a package that extends it, built, installed into a fresh environment and run from an empty directory."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOT_SOURCE = shutil.ignore_patterns(
    ".*", "build", "dist", "outputs", "multirun", "*.egg-info", "__pycache__", "benchmarks", "docs", "tests"
)


def build(source, place, *kinds):
    """Build distributions of a copy, so that nothing is left in the checkout."""
    copy = place / "source"
    shutil.copytree(source, copy, ignore=NOT_SOURCE)
    command = [sys.executable, "-m", "build", "--no-isolation", *kinds, "--outdir", str(place), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return place


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The wheel, built the long way: from the sdist."""
    (found,) = build(ROOT, tmp_path_factory.mktemp("pmrun")).glob("*.whl")
    return found


@pytest.fixture(scope="session")
def example_wheel(tmp_path_factory):
    (found,) = build(ROOT / "examples" / "acme_pack", tmp_path_factory.mktemp("acme"), "--wheel").glob("*.whl")
    return found


def files_of(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_every_file_of_the_packages(wheel):
    names = files_of(wheel)
    for folder in ("conf", "runner", "plugins", "strategies"):
        for path in (ROOT / folder).rglob("*"):
            wanted = path.suffix in {".py", ".yaml", ".html", ".css", ".js"} or "tapes" in path.parts
            if path.is_file() and wanted and "__pycache__" not in path.parts:
                assert f"pmrun/{path.relative_to(ROOT)}" in names
    assert {"pmrun/py.typed", "pmrun/strategies/tapes/btc_15m/LICENCE.txt"} <= names
    assert [name for name in names if name.startswith(("tests/", "pmrun/tests/", "pmrun/examples/"))] == []


def test_the_wheel_names_its_commands_packs_and_licences(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (points,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        text = archive.read(points).decode()
        licences = [name for name in archive.namelist() if ".dist-info/licenses/" in name]
    assert "pmrun = pmrun.runner.cli:main" in text
    assert "builtin = pmrun.plugins.pack" in text
    assert "strategies = pmrun.strategies.pack" in text
    assert {Path(name).name for name in licences} == {"LICENSE", "LICENCE.txt"}


class Environment:
    """A fresh virtual environment that takes its libraries, but not pmrun, from this one."""

    def __init__(self, place):
        self.place = place
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
        self.site = Path(sysconfig.get_path("purelib", vars={"base": str(place), "platbase": str(place)}))
        self.libraries = place / "libraries"
        self.libraries.mkdir()
        for entry in Path(sysconfig.get_path("purelib")).iterdir():
            ours = entry.name.startswith(("pmrun", "__editable__", "_pmrun", "acme", "__pycache__", "distutils-pre"))
            if not ours and entry.suffix != ".pth":
                (self.libraries / entry.name).symlink_to(entry)
        (self.site / "libraries.pth").write_text(str(self.libraries))

    def install(self, *wheels):
        pip = [sys.executable, "-m", "pip", "--python", str(self.place / "bin" / "python")]
        options = ["install", "--no-deps", "--no-index", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *options, *map(str, wheels)], check=True)

    def run(self, cwd, *arguments):
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL"))}
        return subprocess.run(
            [str(self.place / "bin" / "pmrun"), *arguments], cwd=cwd, env=clean, capture_output=True, text=True,
            timeout=180, check=False,
        )  # fmt: skip


@pytest.fixture(scope="session")
def installed(tmp_path_factory, wheel, example_wheel):
    environment = Environment(tmp_path_factory.mktemp("environment") / "venv")
    environment.install(wheel, example_wheel)
    return environment


@pytest.fixture
def run(installed, tmp_path):
    """Run the installed command in an empty directory."""

    def command(*arguments):
        done = installed.run(tmp_path, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return command


def test_the_installed_package_is_not_this_checkout(installed, tmp_path):
    code = "import pmrun, sys; print(pmrun.__file__); print('hydra' in sys.modules)"
    python = installed.place / "bin" / "python"
    said = subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert said.split() == [str(installed.site / "pmrun" / "__init__.py"), "False"]


def test_a_sweep_runs_from_an_empty_directory(run, tmp_path):
    said = run("-m", "strategy=reward_mm", "exchange=paper", "feed.length=300", "sizing.order_size_multiplier=1,2,3")
    assert len(said.splitlines()) == 5
    assert len(list(tmp_path.rglob("summary.json"))) == len(list(tmp_path.rglob("report.html"))) == 3
    assert len(list(tmp_path.rglob("sweep.csv"))) == 1


def test_the_example_package_is_listed_with_its_options(run):
    said = run("plugins")
    assert "pack acme: acme-pack 0.1.0" in said
    assert "acme_improve" in said
    assert "acme_mm" in said


def test_the_examples_rule_check_and_strategy_run(run, tmp_path):
    swept = ("strategy=reward_mm,acme_mm", "pricing=acme_improve", "+risk@risk.mine=acme_even_book")
    run("-m", *swept, "risk.mine.largest_share=0.8", "feed.length=300", "store=none", "report=none")
    configs = sorted(tmp_path.rglob("config.yaml"))
    assert len(configs) == 2
    placed = [json.loads(path.read_text())["orders"]["placed"] for path in tmp_path.rglob("summary.json")]
    assert min(placed) > 0
    assert all("acme_pack.improve.Improve" in path.read_text() for path in configs)
    assert "strategy: acme_mm" in configs[1].read_text()
    assert "acme: acme-pack 0.1.0" in next(tmp_path.rglob("manifest.json")).read_text().replace('"', "")


def test_the_examples_own_tests_pass_beside_an_installed_pmrun(installed, tmp_path):
    tests = shutil.copytree(ROOT / "examples" / "acme_pack" / "tests", tmp_path / "tests")
    command = [str(installed.place / "bin" / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


def break_pack(environment, text):
    package = environment.site / "broken_pack.py"
    package.write_text(text)
    info = environment.site / "broken_pack-2.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-pack\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[pmrun]\nbroken = broken_pack\n")
    return lambda: (package.unlink(), shutil.rmtree(info))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("def config_packs(): return ['no_such.conf']", "ModuleNotFoundError: No module named 'no_such'"),
        ("def config_packs(): return ['json.conf']", "ModuleNotFoundError: config_packs names json.conf, and there is"),
        ("def config_packs(): raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
    ],
)
def test_a_broken_package_is_named_in_one_line(installed, tmp_path, text, reason):
    mend = break_pack(installed, text)
    try:
        done = installed.run(tmp_path, "strategy=reward_mm", "exchange=paper")
        listed = installed.run(tmp_path, "plugins")
    finally:
        mend()
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"pmrun: pack broken=broken_pack: cannot be loaded: {reason}")
    assert line.endswith("; it came with broken-pack 2.0: update or uninstall that")
    assert (done.returncode, done.stdout, listed.returncode, listed.stderr) == (2, "", 2, done.stderr)
    assert list(tmp_path.iterdir()) == []
