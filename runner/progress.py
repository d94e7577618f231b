"""Progress while a run goes, and its one table at the end; plain when nobody watches."""

import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pmrun.runner.covers import covers_said
from pmrun.runner.halts_said import halt_lines
from pmrun.runner.summary import Tally

DRY_RUN = "dry run"


class Progress:
    """A bar on a terminal, nothing elsewhere."""

    def __init__(self, show: bool) -> None:
        """Show only where a person watches."""
        self._bar: Any = None
        self._task: Any = None
        self._show = show and sys.stderr.isatty()

    def __enter__(self) -> Self:
        """Start the bar."""
        if self._show:
            from rich.console import Console
            from rich.progress import BarColumn, Task, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as RichProgress

            class _Share(TextColumn):
                """How much is done, where it is known of what."""

                def __init__(self) -> None:
                    super().__init__("{task.percentage:>3.0f}%")

                def render(self, task: Task) -> Any:
                    return "" if task.total is None else super().render(task)

            self._bar = RichProgress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=30),
                _Share(),
                TextColumn("{task.fields[counts]}"),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("starting", total=None, counts="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()

    def say(self, what: str) -> None:
        """Show what is being done."""
        if self._bar is not None:
            self._bar.update(self._task, description=what, total=None)

    def update(self, done: int, total: int | None, tally: Tally) -> None:
        """Show how far the run is; `total` is None where nobody knows its end."""
        if self._bar is not None:
            counts = f"{tally.placed:,} orders, {tally.fills:,} fills"
            end = None if total is None else max(total, 1)
            self._bar.update(self._task, description="running", total=end, completed=done, counts=counts)


def _fills_of(summary: Mapping[str, Any]) -> str:
    """Say who filled: an exchange on this machine is no real one."""
    if summary["mode"] != "live":
        return "simulated fills"
    return "fills of a simulated exchange" if summary["simulated"] else "fills of the exchange"


def rows_of(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table that ends a run."""
    pnl, orders, fills, markets = (summary[key] for key in ("pnl_usd", "orders", "fills", "markets"))
    fees_assumed = any("fee" in field.lower() for field in markets["assumed"])
    rewards_assumed = summary["rewards"] is not None and summary["rewards"]["terms_assumed"]
    only_stopped = "stop_only" in summary["cancels"]
    label = f"{_market_of(summary)}, {_fills_of(summary)}"
    mode = summary["mode"] if summary["mode"] == DRY_RUN else summary["exchange"]  # nothing left this machine
    rows = [
        ("strategy", f"{summary['strategy']} on {mode} ({label})"),
        ("feed", f"{summary['feed']}: {summary['source']}"),
        ("market time", f"{summary['market_time']['from']} to {summary['market_time']['to']}"),
        ("markets", f"none of {markets['scanned']} was to be traded" if only_stopped else _markets(markets)),
        ("orders", _orders(orders, summary["never_sent"])),
        ("fills", f"{fills['count']} ({fills['shares']:g} shares, ${fills['notional_usd']:,.2f})"),
        (
            "PnL",
            f"${pnl['total']:+,.2f} (realised {pnl['realised']:+,.2f}, unrealised {pnl['unrealised']:+,.2f}, "
            f"fees {pnl['fees']:,.2f}{_terms(fees_assumed)})",
        ),
        (
            "estimated",
            f"{_rebates(pnl, _terms(fees_assumed))}; "
            f"rewards {_estimate(pnl['rewards_estimated'])}{_terms(rewards_assumed)}",
        ),
        ("most exposed", f"${summary['exposure_max_usd']:,.2f}"),
    ]
    if summary.get("covers"):
        rows.append(("covers", covers_said(summary["covers"])))
    if summary["bracket"]:
        rows.append(("bracket", "; ".join(_form(name, found) for name, found in summary["bracket"].items())))
    if only_stopped:
        rows.append(("stop", _stopped(orders["cancelled"])))
    elif markets["nothing_left"]:
        rows.append(("no market", markets["nothing_left"]))
    if not orders["placed"] and summary["refusals"]:
        most = next(iter(summary["refusals"].items()))
        rows.append(("no order placed", f"most often refused by {most[0]} ({most[1]} times)"))
    rows += [("HALTED" if to_the_end else "halted", said) for to_the_end, said in halt_lines(summary)]
    if summary["oddities"]:
        rows.append(("look at", ", ".join(f"{name} {count}" for name, count in summary["oddities"].items())))
    if summary.get("stopped"):
        rows.append(("stopped by", summary["stopped"] + ("" if summary["may_rest"] else "; nothing rests")))
    rows += [("UNEXPLAINED", said) for said in pnl["complaints"]]
    rows += [("MAY REST", said) for said in summary["may_rest"]]
    return rows + [("note", remark) for remark in summary["remarks"]]


def _market_of(summary: Mapping[str, Any]) -> str:
    if summary["simulated"]:
        return "simulated market"
    return "recorded market" if summary["feed"] == "tape" else "live market"


def _orders(orders: Mapping[str, int], never_sent: Mapping[str, int]) -> str:
    """Say what became of every order: those behind the colon sum to those in front of it."""
    adopted, still = orders["adopted"], orders["open"]
    ends = [f"{orders[name]} {name}" for name in ("cancelled", "filled", "rejected")]
    ends += [f"{still} still open"] if still else []
    said = f"{orders['placed']} placed{f', {adopted} adopted' if adopted else ''}: {', '.join(ends)}"
    if never_sent:
        said += f"; {orders['never_sent']} never sent: {_counted(never_sent)}"
    return f"{said}; {orders['refused']} refusals"


def _markets(markets: Mapping[str, Any]) -> str:
    """Say how many were traded at all and what ended some of those, and then what filters kept or took out."""
    traded, last, ended = markets["ever_selected"], markets["selected"], markets["ended"]
    why = f" ({', '.join(f'{count} {_words(name)}' for name, count in ended.items())})" if ended else ""
    at_the_end = "" if last == traded else f", {last or 'none'} still at the end{why}"
    dropped = {name: count for name, count in markets["rejected_by"].items() if name not in ended}
    by = f"; dropped by {', '.join(f'{name} {count}' for name, count in dropped.items())}" if dropped else ""
    return f"{traded} of {markets['scanned']} traded{at_the_end}{by}"


def _counted(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} ({count})" for reason, count in reasons.items())


def _words(code: str) -> str:
    return code.replace("_", " ")


def _stopped(cancelled: int) -> str:
    if not cancelled:
        return "no bid of an earlier session was found in the markets that are watched; nothing was quoted"
    bids = "1 bid" if cancelled == 1 else f"{cancelled} bids"
    return f"{bids} of an earlier session cancelled; nothing was quoted"


def _form(name: str, found: dict[str, Any]) -> str:
    return f"{name} ${found['pnl_usd']['total']:+,.2f} with {found['fills']['count']} fills"


def _rebates(pnl: Mapping[str, Any], terms: str) -> str:
    """Say what is expected back as a maker; where the exchange pays it with the fill, it is in the fees."""
    paid = pnl.get("rebates_in_fees")
    return "rebates are paid with the fills, in the fees" if paid else f"rebates ${pnl['rebates']:,.2f}{terms}"


def _terms(assumed: bool) -> str:
    return " on assumed terms" if assumed else ""


def _estimate(value: float | None) -> str:
    return "not estimated" if value is None else f"${value:,.2f}"


def show_summary(summary: Mapping[str, Any], directory: Path) -> None:
    """Print the table that ends a run, with the directory's path."""
    rows = rows_of(summary)
    if not sys.stdout.isatty():
        for name, text in [*rows, ("directory", str(directory))]:
            print(f"{name + ':':<17}{text}")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(name, text)
    console = Console()
    console.print(table)
    width = max(len(name) for name, _ in rows)  # outside the table, so that a long path stays in one piece
    console.print(f"[bold]{'directory':<{width}}[/bold]  {directory}", soft_wrap=True, highlight=False)
