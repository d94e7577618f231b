"""The reference job, as a pmrun composition, beside pm-hftbacktest, in one run.

    python benchmarks/reference_job.py [--events 1000000] [--runs 3] [--compiled] [--peer PYTHON] [--bench FOLDER]

The job: 20 tokens, a decision every 500 ms, a quote at the second level of each side, no latency, no fees. pmrun runs
it as any strategy is run: composed from YAML (`strategy=reference_job`), through Desk.handle, with the journal on.
`--compiled` measures the sources compiled as well, build by build in turn: it installs them with PMRUN_COMPILE=1 below
`--folder`, once for each state of the sources, and leaves the environment as it is.
`--bench` holds tape.py, which makes the tape, and peer_hft.py; `--peer` is the interpreter of a virtual environment
with pm-hftbacktest (without it, pmrun is measured alone). Compare ratios, not absolutes: machines differ, and drift.
"""

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve()
SOURCES = ("runner", "plugins", "conf", "strategies")
EXPECTED = {1_000_000: (781, 651.00), 10_000_000: (8_168, -1_476.00)}


def worker(tape: Path) -> None:
    """Run the job once in this process and print one JSON line; compiling and loading are not counted."""
    from pmrun.plugins.executors import kernel
    from pmrun.runner.assembly import plan
    from pmrun.runner.compiled import compiled
    from pmrun.runner.compose import compose_config
    from pmrun.runner.journal_writer import JournalWriter
    from pmrun.runner.review import rare_collections
    from pmrun.runner.simulate import Simulation
    from pmrun.runner.summary import Tally

    overrides = ["strategy=reference_job", "exchange=paper", f"feed.path={tape}"]
    config = compose_config(overrides)
    made = plan(config)
    started = time.perf_counter()
    data = made.feed.open()
    loaded = time.perf_counter() - started
    kernel.warm_up()
    desk = made.desk("pmrun")
    exchange = made.executor.open(data, made.fill, desk.hooks.depth, False)
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder, rare_collections():
        journal = JournalWriter(Path(folder), config)
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in Simulation(desk, exchange, [tally, journal], "the feed ended").run():
            pass
        journal.close()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    result = {
        "events": data.info.frames,
        "compiled": compiled(),
        "load_s": loaded,
        "run_s": wall,
        "cpu_s": cpu,
        "fills": tally.fills,
        "pnl": round((desk.equity() - tally.funds) / 1_000_000, 2),
        "facts": tally.facts,
        "orders": tally.placed,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print("RESULT " + json.dumps(result))


def result_of(command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> dict:
    """Run a command that prints a RESULT line; its output is shown when it fails."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line.removeprefix("RESULT "))
    raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def make_tape(bench: Path, events: int, folder: Path) -> Path:
    """Make the tape unless it is there."""
    tape = folder / "tape" / f"tape_20x{events}.npz"
    if not tape.is_file():
        subprocess.run(
            [sys.executable, str(bench / "tape.py"), "--events", str(events), "--no-jsonl", "--out", str(tape.parent)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return tape


def compiled_build(folder: Path) -> Path:
    """Compile the sources and install them below a folder, unless they are there as they stand now."""
    root = HERE.parents[1]
    kept = [path for name in SOURCES for path in (root / name).rglob("*") if path.suffix in (".py", ".yaml")]
    kept += [root / name for name in ("setup.py", "pyproject.toml", "__init__.py")]
    digest = hashlib.sha256()
    for path in sorted(kept):
        digest.update(b"%s %d\n" % (str(path.relative_to(root)).encode(), path.stat().st_size) + path.read_bytes())
    target = folder / f"compiled-{digest.hexdigest()[:16]}"
    if not target.is_dir():
        print("compiling, which takes some minutes", flush=True)
        with tempfile.TemporaryDirectory(dir=folder) as work:
            no_builds = shutil.ignore_patterns(".*", "build", "outputs", "__pycache__", "*.so", "*.egg-info")
            tree = shutil.copytree(root, Path(work) / "pmrun", ignore=no_builds)
            made = Path(work) / "installed"
            install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(made), str(tree)]
            subprocess.run(install, env={**os.environ, "PMRUN_COMPILE": "1"}, check=True)
            made.rename(target)
    return target


def main() -> None:
    """Measure both and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--bench", type=Path, default=HERE.parents[1].parent / "shared" / "bench")
    parser.add_argument("--compiled", action="store_true", help="measure the sources compiled as well")
    parser.add_argument("--peer", help="interpreter of a virtual environment with pm-hftbacktest")
    parser.add_argument(
        "--folder", type=Path, default=Path(os.environ.get("PERF", tempfile.gettempdir() + "/pmrun-bench"))
    )
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        worker(given.worker)
        return
    if not (given.bench / "tape.py").is_file():
        raise SystemExit(f"{given.bench}: no tape.py there; name the folder of the reference job with --bench")
    tape = make_tape(given.bench, given.events, given.folder)
    builds: list[dict[str, str] | None] = [None]
    if given.compiled:
        builds.append({**os.environ, "PYTHONPATH": str(compiled_build(given.folder)), "PYTHONDONTWRITEBYTECODE": "1"})
    job = [sys.executable, str(HERE), "--worker", str(tape)]
    turns = [[result_of(job, env=env) for env in builds] for _ in range(given.runs)]
    rows = []
    for ours in zip(*turns, strict=True):
        middle = sorted(ours, key=lambda each: each["run_s"])[len(ours) // 2]
        rows.append(("pmrun, compiled" if middle["compiled"] else "pmrun", middle))
    if given.peer:
        os.environ["PERF"] = str(given.folder)
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        arguments = ["--events", str(given.events), "--mode", "multi", "--runs", str(given.runs), "--poly"]
        rows.append(("pm-hftbacktest", result_of([given.peer, "peer_hft.py", *arguments], cwd=given.bench)))
    print(f"{'engine':<16}{'events/s':>12}{'run s':>9}{'cpu s':>9}{'peak MB':>9}{'fills':>8}{'pnl':>12}")
    for name, row in rows:
        rate, cpu = row["events"] / row["run_s"], f"{row['cpu_s']:.2f}" if "cpu_s" in row else ""
        print(
            f"{name:<16}{rate:>12,.0f}{row['run_s']:>9.2f}{cpu:>9}{row['peak_rss_mb']:>9.0f}{row['fills']:>8}"
            f"{row['pnl']:>12,.2f}"
        )
    if given.peer:
        *mine, (_, peer) = rows
        for name, row in mine:
            ratio = row["events"] / row["run_s"] / (peer["events"] / peer["run_s"])
            print(f"ratio {name} / pm-hftbacktest: {ratio:.3f}")
    expected = EXPECTED.get(given.events)
    if expected and any((row["fills"], row["pnl"]) != expected for _, row in rows):
        raise SystemExit(f"expected {expected[0]} fills and a pnl of {expected[1]}")


if __name__ == "__main__":
    main()
