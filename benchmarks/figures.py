"""The figures in README.md, docs/01 and docs/07: run what they show, and put what it prints in its place.

    python benchmarks/figures.py

A block ```text under the command it belongs to is replaced; tests/docs holds the README's to a run of its own.
"""

import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PMRUN = Path(sys.executable).parent / "pmrun"


def said(place: Path, command: str) -> list[str]:
    """Run a command in a folder; return the lines it printed, without those that name directories."""
    done = subprocess.run(
        [PMRUN, *shlex.split(command)[1:]], cwd=place, capture_output=True, text=True, check=True, timeout=600
    )
    return [line for line in done.stdout.splitlines() if not line.startswith(("directory:", "table:"))]


def replace(page: str, begins: str, lines: list[str]) -> None:
    """Put lines in place of the text block that begins with a word."""
    path = ROOT / page
    text, found = re.subn(
        rf"(?<=```text\n){re.escape(begins)}.*?(?=```\n)",
        lambda _: "\n".join(lines) + "\n",
        path.read_text(encoding="utf-8"),
        flags=re.S,
    )
    assert found == 1, f"{page}: {found} blocks begin with {begins!r}"
    path.write_text(text, encoding="utf-8")
    print(f"{page}:", *lines, sep="\n  ")


def main() -> None:
    """Run the first command, its replay, and the sweep."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (first,) = re.findall(r"<!-- ci: first -->\n```bash\n.*\.venv/bin/(pmrun .*)\n", readme)
    sweeps = (ROOT / "docs" / "07-sweeps.md").read_text(encoding="utf-8")
    (sweep,) = re.findall(r"^(pmrun -m .*sizing\.order_size_multiplier=1,2,3.*)$", sweeps, flags=re.M)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        quiet = "store=none report=none log.console=OFF"
        replace("README.md", "strategy:", said(place, f"{first} {quiet} hydra.run.dir=first"))
        replace("docs/01-first-run.md", "verified:", said(place, "pmrun replay first --verify"))
        replace("docs/07-sweeps.md", "job ", said(place, f"{sweep} {quiet}"))


if __name__ == "__main__":
    main()
