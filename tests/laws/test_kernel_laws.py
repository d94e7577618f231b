"""The matching kernel agrees with the oracle, never fills more than was printed, and builds one book from any order."""

from array import array
from dataclasses import dataclass
from random import Random

import numpy as np
import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st
from oracle import Oracle

from pmrun.plugins.executors import kernel
from pmrun.plugins.executors.fill import Cancels, Depletion, FillModel, Intensity, Queue, Touch
from pmrun.plugins.feeds.rows import RowBuilder
from pmrun.runner.market import Outcome
from pmrun.runner.units import Micros, Price, Side, Size, complement

PRICES = [4400, 4500, 4600, 4700]
OUTCOMES = list(Outcome)


def a_step(chance: Random) -> tuple:
    """A row, or an order of ours that comes or goes; the few time stamps are often equal or late."""
    stamp, side, price, size = (
        chance.randint(0, 40),
        chance.choice([0, 1]),
        chance.choice(PRICES),
        chance.randint(1, 60),
    )
    outcome = chance.choice(OUTCOMES)
    match chance.choice(["book", "level", "level", "level", "print", "print", "join", "join", "leave"]):
        case "book":
            there = {(chance.choice([0, 1]), chance.choice(PRICES)): chance.randint(1, 60) for _ in range(5)}
            return "book", stamp, there, outcome
        case "level":
            return "level", stamp, side, price, chance.choice([0, size, size]), outcome
        case "print":
            return "print", side, price, size, outcome
        case "join":
            return "join", side, price, size
        case _:
            return "leave", chance.randint(0, 12)


@st.composite
def steps_of(draw: st.DrawFn, kinds: tuple[str, ...] = ("book", "level", "print", "join", "leave")) -> list[tuple]:
    """Steps from a seed; time stamps run on, more or less."""
    chance = Random(draw(st.integers(0, 2**48)))
    steps = [step for step in (a_step(chance) for _ in range(draw(st.integers(1, 60)))) if step[0] in kinds]
    on = draw(st.sampled_from([0, 1, 5]))
    return [
        (step[0], step[1] + on * index, *step[2:]) if step[0] in ("book", "level") else step
        for index, step in enumerate(steps)
    ]


STEPS = steps_of()


def add_row(rows: RowBuilder, at: int, step: tuple) -> None:
    """Append a row as either outcome would show it."""
    at, market = Micros(at), 0
    match step:
        case ("book", ts, levels, outcome):
            sides = [
                tuple((Price(p), Size(s)) for (side, p), s in sorted(levels.items()) if side == which)
                for which in (0, 1)
            ]
            if outcome is Outcome.NO:
                sides = [tuple((complement(p), s) for p, s in side) for side in reversed(sides)]
            rows.book(at, Micros(ts), at, market, outcome, *sides)
        case ("level", ts, side, price, size, outcome):
            shown = Side.BUY if (side == 0) == (outcome is Outcome.YES) else Side.SELL
            price = Price(price) if outcome is Outcome.YES else complement(Price(price))
            rows.level(at, Micros(ts), at, market, outcome, shown, price, Size(size))
        case ("print", taker, price, size, outcome):
            shown = Side.BUY if (taker == 0) == (outcome is Outcome.YES) else Side.SELL
            price = Price(price) if outcome is Outcome.YES else complement(Price(price))
            rows.trade(at, Micros(at), at, market, outcome, shown, price, Size(size))


class Compiled:
    """The kernel with one market, fed row by row."""

    def __init__(self, queue: FillModel, has_prints: bool = True) -> None:
        self.books = kernel.new_books(np.array([100], np.int64))
        self.queues = kernel.new_queues(1)
        self.out = kernel.new_fills()
        self.rules = queue.rules(has_prints)
        self.fills: list[tuple[int, int, int]] = []
        self.at = 0

    def row(self, step: tuple) -> list[tuple[int, int, int]]:
        self.at += 1
        rows = RowBuilder()
        add_row(rows, self.at, step)
        built = rows.build()
        done, filled = kernel.advance(self.books, self.queues, built, 0, 2**61, 2**60, self.rules, self.out)
        assert done == len(built.at)
        new = [(int(self.out.slot[k]), int(self.out.price[k]), int(self.out.size[k])) for k in range(filled)]
        self.fills += new
        return new

    def sizes(self, side: int) -> dict[int, int]:
        return dict(kernel.levels(self.books, 0, side, 0))

    def orders(self) -> dict[int, tuple[int, ...]]:
        fields = [kernel.SIDE, kernel.PRICE, kernel.LEFT, kernel.AHEAD, kernel.CREDIT, kernel.UNPRINTED, kernel.MOVED]
        return {
            slot: tuple(int(self.queues.order[slot, each]) for each in fields)
            for side in (0, 1)
            for slot in self.queues.mine[0, side, : self.queues.count[0, side]].tolist()
        }


