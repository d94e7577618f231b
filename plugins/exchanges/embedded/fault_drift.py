"""Schema drift: fields and words that nobody has documented."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from pmrun.plugins.exchanges.embedded.fault_timing import Behaviour, Leaving
from pmrun.plugins.exchanges.embedded.terms import Reply, Request
from pmrun.runner.units import Micros

_FIELD = "simulated_new_field"
# Objects that are tables of ids, not messages: a name among ids would be a wrong answer, not a newer one.
_TABLES = frozenset({"not_canceled", "allowances"})
_TABLE_CALLS = frozenset({"/midpoints", "/prices", "/spreads", "/orders-scoring"})
ORDER_STATUS = "SIMULATED_PAUSED"
ORDER_KIND = "SIMULATED_AMENDMENT"
TRADE_STATUS = "SIMULATED_REORGANISED"
ANSWER_STATUS = "simulated_queued"
EVENT = "simulated_auction"


def json_of(raw: bytes | str) -> Any:
    """Return a decoded message, None when it is none."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def speaks_of(event: str, text: str) -> bool:
    """Tell whether an event of this type is in a frame."""
    if f'"{event}"' not in text:
        return False
    message = json_of(text)
    events = message if isinstance(message, list) else [message]
    return any(isinstance(found, dict) and event in (found.get("event_type"), found.get("type")) for found in events)


def _text(message: Any) -> str:
    return msgspec.json.encode(message).decode()


class NewField(Behaviour):
    """Every object carries a field that nobody knows."""

    def frames(self, channel: str, leaving: Sequence[Leaving], at: Micros) -> Sequence[Leaving]:
        """Add it to every event."""
        if not self.trigger.ready(at):
            return leaving
        messages = [json_of(frame.text) for frame in leaving]
        if not any(_has_object(message) for message in messages) or not self.trigger.bites(at):
            return leaving
        return [
            replace(frame, text=_text(_with_field(message))) if _has_object(message) else frame
            for frame, message in zip(leaving, messages, strict=True)
        ]

    def after(self, call: Request, reply: Reply, at: Micros) -> Reply:
        """Add it to every object of an answer."""
        known = call.path in _TABLE_CALLS or not self.trigger.ready(at)
        message = None if known else json_of(reply.body)
        if not _has_object(message) or not self.trigger.bites(at):
            return reply
        return replace(reply, body=msgspec.json.encode(_with_field(message)))


def _has_object(message: Any) -> bool:
    return isinstance(message, dict) or (isinstance(message, list) and any(_has_object(row) for row in message))


def _with_field(message: Any) -> Any:
    if isinstance(message, list):
        return [_with_field(row) for row in message]
    if not isinstance(message, dict):
        return message
    inner = {key: value if key in _TABLES else _with_field(value) for key, value in message.items()}
    return inner | {_FIELD: {"values": [1, "two", None]}}


class NewEnum(Behaviour):
    """A word that nobody knows: an event may be passed over, a status of money or orders may not be guessed."""

    def frames(self, channel: str, leaving: Sequence[Leaving], at: Micros) -> Sequence[Leaving]:
        """Change a word of each event, or send an unknown event before it."""
        if not self.trigger.ready(at):
            return leaving
        changed: list[Leaving] = []
        for frame in leaving:
            message = json_of(frame.text)
            kinds = self._allowed([kind for kind, fits in _EVENT_KINDS.items() if fits(message)])
            if not kinds or not self.trigger.bites(at):
                changed.append(frame)
            elif (kind := self.random.choice(kinds)) == "event":
                changed += [replace(frame, text=_text(_unknown_event(message))), frame]
            else:
                changed.append(replace(frame, text=_text(_reworded(kind, message))))
        return changed

    def after(self, call: Request, reply: Reply, at: Micros) -> Reply:
        """Change the status of an order or trade in an answer."""
        kind = _answer_kind(call, reply)
        if kind is None or not self._allowed([kind]) or not self.trigger.ready(at):
            return reply
        message = json_of(reply.body)
        rows = _rows(message)
        if not rows or not self.trigger.bites(at):
            return reply
        rows[0]["status"] = _WORDS[kind]
        return replace(reply, body=msgspec.json.encode(message))

    def _allowed(self, kinds: list[str]) -> list[str]:
        wish = self.fault.text("kind")
        return [kind for kind in kinds if wish in (None, kind)]


def _first(message: Any) -> dict[str, Any]:
    found = message[0] if isinstance(message, list) and message else message
    return found if isinstance(found, dict) else {}


def _is(event_type: str | None) -> Callable[[Any], bool]:
    def fits(message: Any) -> bool:
        found = _first(message).get("event_type")
        return found == event_type if event_type else isinstance(found, str)

    return fits


_EVENT_KINDS: dict[str, Callable[[Any], bool]] = {
    "event": _is(None),
    "order_status": _is("order"),
    "order_kind": _is("order"),
    "trade_status": _is("trade"),
}
_WORDS = {
    "order_status": ORDER_STATUS,
    "order_kind": ORDER_KIND,
    "trade_status": TRADE_STATUS,
    "answer_status": ANSWER_STATUS,
}


def _unknown_event(message: Any) -> dict[str, Any]:
    known = _first(message)
    kept: dict[str, Any] = {key: known[key] for key in ("market", "asset_id", "timestamp") if key in known}
    return {"event_type": EVENT, **kept, "phase": "open"}


def _reworded(kind: str, message: Any) -> Any:
    field = "type" if kind == "order_kind" else "status"
    changed = _first(message) | {field: _WORDS[kind]}
    return [changed, *message[1:]] if isinstance(message, list) else changed


def _answer_kind(call: Request, reply: Reply) -> str | None:
    if reply.status != 200:
        return None
    if call.method == "POST":
        return "answer_status" if call.path in ("/order", "/orders") else None
    if call.path == "/data/orders" or call.path.startswith("/data/order/"):
        return "order_status"
    return "trade_status" if call.path == "/data/trades" else None


def _rows(message: Any) -> list[dict[str, Any]]:
    """Return the rows of an answer that have a status to be changed."""
    if isinstance(message, dict) and isinstance(message.get("data"), list):
        message = message["data"]
    rows = message if isinstance(message, list) else [message]
    return [row for row in rows if isinstance(row, dict) and row.get("status")]
