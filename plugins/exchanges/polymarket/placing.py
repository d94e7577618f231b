"""From the answer to one or several orders to what is proven of each (O7; reference 3.1, 3.2, 3.9)."""

from collections.abc import Sequence

import msgspec

from pmrun.plugins.exchanges.common.texts import as_text, one_line
from pmrun.plugins.exchanges.polymarket.errors_table import Reaction, rule
from pmrun.plugins.exchanges.polymarket.outcomes import Lost, Rejected
from pmrun.plugins.exchanges.polymarket.signing import SignedOrder, TimeInForce
from pmrun.plugins.exchanges.polymarket.transport import Answer, Unanswered
from pmrun.plugins.exchanges.polymarket.wire_orders import OrderAnswer, Verdict, parse_order_answer, parse_order_answers
from pmrun.runner.errors import ProtocolViolation

MOST_ORDERS = 15  # of one call (reference 3.2)

Placing = OrderAnswer | Rejected | Lost


Submission = tuple[SignedOrder, bool]  # an order, and whether it is post-only


def order_body(submission: Submission, owner: str) -> dict[str, object]:
    """Return one order as it is sent (reference 3.1); ValueError for a post-only order that has to take."""
    signed, post_only = submission
    how = signed.time_in_force
    if post_only and how in (TimeInForce.FOK, TimeInForce.FAK):
        raise ValueError(f"a {how} order cannot be post-only")
    return {
        "deferExec": False,
        "order": signed.order,
        "orderType": how.value,
        "owner": owner,
        "postOnly": post_only,
    }


def placings(submissions: Sequence[Submission], result: Answer | Unanswered) -> list[Placing]:
    """Say of each order what the answer to the call proves, in the order they were sent."""
    if isinstance(result, Unanswered) or not result.fine:
        return [refused(result)] * len(submissions)
    try:
        answers = parse_order_answers(result.body) if len(submissions) > 1 else (parse_order_answer(result.body),)
    except ProtocolViolation as violation:
        why, said = one_line(str(violation)), as_text(result.body)
        return [Lost(why=why, reaction=Reaction.HALT_MARKET, status=result.status, said=said)] * len(submissions)
    ids = [signed.order_id for signed, _ in submissions]
    return [_leg(order_id, answer) for order_id, answer in zip(ids, _matched(ids, answers), strict=True)]


def refused(result: Answer | Unanswered) -> Rejected | Lost:
    """Judge a call that was not carried out, or may not have been."""
    if isinstance(result, Unanswered):
        if result.sent:
            return Lost(why=result.why)
        return Rejected(reason=result.why, reaction=Reaction.RETRY_LATER)
    refusal = result.refusal
    reason = one_line(refusal.message) or f"status {result.status} without a reason"
    ruling, said = rule(result.status, reason), as_text(result.body)
    if ruling.proven:
        wait = refusal.retry_after
        return Rejected(reason=reason, reaction=ruling.reaction, status=result.status, retry_after=wait, said=said)
    return Lost(why=reason, reaction=ruling.reaction, status=result.status, said=said)


def _matched(ids: Sequence[str], answers: Sequence[OrderAnswer]) -> list[OrderAnswer | None]:
    """Find the answer to each order: by position, unless ids or their number say that the positions are off."""
    if len(answers) == len(ids) and all(
        answer.order_id is None or answer.order_id.lower() not in ids or answer.order_id.lower() == order_id
        for order_id, answer in zip(ids, answers, strict=True)
    ):
        return list(answers)
    by_id = {answer.order_id.lower(): answer for answer in answers if answer.order_id is not None}
    return [by_id.get(order_id) for order_id in ids]


def _leg(order_id: str, answer: OrderAnswer | None) -> Placing:
    if answer is None:
        return Lost(why="the answer to a batch does not name this order")
    if answer.order_id is not None and answer.order_id.lower() != order_id:
        # Then nothing that we compute can be looked up: whatever rests is not known by our name for it.
        why = f"the exchange calls the order {one_line(answer.order_id)}, we computed {order_id}"
        return Lost(why=why, reaction=Reaction.HALT, status=200, said=answer.said)
    if answer.verdict is not Verdict.REJECTED:
        return answer if answer.order_id is None else msgspec.structs.replace(answer, order_id=order_id)
    ruling = rule(200, answer.reason)
    reason = one_line(answer.reason)
    if ruling.proven:
        return Rejected(reason=reason, reaction=ruling.reaction, status=200, said=answer.said)
    return Lost(why=reason, reaction=ruling.reaction, status=200, said=answer.said)
