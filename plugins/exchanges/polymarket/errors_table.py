"""What each of the exchange's sentences means for us, and whether it proves that nothing was taken (reference 3.9)."""

import re
from enum import StrEnum

import msgspec


class Reaction(StrEnum):
    """What to do about a refusal."""

    RETRY_LATER = "RETRY_LATER"  # nothing is wrong with the request: the same one may be sent again after a while
    REGRID = "REGRID"  # the market's tick or smallest size is not what we think: fetch its terms
    REPRICE = "REPRICE"  # it would have crossed
    FUNDS = "FUNDS"  # balance or allowance is not what we think: fetch them
    STOP_OPENING = "STOP_OPENING"  # only closing is allowed
    POST_ONLY = "POST_ONLY"  # for a while only post-only orders are taken
    CANCEL_ONLY = "CANCEL_ONLY"  # for a while only cancels are taken
    RESIGN = "RESIGN"  # this signed order is dead: sign another one
    UNMATCHED = "UNMATCHED"  # a FOK or FAK order found nothing to match with
    DUPLICATE = "DUPLICATE"  # the exchange knows this order already: look it up
    LOOK_UP = "LOOK_UP"  # may have been taken: look it up
    NOT_FOUND = "NOT_FOUND"  # it knows no such order
    HALT_MARKET = "HALT_MARKET"  # stop quoting this market until it is understood
    HALT = "HALT"  # stop quoting: credentials, wallet or place are refused, or we speak wrongly


class Ruling(msgspec.Struct, frozen=True):
    """A reaction; `proven` when the request was certainly not carried out."""

    reaction: Reaction
    proven: bool


_PROVEN = (
    (r"orders? timed out", Reaction.RETRY_LATER),  # 500, documented as never having reached the book
    (r"order_version_mismatch|invalid order version", Reaction.RESIGN),
    (r"order (owner|signer address) has to be", Reaction.HALT),
    (r"maker address not allowed", Reaction.HALT),
    (r"address in closed only mode", Reaction.STOP_OPENING),
    (r"address banned", Reaction.HALT),
    (r"breaks minimum tick size rule", Reaction.REGRID),
    (r"size .*lower than the minimum", Reaction.REGRID),
    (r"post-only mode", Reaction.POST_ONLY),
    (r"post-only order: order crosses book|crosses the book", Reaction.REPRICE),
    (r"invalid post-only order", Reaction.HALT),
    (r"invalid amount for a marketable", Reaction.REGRID),
    (r"not enough balance|allowance is not enough", Reaction.FUNDS),
    (r"invalid (nonce|expiration)", Reaction.RESIGN),
    (r"order couldn't be fully filled", Reaction.UNMATCHED),
    (r"no orders found to match with fak order", Reaction.UNMATCHED),
    (r"market is not yet ready", Reaction.RETRY_LATER),
    (r"order canceled in the ctf exchange contract", Reaction.RESIGN),
    (r"too many orders in payload|payload exceeds the limit", Reaction.HALT),
    (r"invalid (order ?payload|order params payload|trade params payload|asset type)", Reaction.HALT),
    (r"invalid (side|signature)", Reaction.HALT),
    (r"invalid (orderid|token id)", Reaction.HALT_MARKET),
    (r"no orderbook exists|market not found", Reaction.HALT_MARKET),
    (r"order not found", Reaction.NOT_FOUND),
    (r"invalid api key|unauthorized|invalid l1 request headers", Reaction.HALT),
    (r"trading is currently cancel-only", Reaction.CANCEL_ONLY),
    (r"trading is currently disabled", Reaction.RETRY_LATER),
    (r"too many requests", Reaction.RETRY_LATER),
)
_UNPROVEN = (
    (r"is invalid\. duplicated", Reaction.DUPLICATE),
    (r"order match delayed", Reaction.LOOK_UP),
    # The server turns it into a 400 (reference 3.9), which proves nothing about the order.
    (r"context canceled", Reaction.LOOK_UP),
    (r"could not insert order|rounding issues|there are no matching orders", Reaction.LOOK_UP),
    (r"discrepancy greater than allowed|internal server error", Reaction.LOOK_UP),
)
_TABLE = tuple(
    (re.compile(pattern), Ruling(reaction, proven))
    for rows, proven in ((_UNPROVEN, False), (_PROVEN, True))
    for pattern, reaction in rows
)
# These never reach the engine, whatever the text (a proxy in front of it may send a page of HTML).
_BY_STATUS = {
    401: Ruling(Reaction.HALT, True),
    403: Ruling(Reaction.HALT, True),
    425: Ruling(Reaction.RETRY_LATER, True),
    429: Ruling(Reaction.RETRY_LATER, True),
}


def rule(status: int, message: str) -> Ruling:
    """Judge a refusal by its sentence, else by its status.

    Fails closed: a sentence that we do not know proves nothing, so the order has to be looked up; on a 4xx, where
    we were told something about this very request, its market is halted besides. (200: a leg of a batch.)
    """
    text = message.lower()
    for pattern, ruling in _TABLE:
        if pattern.search(text):
            return ruling
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return Ruling(Reaction.HALT_MARKET if status == 200 or 400 <= status < 500 else Reaction.LOOK_UP, False)
