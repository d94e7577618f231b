"""What each of the exchange's numbers means for us, and whether it proves that nothing was taken (V3).

The sentences beside them are for people and change with their language: nobody branches on them.
"""

from enum import StrEnum
from typing import Final

import msgspec


class Reaction(StrEnum):
    """What to do about a refusal."""

    FUNDS = "FUNDS"  # 3001: pause, and look at the balance
    REGRID = "REGRID"  # 5002: the market's prices are not what we think: fetch its terms
    BUG = "BUG"  # 5004: we speak wrongly: halt
    NOT_TRADING = "NOT_TRADING"  # 5007: stop quoting; what rests is kept or cancelled, as the owner wants
    HOLDINGS = "HOLDINGS"  # 5008: we hold less than we think: reconcile
    TWO_FACTOR = "TWO_FACTOR"  # 2025: halt, and say the cure
    SCOPE = "SCOPE"  # 2030: the token may not do this: halt, and say the cure
    RENEW = "RENEW"  # 2002: the token ran out: refresh once
    ACCOUNT = "ACCOUNT"  # 401 and 403 otherwise: the account is refused: halt
    LOG_IN = "LOG_IN"  # 2001: the token is none: log in once, else halt
    RETRY_LATER = "RETRY_LATER"  # 1029: nothing is wrong with the request: wait
    NOT_FOUND = "NOT_FOUND"  # 5001: it knows no such order
    HALT_MARKET = "HALT_MARKET"  # stop quoting this market until it is understood
    LOOK_UP = "LOOK_UP"  # may have been taken: look it up


class Ruling(msgspec.Struct, frozen=True):
    """A reaction; `proven` when the request was certainly not carried out; `cure` is for a person."""

    reaction: Reaction
    proven: bool
    cure: str = ""


BY_CODE: Final = {
    1029: Ruling(Reaction.RETRY_LATER, True),  # assumed
    2001: Ruling(
        Reaction.LOG_IN, True, "set SATORI_TOKEN to a token that is valid, or SATORI_EMAIL and SATORI_PASSWORD"
    ),
    2002: Ruling(Reaction.RENEW, True, "make a new token, or set SATORI_EMAIL and SATORI_PASSWORD"),
    2025: Ruling(Reaction.TWO_FACTOR, True, "turn two-factor authentication on in the account's security settings"),
    2030: Ruling(Reaction.SCOPE, True, "make a personal access token with the scopes read and trade"),  # assumed
    3001: Ruling(Reaction.FUNDS, True),
    4004: Ruling(Reaction.HALT_MARKET, True),  # assumed
    5001: Ruling(Reaction.NOT_FOUND, True),  # assumed
    5002: Ruling(Reaction.REGRID, True),
    5003: Ruling(Reaction.REGRID, True),  # assumed: the quantity
    5004: Ruling(Reaction.BUG, True, "this is a mistake of pmrun's: trade nothing and report it"),
    5007: Ruling(Reaction.NOT_TRADING, True),
    5008: Ruling(Reaction.HOLDINGS, True),
    50000: Ruling(Reaction.LOOK_UP, False),
}
HALTS: Final = frozenset(
    {Reaction.BUG, Reaction.TWO_FACTOR, Reaction.SCOPE, Reaction.RENEW, Reaction.LOG_IN, Reaction.ACCOUNT}
)


def rule(status: int, code: int | None) -> Ruling:
    """Judge a refusal by its number, else by its status.

    Fails closed: a number that we do not know proves nothing, so the order has to be looked up; on a 4xx, where we
    were told something about this very request, its market is halted besides.
    """
    known = BY_CODE.get(code) if code is not None else None
    if known is not None:
        return known
    if status in (401, 403):  # these never reach the matching
        return Ruling(Reaction.ACCOUNT, True, "look at the account at the exchange: pmrun doctor exchange=satori")
    if code is None and status == 429:  # from in front of the exchange, without its envelope
        return Ruling(Reaction.RETRY_LATER, True)
    return Ruling(Reaction.HALT_MARKET if 200 <= status < 500 else Reaction.LOOK_UP, False)
