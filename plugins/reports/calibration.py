"""Writes what a run learned of its markets, and how well it foretold its own fills (P2)."""

from typing import Final

from pmrun.plugins.reports.finished import ESTIMATED, Finished
from pmrun.plugins.reports.markup import (
    MISSING,
    ROWS,
    Cell,
    cents,
    count,
    folded,
    left_out,
    named,
    sentence,
    table,
    tag,
)

_COLUMNS: Final = (
    "market, question, slug, fills_per_minute_at_mid, decay_per_cent, decay_error, quote_seconds, fills, predicted, "
    "predicted_by_prior, marked_out, cost_of_a_fill_usd"
)
_SUMS: Final = (
    "sum(fills), sum(predicted), sum(predicted_by_prior), sum(deviance), sum(deviance_of_prior), sum(quote_seconds)"
)


def calibration(run: Finished) -> str:
    """Write the section; nothing where no component learned."""
    rows = run.db.execute(f"SELECT {_COLUMNS} FROM v_market_calibration ORDER BY fills DESC, slug").fetchall()
    if not rows:
        return ""
    shown = [_row(row) for row in rows[:ROWS]]
    heads = (
        "Market",
        Cell(f"Fills a minute at the mid{tag(ESTIMATED)}"),
        Cell(f"Fewer by, a cent away{tag(ESTIMATED)}"),
        "Minutes of a quote",
        "Fills",
        Cell(f"Foretold{tag(ESTIMATED)}"),
        Cell(f"By the settings{tag(ESTIMATED)}"),
        Cell(f"The mid after a fill{tag(ESTIMATED)}"),
    )
    inside = table(heads, shown, range(1, len(heads))) + left_out(len(rows) - ROWS)
    return (
        f'<section id="calibration"><h2>What the fills taught{tag(run.labels.fills)}</h2>'
        '<p class="quiet">How often a quote fills by its distance from the mid, market by market, and what the mid did '
        "after a fill. Each minute is foretold by what was known before it; the settings are the first belief."
        f"</p>{_foretold(run)}{folded(f'By market ({count(len(rows))})', inside)}</section>"
    )


def _foretold(run: Finished) -> str:
    fills, told, prior, off, off_prior, seconds = run.db.execute(f"SELECT {_SUMS} FROM v_market_calibration").fetchone()
    if not seconds:
        return ""
    said = (
        f"{count(fills)} fills in {count(round(seconds / 60))} minutes of a resting quote; {told:,.1f} were foretold, "
        f"{prior:,.1f} by the settings alone."
    )
    if off is not None and off_prior:
        better = 1 - off / off_prior
        word = "better" if better >= 0 else "worse"
        said += f" By its Poisson deviance the forecast was {abs(better) * 100:.0f} % {word} than that of the settings."
    return sentence(said, "")


def _row(row: tuple[object, ...]) -> tuple[object, ...]:
    market, question, slug, at_mid, decay, error, seconds, fills, told, prior, marked, cost = row
    assert isinstance(market, int)
    off = Cell(f" <small>± {error:.2f}</small>") if isinstance(error, float) and error < 100 else Cell("")
    lost = cents(-cost) if isinstance(cost, float) else Cell(MISSING)
    of = Cell(f" <small>of {marked:,.0f}</small>") if isinstance(marked, float) else Cell("")
    return (
        named(str(question), str(slug), market),
        _number(at_mid, ".3f"),
        Cell(f"× {_power(decay)}{off}") if isinstance(decay, float) else MISSING,
        _number(seconds / 60 if isinstance(seconds, float) else None, ",.0f"),
        _number(fills, ",.0f"),
        _number(told, ",.1f"),
        _number(prior, ",.1f"),
        Cell(f"{lost}{of}"),
    )


def _power(decay: float) -> str:
    return f"exp(−{decay:.2f})"


def _number(value: object, form: str) -> str:
    return format(value, form) if isinstance(value, int | float) else MISSING
