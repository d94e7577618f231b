"""Writes what a reader must know before any number: what is real, what stopped the run, and what was remarked."""

from collections.abc import Mapping
from html import escape
from typing import Final

from pmrun.plugins.reports.finished import ASSUMED, ESTIMATED, Finished, Labels
from pmrun.plugins.reports.markup import Cell
from pmrun.runner.halts_said import halt_lines

# The parts of the page that a reader may want to go to; some are there only where there is something to show.
PLACES: Final = {
    "pnl": "PnL",
    "parts": "What made it",
    "bracket": "Bracket",
    "rewards": "Rewards",
    "exposure-section": "Exposure",
    "leaving": "Leaving",
    "market": "Markets",
    "markouts-section": "Mark-outs",
    "calibration": "What the fills taught",
    "exits": "Sales",
    "funnel": "Funnel",
    "orders-section": "Orders",
    "refusals": "Refusals",
    "funds": "Funds",
    "made": "Method",
    "words": "Words",
}


def places(shown: Mapping[str, str]) -> str:
    """Link the parts of the page; one that shows nothing in this run has no link."""
    there = (place for place in PLACES if shown.get(place) != "")
    return "".join(f'<a href="#{place}">{escape(PLACES[place])}</a>' for place in there)


def beside(run: Finished) -> str:
    """Say what of rebates and rewards is in the PnL."""
    if run.rebates_paid:
        return "Rebates are paid with each fill, in the fees. Rewards are an estimate: beside it, never part of it."
    return "Rebates and rewards are estimates: drawn beside it, never part of it."


def badges(run: Finished) -> str:
    """Write what a reader must know before reading any number."""
    labels = run.labels
    said = [
        (_whose_fills(labels), labels.fills or "recorded"),
        (f"{labels.data} market data", labels.data),
        ("rewards estimated" if run.rebates_paid else "rebates and rewards estimated", ESTIMATED),
    ]
    if labels.assumed:
        said.append((f"assumed terms: {', '.join(labels.assumed)}", ASSUMED))
    return "".join(f'<span class="badge {kind}">{escape(text)}</span>' for text, kind in said)


def kinds(run: Finished) -> Cell:
    """Write what kind the book and the fills of a chart are."""
    said = [(run.labels.data, f"{run.labels.data} book")]
    said += [(run.labels.fills, f"{run.labels.fills} fills")] if run.labels.fills else []
    return Cell("".join(f' <span class="tag {escape(word)}">{escape(text)}</span>' for word, text in said))


def _whose_fills(labels: Labels) -> str:
    if not labels.exchanged:
        return "simulated fills (paper)"
    return "fills of a simulated exchange" if labels.fills else "fills of a real exchange"


def stops(run: Finished) -> str:
    """Write in the head what kept quotes away, what ended the run early, and what may still rest."""
    halts = halt_lines(run.summary)
    said = [("Halted to the end of the run" if to_the_end else "Halted", text) for to_the_end, text in halts]
    said += [("Stopped by", run.text("stopped"))] if run.summary.get("stopped") else []
    said += [("May rest", str(each)) for each in run.summary.get("may_rest") or ()]
    if not said:
        return ""
    listed = "".join(f"<li><b>{escape(name)}:</b> {escape(text)}</li>" for name, text in said)
    return f"<ul class='stops'>{listed}</ul>"


def remarks(run: Finished) -> str:
    """List what was said of how the results were made."""
    said = [str(text) for text in run.summary.get("remarks") or ()]
    said += [str(text) for (text,) in run.db.execute("SELECT text FROM remarks ORDER BY no") if text not in said]
    return f"<ul class='quiet'>{''.join(f'<li>{escape(text)}</li>' for text in said)}</ul>" if said else ""