def run_oracle(oracle: Oracle, step: tuple) -> None:
    match step:
        case ("book", ts, levels, _):
            oracle.snapshot(ts, [(side, price, size) for (side, price), size in levels.items()])
        case ("level", ts, side, price, size, _):
            oracle.level(ts, side, price, size)
        case ("print", taker, price, size, _):
            oracle.print(taker, price, size)
    oracle.after_row()


QUEUES = st.builds(
    Queue,
    cancels=st.sampled_from(list(Cancels)),
    depletion=st.sampled_from([Depletion.NEVER, Depletion.NEVER, Depletion.ALWAYS]),
    whole=st.booleans(),
    on_cross=st.booleans(),
)


def oracle_of(model: FillModel) -> Oracle:
    if isinstance(model, Queue):
        return Oracle(model.cancels, model.whole, model.on_cross, model.depletion is Depletion.ALWAYS)
    return Oracle(touch=True)


@given(queue=QUEUES | st.builds(Touch), steps=STEPS)
def test_the_kernel_does_what_the_rules_of_the_queue_say(queue, steps):
    ours = Compiled(queue)
    oracle = oracle_of(queue)
    joined = 0
    for step in steps:
        match step:
            case ("join", side, price, _) if oracle.on_cross and oracle.reached(side, price):
                pass  # the exchange refuses a post-only order that crosses
            case ("join", side, price, size):
                assert kernel.join(ours.books, ours.queues, joined, 0, side, price, size)
                oracle.join(joined, side, price, size)
                joined += 1
            case ("leave", name):
                if name in ours.orders():
                    kernel.leave(ours.queues, name)
                    oracle.leave(name)
            case _:
                ours.row(step)
                run_oracle(oracle, step)
        assert ours.fills == oracle.fills
        expected = {o.name: (o.side, o.price, o.left, o.ahead, o.told, o.gone, o.moved) for o in oracle.mine}
        assert ours.orders() == expected
        for side in (0, 1):
            assert ours.sizes(side) == oracle.sizes[side]
            assert int(ours.books.best[0, side]) == (oracle.best(side) or (0 if side == 0 else 10_000))
    event(f"fills: {min(3, len(oracle.fills))}")


@given(steps=STEPS, has_prints=st.booleans())
def test_where_fills_are_drawn_the_kernel_fills_nothing_and_stops_where_something_is_drawn(steps, has_prints):
    """At a print in a market of ours; or, without prints, where the touch moves that our orders look at."""
    ours, plain = Compiled(Intensity(), has_prints), Compiled(Queue())
    rows, stops = RowBuilder(), []
    kernel.join(ours.books, ours.queues, 0, 0, 0, 4400, 10)
    for step in steps:
        if step[0] in ("join", "leave"):
            continue
        before = plain.books.best.tolist()
        plain.row(step)
        add_row(rows, plain.at, step)
        if step[0] == "print" if has_prints else plain.books.best.tolist() != before:
            stops.append(len(rows))
    built, done, seen = rows.build(), 0, []
    while done < len(built.at):
        done, filled = kernel.advance(ours.books, ours.queues, built, done, 2**61, 0, ours.rules, ours.out)
        assert filled == 0
        seen.append(done)
    assert seen == sorted({*stops, len(built.at)} - {0})


