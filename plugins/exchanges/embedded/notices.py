"""Frames on their way, and whom they are for."""

import msgspec

from pmrun.runner.market import ConditionId, TokenId
from pmrun.runner.units import (
    Micros,
)


class MarketNotice(msgspec.Struct, frozen=True):
    """A frame for whoever is subscribed to one of these tokens; `custom`: only with the custom features on."""

    at: Micros
    tokens: tuple[TokenId, ...]  # none: for everybody
    text: str
    custom: bool = False


class UserNotice(msgspec.Struct, frozen=True):
    """A frame for the owner of an API key who listens to this market."""

    at: Micros
    api_key: str
    condition: ConditionId
    text: str


Notice = MarketNotice | UserNotice
