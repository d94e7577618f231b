"""Faults of answers that look right: older than they should be, or with less in them than there is."""

import base64
from collections import deque
from typing import Any

import msgspec
from msgspec.structs import replace

from pmrun.plugins.exchanges.embedded.fault_calls import JSON, Calls, aims_at, refusal
from pmrun.plugins.exchanges.embedded.fault_drift import json_of
from pmrun.plugins.exchanges.embedded.fault_terms import Fault
from pmrun.plugins.exchanges.embedded.fault_timing import Behaviour, Trigger, Visit
from pmrun.plugins.exchanges.embedded.terms import Reply, Request
from pmrun.runner.units import Micros

SNAPSHOTS: Calls = (("GET", "/data/orders"), ("GET", "/data/order/*"), ("GET", "/data/trades"), ("GET", "/book"))
PAGES: Calls = (("GET", "/data/orders"), ("GET", "/data/trades"))
LAST_CURSOR = "LTE="
_REMEMBERED = 256  # answers of one question
_REPEATED = 1_000  # answers from a cursor that leads nowhere, so that a runner without a limit ends too

_Question = tuple[str, str, tuple[tuple[str, tuple[str, ...]], ...], str]


class StaleSnapshot(Behaviour):
    """A read is answered with what was true a while ago, as this very question was answered then."""

    def __init__(self, fault: Fault, trigger: Trigger) -> None:
        super().__init__(fault, trigger)
        self._past: dict[_Question, deque[tuple[Micros, bytes]]] = {}

    def after(self, call: Request, reply: Reply, at: Micros) -> Reply:
        """Give the older answer, where there is one and it differs."""
        if reply.status != 200 or not aims_at(self.where, call, SNAPSHOTS):
            return reply
        past = self._past.setdefault(_question(call), deque(maxlen=_REMEMBERED))
        older = [body for when, body in past if when <= at - self.fault.number("age")]
        past.append((at, reply.body))
        if not older or older[-1] == reply.body or not self.trigger.bites(at):
            return reply
        return replace(reply, body=older[-1])


def _question(call: Request) -> _Question:
    # A question of "what is new since" moves on with every poll; it is the same question all the same.
    query = tuple(sorted((key, tuple(values)) for key, values in call.query.items() if key not in ("after", "before")))
    return call.method, call.path, query, call.headers.get("poly_api_key", "")


class IncompletePage(Behaviour):
    """A page has fewer rows than it counts, a cursor leads nowhere, or the second page fails."""

    def __init__(self, fault: Fault, trigger: Trigger) -> None:
        super().__init__(fault, trigger)
        self._loops: dict[str, int] = {}  # cursors that lead nowhere: how often they were followed
        self._dead: set[str] = set()  # cursors whose page fails

    def before(self, call: Request, at: Micros, visit: Visit) -> Reply | None:
        """Answer the cursors that we made up."""
        cursor = (call.query.get("next_cursor") or [""])[0]
        if cursor in self._dead:
            return refusal(500, "Internal server error")
        if cursor not in self._loops:
            return None
        self._loops[cursor] += 1
        if self._loops[cursor] > _REPEATED:
            return refusal(400, "invalid next_cursor")
        page = {"limit": 100, "count": 0, "next_cursor": cursor, "data": []}
        return Reply(body=msgspec.json.encode(page), headers=JSON)

    def after(self, call: Request, reply: Reply, at: Micros) -> Reply:
        """Take rows out of a page that has some."""
        if reply.status != 200 or not aims_at(self.where, call, PAGES):
            return reply
        if not self.trigger.ready(at):
            return reply
        page = json_of(reply.body)
        kinds = self._kinds(page)
        if not kinds or not self.trigger.bites(at):
            return reply
        page = self._short(page) if (kind := self.random.choice(kinds)) == "short" else self._torn(page, kind)
        return replace(reply, body=msgspec.json.encode(page))

    def _kinds(self, page: Any) -> list[str]:
        if not isinstance(page, dict) or not isinstance(page.get("data"), list) or not page["data"]:
            return []
        kinds = ["short", *(["cursor", "second_page"] if page.get("next_cursor") == LAST_CURSOR else [])]
        wish = self.fault.text("kind")
        return [kind for kind in kinds if wish in (None, kind)]

    def _short(self, page: dict[str, Any]) -> dict[str, Any]:
        """Leave a row out, and count it."""
        rows = list(page["data"])
        rows.pop(self.random.randrange(len(rows)))
        return page | {"data": rows}

    def _torn(self, page: dict[str, Any], kind: str) -> dict[str, Any]:
        """Give the first half and promise the rest."""
        rows = page["data"][: len(page["data"]) // 2]
        made = f"simulated-{self.random.getrandbits(48)}"
        cursor = base64.b64encode(made.encode()).decode()
        if kind == "cursor":
            self._loops[cursor] = 0
        else:
            self._dead.add(cursor)
        return page | {"data": rows, "count": len(rows), "next_cursor": cursor}
