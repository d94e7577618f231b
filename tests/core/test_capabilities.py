"""What an exchange lacks is refused at start, or replaced by what is stated (V5)."""

import re
from pathlib import Path

import pytest

from pmrun.plugins.exchanges.polymarket.capabilities import CAPABILITIES as POLYMARKET
from pmrun.plugins.exchanges.satori.terms import CAPABILITIES as SATORI
from pmrun.runner.assembly import plan
from pmrun.runner.capabilities import Capabilities, Capability, Lacking, needs_of, settle
from pmrun.runner.compose import compose_config
from pmrun.runner.errors import ConfigError

ROOT = Path(__file__).parents[2]


class Component:
    """A component that needs something."""

    def __init__(self, *needs: str) -> None:
        self.needs = frozenset(needs)


def test_an_exchange_that_has_it_all_needs_no_stand_in():
    assert settle(POLYMARKET, {"desk": tuple(Capability)}) == ()


def test_what_is_lacking_is_replaced_by_what_the_exchange_s_table_states():
    (found,) = settle(SATORI, {"pricing": [Capability.POST_ONLY]})
    assert found.capability is Capability.POST_ONLY
    assert str(found).startswith("pricing needs post_only, which satori lacks; instead: the price is checked")


def test_what_nothing_stands_in_for_is_refused_naming_component_capability_and_exchange():
    with pytest.raises(Lacking, match=r"^filters\.rewarded: needs rewards, which satori lacks, and nothing stands in$"):
        settle(SATORI, {"filters.rewarded": [Capability.REWARDS]})


def test_a_need_that_nobody_knows_is_a_mistake():
    with pytest.raises(ConfigError, match="pricing=teleport: needs a capability that is none"):
        needs_of({"pricing": Component("teleport")})


def test_an_adapter_may_lack_what_its_exchange_offers():
    table = Capabilities(exchange="some", has=frozenset(Capability)).without({Capability.MERGE: "pairs stay held"})
    assert [found.how for found in settle(table, {"desk": [Capability.MERGE]})] == ["pairs stay held"]


def test_a_feed_or_executor_of_another_exchange_than_the_rules_is_refused():
    with pytest.raises(ConfigError, match="feed=polymarket: is not of the exchange whose rules are chosen: satori"):
        plan(compose_config(["strategy=level_mm", "exchange=satori", "executor=paper", "feed=polymarket"]))
    with pytest.raises(ConfigError, match="executor=polymarket: is not of the exchange"):
        plan(compose_config(["strategy=level_mm", "exchange=satori", "executor=live"]))


def test_pairs_stay_held_where_the_exchange_merges_none():
    merging = ["strategy=level_mm", "desk.merge_from=10"]
    made = plan(compose_config([*merging, "exchange=satori", "executor=paper", "feed=sim"]))
    assert made.settings.merge_from == 0
    assert "desk.merge_from needs merge" in " ".join(map(str, made.substitutions))
    assert plan(compose_config([*merging, "exchange=paper"])).settings.merge_from > 0


def test_no_exchange_is_named_in_the_runner_or_in_a_strategy():
    for folder in ("runner", "strategies"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".yaml"):
                named = re.search("polymarket|satori", path.read_text(encoding="utf-8"), re.IGNORECASE)
                assert named is None, f"{path.relative_to(ROOT)}: {named}"
