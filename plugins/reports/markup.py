"""Writes the pieces that every section of a report is made of, every text from data escaped."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

from pmrun.runner.halts_said import DOLLARS, DURATIONS, duration

MISSING: Final = "—"
ROWS: Final = 300  # of a table that could have any number

# What the numbers of reasons are in, by name: reasons are exact, in base units (docs, reason codes).
_PRICES: Final = frozenset(
    {"price", "best_bid", "best_ask", "gap", "down_to", "from", "to", "tick", "spread", "mid", "edge", "max_spread"}
)
_SHARES: Final = frozenset({"size", "min"})
_CASH: Final = frozenset({"short", "cash_e6"})
_TIMES: Final = frozenset({"until"})
# The same name means shares for one code and levels for another.
_BY_CODE: Final[Mapping[str, Mapping[str, str]]] = {
    "price_cliff": {"limit": "price"},
    "too_little_protection": {"needed": "shares"},
    "too_little_to_hedge_into": {"needed": "shares"},
    "exposure_limit": {"after": "cash", "limit": "cash"},
    "exit_cost": {"cost": "cash", "limit": "cash", "shares": "shares", "unsold": "shares"},
    "exit_cost_share": {"cost": "cash", "limit": "cash", "shares": "shares", "unsold": "shares"},
    "event_loss": {"loss": "cash", "limit": "cash"},
    "covered_by_sibling": {"covered": "shares", "buying": "shares"},
    "buys_sibling": {"covered": "shares", "buying": "shares"},
    **{code: dict.fromkeys(names, "cash") for code, names in DOLLARS.items()},
}


class Cell(str):
    """HTML that is safe already."""

    __slots__ = ()


def safe(value: object) -> str:
    """Escape a value, unless it is HTML of ours."""
    return value if isinstance(value, Cell) else escape(str(value))


def tag(*words: str) -> Cell:
    """Write the words that say what kind of number stands beside them."""
    return Cell("".join(f' <span class="tag {escape(word)}">{escape(word)}</span>' for word in words if word))


def money(value: float | None, sign: bool = False) -> str:
    """Write dollars with cents, or more digits where cents would hide them."""
    if value is None:
        return MISSING
    mark = "−" if value < 0 else "+" if sign and value > 0 else ""
    if 0 < abs(value) < 0.0001:
        return f"{mark}<$0.0001"  # never nothing for something
    digits = 2 if value == 0 or abs(value) >= 0.1 else 4
    return f"{mark}${abs(value):,.{digits}f}"


def gain(value: float | None) -> Cell:
    """Write a gain or a loss in its colour."""
    tone = "" if not value else "gain" if value > 0 else "loss"
    return Cell(f'<span class="{tone}">{escape(money(value, sign=True))}</span>')


def span(low: float | None, high: float | None) -> str:
    """Write an interval of dollars."""
    if low is None or high is None:
        return MISSING
    return money(low) if money(low) == money(high) else f"{money(low)} – {money(high)}"


def cents(dollars: float | None) -> Cell:
    """Write a gain a share in cents."""
    if dollars is None:
        return Cell(MISSING)
    value = round(dollars * 100, 2) + 0.0  # no minus before nothing
    tone = "" if not value else "gain" if value > 0 else "loss"
    mark = "−" if value < 0 else "+" if value > 0 else ""
    return Cell(f'<span class="{tone}">{mark}{abs(value):.2f}</span>')


def price(value: int) -> str:
    """Write a price of 1/10,000 dollar, with as many digits as it has, at least cents."""
    return f"${value / 1e4:.4f}".rstrip("0") if value % 100 else f"${value / 1e4:.2f}"


def count(value: float | None) -> str:
    """Write a count or a number of shares."""
    if value is None:
        return MISSING
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def percent(value: float | None) -> str:
    """Write a share of the whole."""
    return MISSING if value is None else f"{value * 100:.0f} %"


def lasted(micros: float | None) -> str:
    """Write a duration as people say it."""
    return MISSING if micros is None else duration(micros / 1e6)


def moment(at_us: int | None) -> str:
    """Write a moment in UTC to the second."""
    return MISSING if at_us is None else datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")


def clock(at_us: int) -> str:
    """Write the time of day, in UTC to the second."""
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%H:%M:%S")


def link(text: str, market: int) -> Cell:
    """Write a text that leads to the chart of a market."""
    return Cell(f'<a href="#market" data-market="{int(market)}">{escape(text)}</a>')


def named(question: str, slug: str, market: int | None = None) -> Cell:
    """Write the name of a market, with a way to its chart where it has one."""
    name = escape(question) if market is None else link(question, market)
    return Cell(f"{name}<br><small>{escape(slug)}</small>")


def sentence(text: str, kind: str = "quiet") -> str:
    """Write a sentence where there is nothing to draw or to list."""
    return f'<p class="{kind}">{escape(text)}</p>'


def table(
    heads: Sequence[object], rows: Iterable[Sequence[object]], numeric: Sequence[int] = (), empty: str = ""
) -> str:
    """Write a table; `numeric` are the columns to align right, `empty` is said when there is no row."""
    body = [
        "<tr>"
        + "".join(f"<td{' class=num' if i in numeric else ''}>{safe(cell)}</td>" for i, cell in enumerate(row))
        + "</tr>"
        for row in rows
    ]
    if not body:
        return sentence(empty)
    head = "".join(f"<th{' class=num' if i in numeric else ''}>{safe(name)}</th>" for i, name in enumerate(heads))
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def folded(title: str, inside: str) -> str:
    """Write what only some readers want to see."""
    return f"<details><summary>{escape(title)}</summary>{inside}</details>"


def left_out(rows: int) -> str:
    """Say how many rows a table does not show."""
    return sentence(f"{count(rows)} more are left out here; run.sqlite has all.") if rows > 0 else ""


def numbers(text: str, code: str = "") -> str:
    """Write the numbers of a reason as `name value` pairs, in dollars and shares where their unit is known."""
    found = json.loads(text)
    if not isinstance(found, Mapping):
        return plain_number(found)
    return " · ".join(f"{key.replace('_', ' ')} {_in_units(code, key, value)}" for key, value in found.items())


def _in_units(code: str, key: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int):
        return plain_number(value)
    known = _BY_CODE.get(code, {}).get(key)
    if key in _PRICES or known == "price":
        return price(value)
    if key in _SHARES or known == "shares":
        return f"{count(value / 1e6)} shares"
    if key in _CASH or known == "cash":
        return money(value / 1e6)
    if key in DURATIONS:
        return lasted(value)
    return clock(value) if key in _TIMES else plain_number(value)


def plain_number(value: object) -> str:
    """Write a number of no known unit, or a word."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
