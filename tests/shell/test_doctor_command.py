"""`pmrun doctor` as a user runs it, against an embedded exchange on real sockets."""

import json

CANARY = "c4" * 32
KEY = {"POLYMARKET_PRIVATE_KEY": f"0x{CANARY}"}


def test_the_doctor_says_whether_an_account_could_trade_and_shows_no_secret(started, pmrun_says, tmp_path):
    exchange = started("exchange", "feed.markets=4", "feed.length=60", "--loop", "--json")
    where = json.loads(exchange.stdout.readline())
    state = tmp_path / "state"
    live = [
        "exchange=live",
        *(f"feed.{name}_url={where['clob']}" for name in ("clob", "gamma", "data", "geoblock")),
        f"feed.socket_url={where['ws_market'].removesuffix('/ws/market')}",
        f"executor.account_folder={state}",
    ]

    healthy = pmrun_says("doctor", *live, "--heartbeat", env=KEY)
    assert (healthy.code, healthy.err) == (0, "")
    assert CANARY not in healthy.out
    head, *checks, verdict = healthy.out.splitlines()
    assert head == f"simulated exchange at {where['clob']}"
    assert verdict == "could trade: nothing failed, 1 warning"
    assert [line.split("  ")[0] for line in checks].count("ok") == len(checks) - 1
    assert any(line.startswith("warning") and "live.armed is false: a run is a dry run" in line for line in checks)
    assert not state.exists()
