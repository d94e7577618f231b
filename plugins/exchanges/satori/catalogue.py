"""Which markets a run watches: the most traded that are open, or those that are named (C1)."""

from collections.abc import Sequence

import msgspec

from pmrun.plugins.exchanges.satori.rest import Rest
from pmrun.plugins.exchanges.satori.wire_markets import Listed
from pmrun.runner.errors import ConfigError, DataError
from pmrun.runner.facts import MarketStatus

MOST_PAGES = 20
LISTED = ("open", "halted")  # a market that is halted now may trade in a minute


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Which markets are wanted."""

    top: int = 20
    slugs: tuple[str, ...] = ()
    condition_ids: tuple[str, ...] = ()


async def find_markets(rest: Rest, choice: Choice) -> list[Listed]:
    """Return the markets that are wanted; raises DataError where there is none, ConfigError for a name unknown."""
    listed = [market for status in LISTED for market in await _all(rest, status)]
    wanted = {*choice.slugs, *choice.condition_ids}
    if wanted:
        found = [each for each in listed if _names(each) & wanted]
        missing = wanted - {name for each in found for name in _names(each)}
        if missing:
            raise ConfigError(
                "feed", ", ".join(sorted(missing)), "not among the markets that the exchange lists as open"
            )
        return found
    trading = [each for each in listed if each.status is MarketStatus.TRADING]
    if not trading:
        raise DataError("no market is open at the exchange")
    trading.sort(key=lambda each: (-(each.market.volume_24h or 0), each.market.condition))
    return trading[: choice.top]


async def _all(rest: Rest, status: str) -> Sequence[Listed]:
    found: dict[str, Listed] = {}
    for page in range(1, MOST_PAGES + 1):
        rows, total = await rest.markets(status, page)
        found |= {each.market.condition: each for each in rows}
        if len(found) >= total or not rows:
            break
    return list(found.values())


def _names(listed: Listed) -> set[str]:
    return {listed.market.slug, str(listed.market.condition)}
