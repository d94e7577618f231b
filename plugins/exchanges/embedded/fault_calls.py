"""Faults of REST calls that never get the engine's own answer: errors, modes, requests and answers that are lost."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

import msgspec
from msgspec.structs import replace

from pmrun.plugins.exchanges.embedded.fault_drift import json_of
from pmrun.plugins.exchanges.embedded.fault_terms import Fault, Where, window
from pmrun.plugins.exchanges.embedded.fault_timing import Behaviour, Trigger, Visit
from pmrun.plugins.exchanges.embedded.terms import Reply, Request
from pmrun.runner.units import SECOND, Micros

Calls = tuple[tuple[str, str], ...]  # method and path

PLACES: Calls = (("POST", "/order"), ("POST", "/orders"), ("POST", "/api/v1/orders"))
CANCELS: Calls = (
    ("DELETE", "/order"),
    ("DELETE", "/orders"),
    ("DELETE", "/cancel-all"),
    ("DELETE", "/cancel-market-orders"),
    ("POST", "/api/v1/orders/*/cancel"),
)
ORDER_CALLS = PLACES + CANCELS
HEARTBEAT: Calls = (("POST", "/v1/heartbeats"),)

JSON = {"content-type": "application/json"}
LOST = Reply(status=504, lost=True)
HTML = (
    b"<html>\r\n<head><title>%d %s</title></head>\r\n<body><center><h1>simulated fault</h1></center></body>\r\n</html>"
)
PHRASES = {"502": b"Bad Gateway", "504": b"Gateway Time-out"}
# Reference 3.9: after these nobody knows whether the order was taken.
AMBIGUOUS = (
    "could not insert order",
    "the trade contains rounding issues",
    "there are no matching orders",
    "the price of the taker's order has a discrepancy greater than allowed with the worst maker order",
    "Internal server error",
)
NEVER_REACHED = "order timed out"  # reference 3.9: documented as safe to resubmit
LEG_SENTENCES = (
    "not enough balance / allowance",
    "invalid post-only order: order crosses book",
    "order match delayed due to market conditions",
    "could not insert order",
)
POST_ONLY_MODE = "post-only mode: only post-only orders and cancels are allowed"
CANCEL_ONLY_MODE = "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed."
DISABLED = "Trading is currently disabled. Check polymarket.com for updates"
RESTARTING = "the matching engine is restarting"


def reaches(where: Where, call: Request) -> bool:
    """Tell whether a call is nowhere out of a fault's aim."""
    if where.frames_only or where.method not in (None, call.method):
        return False
    return where.path is None or fnmatchcase(call.path, where.path)


def aims_at(where: Where, call: Request, usual: Calls) -> bool:
    """Tell whether a call is in a fault's aim; without a path it aims at its usual calls."""
    if not reaches(where, call) or where.path is not None:
        return reaches(where, call)
    return any(call.method == method and fnmatchcase(call.path, path) for method, path in usual)


