"""A mistake costs one line before anything starts: the key's full path, the value, what is allowed (C4)."""

import pytest

from pmrun.runner.assembly import plan
from pmrun.runner.compose import compose_config
from pmrun.runner.errors import ConfigError

WHOLE = compose_config(["strategy=reward_mm", "+adjust@adjust.skew=inventory_skew"])  # all that can be set
TOP = f"known: {', '.join(sorted([*WHOLE, 'live']))}"  # live: of exchange=live
DESK = f"known: {', '.join(sorted(WHOLE['desk']))}"
CLIFF = "known: hysteresis, order, price_cliff_threshold"
CHECKS = "cliff, exposure, hedge_protection, position, protection_size, stale_book, two_sided, volatility"  # chosen
RISKS = (  # there are
    "cliff, daily_loss, drawdown, error_rate, event_loss, exit_cost, exposure, hedge_protection, on_drop, order_rate, "
    "position, protection_size, stale_book, two_sided, volatility"
)
FEEDS = "columns, polymarket, satori, sim, sim_no_edge, tape"
GROUPS = (
    "adjust, exchange, executor, feed, fill, filters, hedging, log, memory, pricing, ranking, refill, report, "
    "requote, rewards, risk, rules, sizing, store, strategy, tape"
)
STRATEGIES = (
    "complement_mm, level_mm, maker_follow, maker_follow_pct, maker_follow_small, queue_value_mm, "
    "reference_job, reservation_mm, reward_mm, reward_mm_small, spread_mm"
)
PRICINGS = "complement, maker_follow, nth_level, queue_value, reservation, reward_band, spread"
UNREADABLE = "cannot be read as KEY=VALUE; close brackets and quotes, and quote text with blanks or commas"
SEVERAL = "several values: add -m to run one job for each, or write a list as [1,2]"
PRICE = "risk.cliff.price_cliff_threshold"
ENV = "${oc.env:PMRUN_NOT_SET}"

