"""What the account is doing already: orders that rest, trades that settle, and the dead-man switch."""

from pmrun.plugins.exchanges.common.doctor_findings import Finding, not_tried, ok, refused, warning
from pmrun.plugins.exchanges.polymarket.doctor_subject import Subject
from pmrun.plugins.exchanges.polymarket.life import SETTLEMENTS
from pmrun.plugins.exchanges.polymarket.start import LOOK_BACK
from pmrun.runner.market import Outcome
from pmrun.runner.units import SECOND, Micros

SETTLES_WITHIN = Micros(60 * SECOND)  # what a start waits for
ARMS = (
    "a heartbeat arms the dead-man switch: 10 s without another, and the exchange cancels every order of this API key"
)


async def orders(subject: Subject) -> list[Finding]:
    """List what rests."""
    resting = await subject.rest.open_orders()
    subject.resting = len(resting)
    if not resting:
        return [ok("open orders", "none")]
    ours = {market.token(outcome) for market in subject.markets for outcome in Outcome}
    elsewhere = sum(order.token not in ours for order in resting)
    seen = f"{len(resting)} rest already" + (f", {elsewhere} in markets that were not found" if elsewhere else "")
    if subject.held_by is not None:
        return [ok("open orders", f"{seen}: the engine's that holds the wallet")]
    cure = "a start cancels bids in its markets and takes over asks; pmrun stop exchange=live cancels now"
    return [warning("open orders", seen, cure)]


async def trades(subject: Subject) -> list[Finding]:
    """List trades that are not settled: a start waits a minute for them, then refuses."""
    now = subject.now()
    seen = await subject.rest.trades(Micros(now - LOOK_BACK))
    moving = [trade for trade in seen if not SETTLEMENTS[trade.status].final]
    if not moving:
        return [ok("trades", "all settled")]
    oldest = now - min(trade.matched_at for trade in moving)
    said = f"{len(moving)} not settled, the oldest for {oldest // SECOND} s"
    if oldest <= SETTLES_WITHIN or subject.held_by is not None:
        return [warning("trades", said, "wait: they settle within a minute as a rule, and a start waits as long")]
    return [refused("trades", said, "wait, and look at status.polymarket.com: a start refuses until they are settled")]


async def heartbeat(subject: Subject) -> list[Finding]:
    """Send one heartbeat where that was asked for and can cancel nothing (reference 3.6)."""
    if not subject.heartbeat:
        return [not_tried("heartbeat", f"{ARMS}; --heartbeat tries it")]
    if subject.held_by is not None:
        return [not_tried("heartbeat", "the engine that holds the wallet sends its own; a second one disturbs it")]
    if subject.resting is None:
        return [not_tried("heartbeat", "whether something rests is not known, and it would be cancelled")]
    if subject.resting:
        return [not_tried("heartbeat", f"{subject.resting} orders rest; {ARMS}")]
    await subject.rest.heartbeat()
    return [ok("heartbeat", "accepted; nothing rests that the exchange would cancel when no other follows")]