@given(steps=STEPS, cancels=st.sampled_from(list(Cancels)))
def test_no_print_fills_more_than_it_is(steps, cancels):
    ours = Compiled(Queue(cancels))
    bought: dict[tuple[int, int], int] = {}
    printed: dict[tuple[int, int], int] = {}
    placed: dict[int, tuple[int, int, int]] = {}
    for step in steps:
        if step[0] == "join":
            slot = len(placed)
            placed[slot] = step[1:]
            kernel.join(ours.books, ours.queues, slot, 0, *step[1:])
            continue
        if step[0] == "leave":
            if step[1] in ours.orders():
                kernel.leave(ours.queues, step[1])
            continue
        fills = ours.row(step)
        if step[0] != "print":
            assert fills == [], "only prints fill"
            continue
        _, taker, price, size, _ = step
        printed[taker, price] = printed.get((taker, price), 0) + size
        assert sum(each for _, _, each in fills) <= size
        for slot, at, each in fills:
            side, limit, _ = placed[slot]
            assert side == 1 - taker
            assert at == limit
            assert at >= price if side == 0 else at <= price
            bought[side, at] = bought.get((side, at), 0) + each
    for slot, (_, _, wished) in placed.items():
        assert sum(size for name, _, size in ours.fills if name == slot) <= wished
    for (side, price), size in bought.items():
        through = sum(s for (t, p), s in printed.items() if t == 1 - side and (p <= price if side == 0 else p >= price))
        assert size <= through


# Fifty-five ahead of us leave, thirty-six of them by a print that is told after the level: nobody reached us.
TOLD_LATE = [("level", 1, 0, 4600, 55, Outcome.YES), ("join", 0, 4600, 13), ("level", 2, 0, 4600, 0, Outcome.YES)]
LATE_PRINT = ("print", 1, 4600, 36, Outcome.YES)


@example(steps=[*TOLD_LATE, LATE_PRINT], has_prints=True)
@given(steps=STEPS, has_prints=st.booleans())
def test_at_every_moment_pessimistic_has_filled_no_more_than_realistic_and_that_no_more_than_optimistic(
    steps, has_prints
):
    forms = Queue().bracket()
    assert list(forms) == ["pessimistic", "realistic", "optimistic"]
    runs = [Compiled(form, has_prints) for form in forms.values()]
    oracles = [Oracle(form.cancels, depletion=form.counts_depletion(has_prints)) for form in forms.values()]
    joined = False
    for step in steps:
        if step[0] == "join" and not joined:
            joined = True
            for run, oracle in zip(runs, oracles, strict=True):
                kernel.join(run.books, run.queues, 0, 0, *step[1:])
                oracle.join(0, *step[1:])
        elif step[0] not in ("join", "leave"):
            for run, oracle in zip(runs, oracles, strict=True):
                run.row(step)
                run_oracle(oracle, step)
        for sums in (
            [sum(size for _, _, size in run.fills) for run in runs],
            [sum(size for _, _, size in oracle.fills) for oracle in oracles],
        ):
            assert sums == sorted(sums)


@given(data=st.data())
def test_a_book_is_the_same_whatever_the_order_its_rows_arrive_in(data):
    steps = data.draw(steps_of(("book", "level")))
    stamped = [(step[0], stamp, *step[2:]) for stamp, step in enumerate(steps)]
    ends = []
    for order in (stamped, data.draw(st.permutations(stamped))):
        ours = Compiled(Queue())
        for step in order:
            ours.row(step)
        ends.append([ours.sizes(0), ours.sizes(1), ours.books.best.tolist()])
    assert ends[0] == ends[1]


@given(steps=STEPS)
def test_rows_applied_at_once_or_one_by_one_fill_the_same(steps):
    rows, singly, joined = RowBuilder(), Compiled(Queue()), 0
    together = Compiled(Queue())
    for step in steps:
        if step[0] == "join" and not len(rows):
            for each in (singly, together):
                kernel.join(each.books, each.queues, joined, 0, *step[1:])
            joined += 1
        elif step[0] not in ("join", "leave"):
            singly.row(step)
            add_row(rows, singly.at, step)
    built = rows.build()
    _, n = kernel.advance(together.books, together.queues, built, 0, 2**61, 2**60, together.rules, together.out)
    assert n == len(singly.fills)
    assert together.orders() == singly.orders()


@dataclass
class Scene:
    """One order of 100 behind 50 at 0.45, in a book that the test changes."""

    ours: Compiled

    @property
    def ahead(self) -> int:
        return self.ours.orders()[0][3]