MISTAKES = {
    # Unknown keys, with and without the + that would add them.
    "risk.cliff.treshold=0.02": f"risk.cliff.treshold=0.02: unknown setting; {CLIFF}",
    "+risk.cliff.treshold=0.02": f"risk.cliff.treshold=0.02: unknown setting; {CLIFF}",
    "++risk.cliff.treshold=0.02": f"risk.cliff.treshold=0.02: unknown setting; {CLIFF}",
    "sedd=3": f"sedd=3: unknown setting; {TOP}",
    "+sedd=3": f"sedd=3: unknown setting; {TOP}",
    "++sedd=3": f"sedd=3: unknown setting; {TOP}",
    "desk.speed=1": f"desk.speed=1: unknown setting; {DESK}",
    "desk.decide_every=1": f"desk.decide_every=1: unknown setting; {DESK}",  # its name before 0.2
    "rescan.every=60": "rescan.every=60: unknown setting; known: keep, update_interval_seconds",
    "+universe.markets=3": "universe.markets=3: unknown setting; known: max_markets",
    "+risk.cliff._partial_=true": f"risk.cliff._partial_=true: unknown setting; {CLIFF}",
    "hydra.nope=3": "hydra.nope=3: unknown setting of Hydra; see pmrun --cfg hydra",
    "pricing=maker_follow pricing.join=edge": "pricing.join=edge: unknown setting; known: none",
    # Groups and options.
    "pricing=nope": f"pricing=nope: no such option; pricing can be: {PRICINGS}",
    "exchange=nope": "exchange=nope: no such option; exchange can be: live, paper, satori",
    "+risk@risk.mine=nope": f"+risk@risk.mine=nope: no such option; risk can be: {RISKS}",
    "risk@risk.cliff=nope": f"risk@risk.cliff=nope: no such option; risk can be: {RISKS}",
    "hydra/launcher=nope": "hydra/launcher=nope: no such option; hydra/launcher can be: basic, joblib",
    "priceing=maker_follow": f"priceing=maker_follow: unknown setting; {TOP}",
    "+cheks@risk.mine=cliff": f"+cheks@risk.mine=cliff: no such group; groups: {GROUPS}",
    "risk=cliff": f"risk=cliff: needs a name of its own: +risk@risk.NAME=OPTION, with an option of {RISKS}",
    "risk@risk.mine=cliff": "risk@risk.mine=cliff: nothing there to replace; add it with +risk@risk.mine=cliff; "
    f"what is there: {', '.join('risk@risk.' + name for name in CHECKS.split(', '))}",
    "pricing=[reward_band,maker_follow]": f"pricing=[reward_band,maker_follow]: takes one option: {PRICINGS}",
    "+strategy=reward_mm": "+strategy=reward_mm: chooses filters@filters.accepting a second time; "
    "to replace what is chosen leave out the +",
    # What is dropped, or emptied.
    "~risk.nope": f"~risk.nope: nothing there to drop; risk has: {CHECKS}",
    "~pricing": f"pricing: missing; choose one with pricing=…: {PRICINGS}",
    "~feed": f"feed: missing; choose one with feed=…: {FEEDS}",
    "~pricing.max_spread": "~pricing.max_spread: is null already; there is nothing to drop",
    "risk.cliff=null": "risk.cliff=null: use ~risk.cliff to drop it",
    "filters.accepting=null": "filters.accepting=null: use ~filters.accepting to drop it",
    "pricing=null": f"pricing=null: must name an option: {PRICINGS}",
    "store=none": "report: reads the store, and there is none; choose store=… or report=none",
    "store=null": "store=null: must name an option: none, sqlite",
    "risk={}": "risk={}: merges nothing and clears nothing; drop parts with ~risk.NAME",
    "desk=null": "desk=null: must be a mapping",
    # Missing values.
    f"{PRICE}=???": f"{PRICE}: missing value",
    "feed=columns": "feed.path: missing value",
    "strategy=???": f"strategy: missing; choose one with strategy=…: {STRATEGIES}",
    "~strategy": f"strategy: missing; choose one with strategy=…: {STRATEGIES}",
    "strategy=null": f"strategy=null: must name an option: {STRATEGIES}",
    f"{PRICE}={ENV}": f"{PRICE}={ENV}: the environment variable is not set",
    f"{PRICE}=${{nope}}": f"{PRICE}=${{nope}}: Interpolation key 'nope' not found",
    # Wrong types.
    f"{PRICE}=wide": f"{PRICE}=wide: must be a number of dollars (price 'wide' is not a number)",
    f"{PRICE}=[0.1]": f"{PRICE}=[0.1]: must be a number of dollars",
    f"{PRICE}=true": f"{PRICE}=true: must be a number of dollars",
    f"{PRICE}={{a:1}}": f"{PRICE}={{a: 1}}: must be a number of dollars",
    f"{PRICE}=null": f"{PRICE}=null: must be a number of dollars",
    "risk.volatility.window=2.5": "risk.volatility.window=2.5: must be a whole number",
    "universe.max_markets=many": "universe.max_markets=many: must be a whole number",
    "refill.enabled=3": "refill.enabled=3: must be true or false",
    "seed=abc": "seed=abc: must be a whole number",
    "thesis=3": "thesis=3: must be text",
    "risk.cliff=3": "risk.cliff=3: not a component: it has no _target_",
    "+filters.mine.spread=3": "filters.mine={…}: not a component: it has no _target_",
    "fill.cancels=bheind": "fill.cancels=bheind: must be one of ahead, shared, behind",
    "pricing.join=sideways": "pricing.join=sideways: must be one of second_bid, edge",
    "log.console=LOUD": "log.console=LOUD: must be one of TRACE, DEBUG, INFO, WARNING, ERROR, OFF",
    # Impossible numbers.
    f"{PRICE}=nan": f"{PRICE}=nan: must be a finite number of dollars",
    f"{PRICE}=inf": f"{PRICE}=inf: must be a finite number of dollars",
    f"{PRICE}=-0.1": f"{PRICE}=-0.1: price_cliff_threshold must be above 0 and below 1 dollar",
    f"{PRICE}=1e99": f"{PRICE}=1e+99: must be a number of dollars (price '1E+99' is too large)",
    f"{PRICE}=": f'{PRICE}="": must be a number of dollars',
    f"{PRICE}=0.00001": f"{PRICE}=1e-05: must be a number of dollars (price '0.00001' is finer than 1/10,000)",
    "risk.volatility.volatility_threshold=nan": "risk.volatility.volatility_threshold=nan: must be a finite number",
    "risk.volatility.interval=1e99": "risk.volatility.interval=1e+99: is too large for a number of seconds",
    "executor.funds=-1": "executor.funds=-1: funds must be above 0 and below 100,000,000,000 dollars",
    "sizing=fixed sizing.shares=0": "sizing.shares=0: shares must be above 0, in hundredths of a share",
    "universe.max_markets=-1": "universe.max_markets=-1: max_markets must be 0 (no limit) or more",
    "desk.orderbook_update_interval_seconds=-1": "desk.orderbook_update_interval_seconds=-1: "
    "orderbook_update_interval_seconds must be 0 seconds or more",
    "desk.order_check_interval_seconds=0": "desk.order_check_interval_seconds=0: order_check_interval_seconds must be "
    "above 0 seconds",
    "rescan.update_interval_seconds=0.5": "rescan.update_interval_seconds=0.5: update_interval_seconds must be "
    "0 (never) or at least 1 second",
    "hedging.stop_loss_pct=10": "hedging.stop_loss_pct=10: stop_loss_pct must be above 0 and below 1, or null",
    "hedging.max_bid_gap=-0.01": "hedging.max_bid_gap=-0.01: max_bid_gap must be from 0 to below 1 dollar",
    "hedging.max_retries=0": "hedging.max_retries=0: max_retries must be 1 or more",
    "feed.length=59": "feed.length=59: length must be from 60 to 86,400 seconds",
    "seed=-1": "seed=-1: must be 0 or more",
    # Wrong units.
    f"{PRICE}=5": f"{PRICE}=5: price_cliff_threshold must be above 0 and below 1 dollar",
    "risk.volatility.interval=30s": "risk.volatility.interval=30s: must be a number of seconds "
    "(seconds '30s' is not a number)",
    "risk.exposure.max_exposure_per_market_usdc=$25": "risk.exposure.max_exposure_per_market_usdc=$25: must be a "
    "number of dollars (cash '$25' is not a number)",
    # What is live.
    "exchange=live live.armed=true": "executor.max_order_usd=null: max_order_usd must be set before live trading is "
    "armed: live.max_order_usd=DOLLARS",
    "exchange=live live.armed=true live.max_order_usd=5": "executor.max_resting_usd=null: max_resting_usd must be set "
    "before live trading is armed: live.max_resting_usd=DOLLARS",
    "exchange=live live.max_order_usd=0": "executor.max_order_usd=0: max_order_usd must be above 0 dollars",
    "exchange=live live.cap=3": "live.cap=3: unknown setting; known: armed, max_order_usd, max_resting_usd",
    "exchange=live executor.signature_type=4": "executor.signature_type=4: signature_type must be 0 (key), 1 (proxy), "
    "2 (Safe) or 3 (deposit wallet)",
    "exchange=live executor.heartbeat=9": "executor.heartbeat=9: heartbeat must be 8 seconds or less: after 10 the "
    "exchange cancels everything",
    "exchange=live executor.blind=0.5": "executor.blind=0.5: blind must be from 1 to 600 seconds",
    "feed=polymarket feed.clob_url=nope": "feed.clob_url=nope: clob_url must be an address such as https://host",
    "feed=polymarket feed.clob_url=http://example.com": "feed.clob_url=http://example.com: clob_url must be https://…: "
    "without encryption only on this machine",
    "feed=polymarket feed.socket_url=https://example.com": "feed.socket_url=https://example.com: socket_url must be "
    "an address such as wss://host",
    "feed=polymarket feed.top=0": "feed.top=0: top must be from 1 to 5,000",
    "feed=polymarket feed.assets_per_socket=1": "feed.assets_per_socket=1: assets_per_socket must be from 2 to 500",
    "feed=polymarket feed.quiet_after=0": "feed.quiet_after=0: quiet_after must be from 1 to 3,600 seconds",
    "feed=polymarket feed.stop_after=-1": "feed.stop_after=-1: stop_after must be 0 (until asked to) or up to "
    "31,622,400 seconds",
    "+risk@risk.day=daily_loss risk.day.max_loss=0": "risk.day.max_loss=0: max_loss must be above 0 and below "
    "1,000,000,000 dollars",
    "+risk@risk.rate=order_rate risk.rate.max_requests=0": "risk.rate.max_requests=0: max_requests must be 1 to "
    "1,000,000",
    # Components where they do not belong, and what is no component of ours.
    "+pricing@risk.two=maker_follow": "risk.two._target_=pmrun.plugins.pricing.maker_follow.MakerFollow: answers "
    "price, and so does pricing; there can be one",
    "+pricing@pricing.two=maker_follow": "pricing.two=pmrun.plugins.pricing.maker_follow.MakerFollow: a component "
    "inside a component; settings here: join, max_spread",
    "+feed@risk.mine=tape": "risk.mine._target_=pmrun.plugins.feeds.tape.Tape: nothing that the desk asks: "
    "it answers no hook",
    "sizing._target_=pmrun.plugins.filters.rewarded.Rewarded ~sizing.order_size_multiplier": "sizing._target_="
    "pmrun.plugins.filters.rewarded.Rewarded: cannot be the sizing: it does not answer size_order",
    "feed._target_=pmrun.plugins.risk.position.Position feed=tape ~feed.path": "feed._target_="
    "pmrun.plugins.risk.position.Position: cannot be the feed: it has no open",
    "pricing._target_=os.system": "pricing._target_=os.system: not from an installed pack; packs: "
    "pmrun.plugins, pmrun.runner.log",
    "+risk.mine._target_=subprocess.run": "risk.mine._target_=subprocess.run: not from an installed pack; packs: "
    "pmrun.plugins, pmrun.runner.log",
    "pricing._target_=pmrun.plugins.pricing.reward_band.Nope": "pricing._target_="
    "pmrun.plugins.pricing.reward_band.Nope: cannot be imported: module 'pmrun.plugins.pricing.reward_band' has no "
    "attribute 'Nope'",
    "pricing._target_=": 'pricing._target_="": not from an installed pack; packs: pmrun.plugins, pmrun.runner.log',
    "pricing._target_=3": "pricing._target_=3: must name a class",
    # What cannot be read.
    "pricing=[": f"pricing=[: {UNREADABLE} (no viable alternative at input '[')",
    f"{PRICE}=[0.1": f"{PRICE}=[0.1: {UNREADABLE} (no viable alternative at input '[0.1')",
    "=3": "=3: no key; an override is KEY=VALUE",
    "relpay": "relpay: neither a verb nor an override; an override is KEY=VALUE, or ~KEY to drop something "
    "(see pmrun --help)",
    "sizing.order_size_multiplier=1,2,3": f"sizing.order_size_multiplier=1,2,3: {SEVERAL}",
    "pricing=reward_band,maker_follow": f"pricing=reward_band,maker_follow: {SEVERAL}",
    "risk.exposure.max_exposure_per_market_usdc=25,000": "risk.exposure.max_exposure_per_market_usdc=25,000: "
    + SEVERAL,
    # Files, and what simulated markets have none of.
    "feed.path=tapes": "feed.path=tapes: unknown setting; known: jumps, length, markets, save_to, seed",
    "feed=tape feed.path=/no/such/tape": "feed.path=/no/such/tape: no such folder; a tape is a folder with "
    "markets.json and frames",
    "feed=tape feed.path=/dev": "feed.path=/dev: not a tape: frames.jsonl.gz or frames.jsonl is missing",
    "feed=tape feed.path=": 'feed.path="": path must name a tape folder',
    "feed=tape feed.path=3": "feed.path=3: must be text",
    "feed=tape feed.path=pkg://no_such_package/tape": "feed.path=pkg://no_such_package/tape: no package "
    "no_such_package is installed",
    "feed=columns feed.path=/no/such.npz": "feed.path=/no/such.npz: no such file; an .npz with columns "
    "ts, token, kind, side, px, qty",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_one_line_with_its_key_its_value_and_what_is_allowed(mistake, monkeypatch):
    monkeypatch.delenv("PMRUN_NOT_SET", raising=False)
    with pytest.raises(ConfigError) as told:
        plan(compose_config(["strategy=reward_mm", *mistake.split()]))
    assert str(told.value) == MISTAKES[mistake]
    assert told.value.exit_code == 2


def test_no_strategy_at_all_is_told_with_the_strategies_there_are():
    with pytest.raises(ConfigError, match=rf"^strategy: missing; choose one with strategy=…: {STRATEGIES}$"):
        compose_config([])
