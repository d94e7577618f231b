"""The other official client trades on the embedded exchange; it cannot live beside ours, so it gets its own place."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from live_peers import Wallet, venue

CLIENT = "polymarket-client==0.14.0"
SCRIPT = Path(__file__).with_name("foreign_client.py")
WANTED = os.environ.get("PMRUN_FOREIGN") == "1"
pytestmark = pytest.mark.skipif(not WANTED, reason=f"PMRUN_FOREIGN=1 installs {CLIENT} into an environment of its own")


@pytest.fixture(scope="module")
def its_python(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("foreign") / "venv"
    venv.create(place, with_pip=True)
    python = place / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", CLIENT], check=True, timeout=300)
    return python


def test_the_unmodified_sdk_trades_on_the_embedded_exchange(its_python, tmp_path):
    assert sys.executable != str(its_python)
    with venue(tmp_path / "exchange") as exchange:
        said = subprocess.run(
            [its_python, SCRIPT, exchange.url, Wallet().key],
            capture_output=True, text=True, timeout=120, check=False, env={"PATH": os.environ["PATH"]},
        )  # fmt: skip
    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout)
    assert found["listed"] == found["placed"]
    assert len(found["placed"]) == 2 * found["markets"] == 12
    assert found["status"] == "LIVE"
    assert found["crossing"] == "invalid post-only order: order crosses book"
    assert found["stale heartbeat"] == "Invalid Heartbeat ID"
    assert (found["taken"], found["settled"], found["positions"]) == ("matched", 1, 1)
    assert found["shares"] > 0
    assert found["rewarded"] == found["markets"]
    assert found["cancelled one"]
    assert (found["cancelled all"], found["left"]) == (11, 0)
    wanted = {"market book", "market price_change"}
    wanted |= {f"user order {status}" for status in ("LIVE", "MATCHED", "CANCELED")}
    wanted |= {f"user trade {status}" for status in ("MATCHED", "MINED", "CONFIRMED")}
    assert wanted <= set(found["heard"])