@pytest.fixture
def behind_fifty():
    def build(cancels: Cancels) -> Scene:
        ours = Compiled(Queue(cancels))
        ours.row(("level", 0, 0, 4500, 50, Outcome.YES))
        kernel.join(ours.books, ours.queues, 0, 0, 0, 4500, 100)
        ours.row(("level", 1, 0, 4500, 100, Outcome.YES))  # fifty more come behind us
        return Scene(ours)

    return build


@pytest.mark.parametrize(("cancels", "ahead"), [(Cancels.AHEAD, 20), (Cancels.SHARED, 35), (Cancels.BEHIND, 50)])
def test_thirty_cancelled_of_a_hundred_move_us_up_by_their_share(behind_fifty, cancels, ahead):
    scene = behind_fifty(cancels)
    scene.ours.row(("level", 2, 0, 4500, 70, Outcome.YES))
    assert scene.ahead == ahead


@pytest.mark.parametrize("first", ["print", "level"])
def test_a_print_and_the_level_it_shrinks_count_once_in_either_order(behind_fifty, first):
    scene = behind_fifty(Cancels.SHARED)
    rows = {"print": ("print", 1, 4500, 30, Outcome.YES), "level": ("level", 2, 0, 4500, 70, Outcome.YES)}
    for name in (first, next(each for each in rows if each != first)):
        scene.ours.row(rows[name])
    assert scene.ahead == 20


@pytest.mark.parametrize("cancels", list(Cancels))
def test_what_left_in_front_of_us_and_is_printed_late_did_not_fill_us(cancels):
    ours = Compiled(Queue(cancels))
    level, (_, *ours_at), gone = TOLD_LATE
    ours.row(level)
    kernel.join(ours.books, ours.queues, 0, 0, *ours_at)
    ours.row(gone)
    assert ours.row(LATE_PRINT) == []


def test_a_print_on_no_takes_the_bid_on_yes(behind_fifty):
    scene = behind_fifty(Cancels.SHARED)
    # Somebody buys NO at 0.55: that sells YES at 0.45.
    assert scene.ours.row(("print", 1, 4500, 60, Outcome.NO)) == [(0, 4500, 10)]


def test_a_print_through_our_price_fills_us_before_anybody_at_its_price(behind_fifty):
    scene = behind_fifty(Cancels.SHARED)
    kernel.join(scene.ours.books, scene.ours.queues, 1, 0, 0, 4400, 100)
    assert scene.ours.row(("print", 1, 4400, 120, Outcome.YES)) == [(0, 4500, 100), (1, 4400, 20)]


def test_on_a_feed_without_prints_a_level_that_vanishes_counts_as_printed():
    ours = Compiled(Queue(), has_prints=False)
    ours.row(("level", 0, 0, 4500, 50, Outcome.YES))
    kernel.join(ours.books, ours.queues, 0, 0, 0, 4500, 100)
    ours.row(("level", 1, 0, 4500, 80, Outcome.YES))
    assert ours.row(("level", 2, 0, 4500, 0, Outcome.YES)) == [(0, 4500, 30)]


@given(STEPS)
def test_a_session_does_what_its_parts_do(steps):
    rows, moves, ours = RowBuilder(), array("q"), kernel.new_queues(1)
    books, fills, rules = kernel.new_books(np.array([100], np.int64)), kernel.new_fills(), Queue().rules(True)
    for at, step in enumerate(steps):
        if step[0] in ("book", "level", "print"):
            add_row(rows, at, step)
    built = rows.build()
    strange = kernel.Rows(*(np.repeat(column.astype(np.int64), 2)[::2] for column in built))
    session_books, session_queues = kernel.new_books(np.array([100], np.int64)), kernel.new_queues(1)
    session_fills = kernel.new_fills()
    session = kernel.Session(session_books, session_queues, strange, session_fills, rules, 2)
    for slot, step in enumerate(step for step in steps if step[0] == "join"):
        kernel.join(books, ours, slot, 0, *step[1:])
        moves.extend((slot, step[1] * kernel.PRICE_ROOM + step[2], step[3]))
    if moves:
        kernel.leave(ours, 0)
        moves.extend((0, 0, 0))
    done, filled = kernel.advance(books, ours, built, 0, 2**61, 2**60, rules, fills)
    assert session.run(moves, 0, 2**61, 2**60) == (done, filled)
    for left, right in zip((*books, *ours, *fills), (*session_books, *session_queues, *session_fills), strict=True):
        assert (left == right).all()