def refusal(status: int, sentence: str, *, code: str | None = None, wait: int = 0) -> Reply:
    """Return an error as the exchange sends it; `wait` is in microseconds, 0 leaves Retry-After out (reference 3.9)."""
    body: dict[str, str | int] = {"error": sentence}
    headers = dict(JSON)
    if wait > 0:
        headers["retry-after"] = str(-(-wait // SECOND))
    if code is not None:
        body |= {"code": code, "retry_after_seconds": -(-wait // SECOND)}
    return Reply(status=status, body=msgspec.json.encode(body), headers=headers)


class ServerError(Behaviour):
    """A 500 with an ambiguous sentence, or a gateway's HTML; the engine may have done it all the same."""

    def before(self, call: Request, at: Micros, visit: Visit) -> Reply | None:
        """Answer at once, or after the engine did what was asked."""
        if not aims_at(self.where, call, ORDER_CALLS) or not self.trigger.bites(at):
            return None
        reached = self.fault.text("reached") == "always"
        if self.fault.text("reached") == "either":
            reached = self.random.random() < 0.5
        reply = self._reply(call, reached)
        if not reached:
            return reply
        visit.instead = reply
        return None

    def _reply(self, call: Request, reached: bool) -> Reply:
        status = self.fault.text("status") or "500"
        if status in PHRASES:
            body = HTML % (int(status), PHRASES[status])
            return Reply(status=int(status), body=body, headers={"content-type": "text/html"})
        return refusal(500, self.fault.text("sentence") or self._sentence(call, reached))

    def _sentence(self, call: Request, reached: bool) -> str:
        if (call.method, call.path) not in PLACES:
            return "Internal server error"
        return self.random.choice(AMBIGUOUS if reached else (*AMBIGUOUS, NEVER_REACHED))


class RateLimited(Behaviour):
    """429 with Retry-After."""

    def before(self, call: Request, at: Micros, visit: Visit) -> Reply | None:
        """Refuse the call."""
        if not aims_at(self.where, call, ORDER_CALLS) or not self.trigger.bites(at):
            return None
        return refusal(429, "Too Many Requests", wait=self.fault.number("retry_after"))


class LostBefore(Behaviour):
    """The request never arrives."""

    def before(self, call: Request, at: Micros, visit: Visit) -> Reply | None:
        """Lose it."""
        return LOST if aims_at(self.where, call, ORDER_CALLS) and self.trigger.bites(at) else None


class LostAfterAccept(Behaviour):
    """The engine does what was asked, and the answer never comes."""

    def after(self, call: Request, reply: Reply, at: Micros) -> Reply:
        """Lose the answer to a call that did something."""
        if not aims_at(self.where, call, ORDER_CALLS) or not _did_something(call, reply) or not self.trigger.bites(at):
            return reply
        return replace(reply, lost=True)


def _did_something(call: Request, reply: Reply) -> bool:
    if reply.status == 202:
        return True
    if reply.status != 200:
        return False
    if (call.method, call.path) in PLACES:
        return any(leg.get("orderID") and not leg.get("errorMsg") for leg in _objects(json_of(reply.body)))
    if (call.method, call.path) in CANCELS:
        return any(leg.get("canceled") for leg in _objects(json_of(reply.body)))
    return True


def _objects(message: Any) -> Iterable[dict[str, Any]]:
    return [row for row in (message if isinstance(message, list) else [message]) if isinstance(row, dict)]


class Mode(Behaviour):
    """A mode of the whole exchange in which calls are refused by a sentence (reference 3.9)."""

    calls = PLACES
    sentence = CANCEL_ONLY_MODE

    def before(self, call: Request, at: Micros, visit: Visit) -> Reply | None:
        """Refuse what the mode does not allow."""
        if (call.method, call.path) not in self.calls or not self.trigger.bites(at):
            return None
        return refusal(503, self.sentence)


class Disabled(Mode):
    """Not even cancels are taken."""

    calls = ORDER_CALLS
    sentence = DISABLED


class PostOnly(Behaviour):
    """Only post-only orders and cancels are taken; in a batch each leg is judged alone (reference 3.10)."""

    def before(self, call: Request, at: Micros, visit: Visit) -> Reply | None:
        """Refuse an order that is not post-only, or mark such legs of a batch."""
        if (call.method, call.path) not in PLACES:
            return None
        message = json_of(call.body)
        takers = [order.get("postOnly") is not True for order in _objects(message)]
        if not any(takers) or not self.trigger.bites(at):
            return None
        if isinstance(message, list):
            visit.legs = [POST_ONLY_MODE if taker else None for taker in takers]
            return None
        left = (window(self.fault) or 0) - (self.trigger.since(at) or 0)
        return refusal(503, POST_ONLY_MODE, code="post_only_mode", wait=left)


class Restarting(PostOnly):
    """The matching engine restarts: 425, then a while of post-only mode (reference 3.10)."""

    def before(self, call: Request, at: Micros, visit: Visit) -> Reply | None:
        """Refuse every order call while it restarts, takers for a while after."""
        if (self.trigger.since(at) or 0) >= (self.fault.length or 0):
            return super().before(call, at, visit)
        if (call.method, call.path) not in ORDER_CALLS or not self.trigger.bites(at):
            return None
        return refusal(425, RESTARTING, wait=self.fault.number("retry_after"))


class PartialBatch(Behaviour):
    """Some legs of a batch fail in place, never all of them."""

    def legs(self, count: int, at: Micros) -> list[str | None]:
        """Draw the legs that fail, and their sentences."""
        if count < 2 or not self.trigger.bites(at):
            return [None] * count
        failing = set(self.random.sample(range(count), self.random.randint(1, count - 1)))
        return [self._sentence() if leg in failing else None for leg in range(count)]

    def _sentence(self) -> str:
        return self.fault.text("sentence") or self.random.choice(LEG_SENTENCES)


class HeartbeatLoss(Behaviour):
    """Heartbeats fail: answered 500, lost on the way or on the way back, or called stale (reference 3.6)."""

    def __init__(self, fault: Fault, trigger: Trigger) -> None:
        super().__init__(fault, trigger)
        self._expected: dict[str, str] = {}  # by API key: the id the exchange gave out last

    def before(self, call: Request, at: Micros, visit: Visit) -> Reply | None:
        """Let a heartbeat fail."""
        if (call.method, call.path) not in HEARTBEAT:
            return None
        expected, wish = self._expected.get(_key(call)), self.fault.text("kind")
        kinds = ["error", "lost", "lost_answer", *(["invalid"] if expected else [])]
        kinds = [kind for kind in kinds if wish in (None, kind)]
        if not kinds or not self.trigger.bites(at):
            return None
        return self._fail(self.random.choice(kinds), expected or "", visit)

    def _fail(self, kind: str, expected: str, visit: Visit) -> Reply | None:
        if kind == "lost_answer":
            visit.lose = True
            return None
        if kind == "lost":
            return LOST
        if kind == "error":
            return refusal(500, "Internal server error")
        body = msgspec.json.encode({"error_msg": "Invalid Heartbeat ID", "heartbeat_id": expected})
        return Reply(status=400, body=body, headers=JSON)

    def after(self, call: Request, reply: Reply, at: Micros) -> Reply:
        """Remember the id that is expected next."""
        if (call.method, call.path) in HEARTBEAT and reply.status == 200:
            for found in _objects(json_of(reply.body)):
                self._expected[_key(call)] = str(found.get("heartbeat_id", ""))
        return reply


def _key(call: Request) -> str:
    return call.headers.get("poly_api_key", "")


class ClockSkew(Behaviour):
    """The exchange's clock is wrong."""

    def shift(self, at: Micros) -> int:
        """Say by how much, while it is."""
        return self.fault.number("by") if self.trigger.bites(at) else 0
