"""stand-in"""
from typing import NamedTuple
class Choice(NamedTuple):
    top: int
    slugs: tuple
    condition_ids: tuple
    rewarded_only: bool
async def find_markets(rest, choice, now):
    return (await rest.gamma_markets({"closed":"false"})).markets[:choice.top]
