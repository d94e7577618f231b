"""What is to be true of every session against the embedded exchange, whatever went wrong: complaints, by verdict."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

from rehearsal import WALLET, Rehearsal

from pmrun.plugins.exchanges.embedded.ledger import COLLATERAL
from pmrun.plugins.exchanges.embedded.terms import TradeView
from pmrun.runner.errors import PmrunError
from pmrun.runner.facts import Fact, FeedLost, FeedRestored, Filled, OrderNews, Settled
from pmrun.runner.intents import Halt, Intent, Observed, Place
from pmrun.runner.journal import End, Header, Moment, read_journal
from pmrun.runner.orders import Settlement
from pmrun.runner.units import SECOND, Side, cash_paid, cash_received

# A limit that trips, and a market whose news were in doubt, are what halts are for; these are not.
BROKEN = ("component_failed", "limit_failed", "impossible_fill", "fill_of_unknown_order", "impossible_holding")
Complaints = dict[str, list[str]]


class Part(NamedTuple):
    """One fill as somebody tells it; `cash` is what it moved, signed, with the fee."""

    size: int
    cash: int | None
    status: Settlement


def steps(run: Rehearsal) -> Iterator[tuple[tuple[Fact, ...], list[Intent]]]:
    """Go through a run's journal: facts, and what was wanted then."""
    for line in read_journal(run.last_run()):
        first, *rest = line.entries
        if not isinstance(first, (Header, End)):
            facts = first.facts if isinstance(first, Moment) else (first,)
            yield facts, rest  # type: ignore[misc]


def on_file(run: Rehearsal) -> dict[str, str]:
    """Return the client order id of every order that was written down before it was sent, by the exchange's id."""
    (path,) = run.state.rglob("*.sqlite")
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT exchange_order_id, client_order_id FROM orders").fetchall()
    assert len({client for _, client in rows}) == len(rows)
    return dict(rows)


def duplicates(run: Rehearsal) -> list[str]:
    """Complain of orders at the exchange that nobody wrote down, or two of one client order id."""
    known = on_file(run)
    placed = [order.order_id for order in run.placed()]
    told = Counter(known[order_id] for order_id in placed if order_id in known)
    unknown = [f"{order_id} is in no file" for order_id in placed if order_id not in known]
    return unknown + [f"{client} was taken {times} times" for client, times in told.items() if times > 1]


def resting(run: Rehearsal) -> list[str]:
    """Complain of what rests."""
    return [f"{order_id} rests" for order_id in run.resting()]


def fills(run: Rehearsal) -> list[str]:
    """Complain of fills that the run told otherwise than the exchange does."""
    ours, theirs = _told(run), dict(_happened(run))
    for key, part in theirs.items():
        if part.cash is None and key in ours:  # it failed: the exchange's ledger never moved it
            theirs[key] = part._replace(cash=ours[key].cash)
    return [
        f"trade {trade}, order {order}: told {ours.get((trade, order))}, happened {theirs.get((trade, order))}"
        for trade, order in sorted(ours.keys() | theirs.keys())
        if ours.get((trade, order)) != theirs.get((trade, order))
    ]


def _told(run: Rehearsal) -> dict[tuple[str, str], Part]:
    assert run.exchange is not None
    names: dict[int, tuple[str, Side]] = {}
    found: dict[tuple[str, int], Part] = {}
    sides = {}
    for facts, intents in steps(run):
        for fact in facts:
            if isinstance(fact, OrderNews) and fact.exchange_order_id is not None:
                names[fact.order] = fact.exchange_order_id, sides.get(fact.order, Side.BUY)
            elif isinstance(fact, Filled):
                assert (fact.trade, fact.order) not in found, "told twice"
                cash = -fact.cash if sides[fact.order] is Side.BUY else fact.cash
                found[fact.trade, fact.order] = Part(fact.size, cash - fact.fee, Settlement.MATCHED)
            elif isinstance(fact, Settled):
                found[fact.trade, fact.order] = found[fact.trade, fact.order]._replace(status=fact.status)
        sides |= {intent.order: intent.side for intent in intents if isinstance(intent, Place)}
    return {(trade, names[order][0]): part for (trade, order), part in found.items()}


def _happened(run: Rehearsal) -> Iterator[tuple[tuple[str, str], Part]]:
    """Tell each fill by the exchange's own ledger: what a confirmed one moved, and what a failed one would have."""
    confirmed = {entry.why: entry for entry in run.engine.ledger.entries}
    for trade in run.trades():
        parts = dict(_parts(trade))
        entry = confirmed.get(f"confirmed {trade.trade_id}")
        if entry is not None and len(parts) == 1:
            (order_id,) = parts
            moved = sum(
                move.amount for move in entry.movements if move.account.owner == WALLET and move.asset == COLLATERAL
            )
            parts[order_id] = parts[order_id]._replace(cash=moved)
        for order_id, part in parts.items():
            yield (trade.trade_id, order_id), part


def _parts(trade: TradeView) -> Iterator[tuple[str, Part]]:
    for maker in trade.makers:
        if maker.wallet == WALLET:
            buys = maker.side is Side.BUY
            cash = -cash_paid(maker.price, maker.size) if buys else cash_received(maker.price, maker.size)
            yield maker.order_id, Part(maker.size, cash, trade.status)
    if trade.taker_wallet == WALLET:
        yield trade.taker_order_id, Part(trade.size, None, trade.status)


def ledger(run: Rehearsal) -> list[str]:
    """Complain where the runner's books and the exchange's ledger differ, or the replay does."""
    run.engine.ledger.check()
    try:
        differences = run.differences()
    except PmrunError as error:
        return [f"replay: {error}"]
    return [f"{name}: ours {ours}, theirs {theirs}" for name, (ours, theirs) in differences.items()]


def oddities(run: Rehearsal) -> list[str]:
    """Complain of what the desk could not explain."""
    return [
        f"{type(intent).__name__} {intent.reason.code} {intent.reason.numbers}"
        for _, intents in steps(run)
        for intent in intents
        if isinstance(intent, Observed) or (isinstance(intent, Halt) and intent.reason.code in BROKEN)
    ]


def halts(run: Rehearsal) -> Counter[str]:
    """Count halts by code: limits that tripped among them."""
    return Counter(intent.reason.code for _, intents in steps(run) for intent in intents if isinstance(intent, Halt))


def blind_seconds(run: Rehearsal) -> float:
    """Return for how long the desk was told that what is shown cannot be trusted."""
    total, since = 0, None
    for facts, _ in steps(run):
        for fact in facts:
            if isinstance(fact, FeedLost) and since is None:
                since = fact.at
            elif isinstance(fact, FeedRestored) and since is not None:
                total, since = total + fact.at - since, None
    return total / SECOND


def complaints(run: Rehearsal) -> Complaints:
    """Return all complaints about a session of one run that ended in order."""
    found = {
        "duplicate orders": duplicates(run),
        "orders resting at the end": resting(run),
        "fills": fills(run),
        "ledger": ledger(run),
        "oddities": oddities(run),
    }
    return {name: said for name, said in found.items() if said}
