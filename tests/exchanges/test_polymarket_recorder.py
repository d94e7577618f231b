"""A recording holds every frame as it was sent, marks what is missing, survives a kill, and replays."""

import gzip
import json
from pathlib import Path
from random import Random

import httpx
import pytest
import trio
from polymarket_peers import T0, URL, Venue, a_print, book, change, gamma, market, now

from pmrun.plugins.exchanges.common.local_books import LocalBooks
from pmrun.plugins.exchanges.common.network import Network
from pmrun.plugins.exchanges.polymarket.record_verb import main, record_feed
from pmrun.plugins.exchanges.polymarket.recorder import record
from pmrun.plugins.exchanges.polymarket.tape_writer import TapeWriter
from pmrun.plugins.exchanges.polymarket.watch import Patience
from pmrun.plugins.exchanges.polymarket.wire import parse_frame
from pmrun.plugins.executors.fill import Queue
from pmrun.plugins.executors.paper import Paper
from pmrun.plugins.feeds.live import Polymarket
from pmrun.plugins.feeds.tape import Tape
from pmrun.runner.book import Book
from pmrun.runner.errors import ConfigError, DataError
from pmrun.runner.hooks import WHOLE_BOOK
from pmrun.runner.market import MarketNo
from pmrun.runner.stopping import Stop
from pmrun.runner.units import Micros

RAIN, SNOW = market(0), market(1)
QUIET = book({"0.48": "100", "0.47": "200"}, {"0.52": "100", "0.53": "200"}, T0, RAIN)
FLAKES = book({"0.3": "1"}, {"0.4": "1"}, T0, SNOW)
ROWS = [json.dumps(gamma(RAIN), indent=3).encode(), json.dumps(gamma(SNOW)).encode()]


class Rest:
    def __init__(self, venue: Venue) -> None:
        self.books = venue.rest_books


async def start(nursery, venue: Venue, folder: Path, seconds: float | None = 10.0, **more):
    """Begin a recording; return a list that gets its result."""
    result: list = []

    async def go() -> None:
        result.append(
            await record(
                venue.connect, Rest(venue), [RAIN, SNOW], ROWS, folder, seconds, now, url=URL, rng=Random(1), **more
            )
        )

    nursery.start_soon(go)
    await trio.sleep(0.5)
    return result


@pytest.fixture
async def venue(nursery):
    found = Venue(nursery)
    found.books = {RAIN.yes: QUIET, SNOW.yes: FLAKES}
    return found


def lines(folder: Path) -> list[str]:
    return gzip.decompress((folder / "frames.jsonl.gz").read_bytes()).decode().splitlines()


def books_of(folder: Path) -> list[Book]:
    """Return the last books of a tape, by market."""
    data = Tape(str(folder)).open()
    exchange = Paper().open(data, Queue(), WHOLE_BOOK, True)
    exchange.advance(Micros(2**61))
    told = {changed.market: changed.book for changed in exchange.books(data.info.last_at)}
    return [told.get(MarketNo(no), Book((), ())) for no in range(len(data.markets))]


async def test_what_is_recorded_replays_to_the_same_books(venue, nursery, tmp_path, autojump_clock):
    chance, books = Random(3), LocalBooks([RAIN, SNOW])
    result = await start(nursery, venue, tmp_path / "tape", 60)
    sent: list[dict] = [QUIET, FLAKES]
    for number in range(1, 200):
        await trio.sleep(chance.uniform(0, 0.5))
        of = chance.choice([RAIN, SNOW])
        if number % 20 == 0:
            sent.append(a_print("0.48", "3", "SELL", T0 + number, of))
        else:
            cents, side = chance.randint(35, 48), chance.choice(["BUY", "SELL"])
            price = cents if side == "BUY" else 100 - cents
            sent.append(change(f"0.{price}", str(chance.randint(0, 9)), side, T0 + number, of))
        await venue.send(sent[-1])
    await trio.sleep(60)
    for frame in sent:
        books.take(parse_frame(json.dumps(frame)), now())
    (done,) = result
    assert books_of(tmp_path / "tape") == [books.book(MarketNo(0)), books.book(MarketNo(1))]
    info = Tape(str(tmp_path / "tape")).open().info
    assert (done.frames, done.gaps) == (200, 0)
    assert (info.frames, info.prints) == (200, 9)
    assert info.remarks == ()


async def test_every_frame_stands_in_the_tape_as_it_was_sent(venue, nursery, tmp_path, autojump_clock):
    odd = '{ "event_type":"book","asset_id":"%s","market":"%s", "timestamp":"%d","hash":"","colour":"gr\\u00fcn é",\n'
    odd = odd % (RAIN.yes, RAIN.condition, T0 + 1) + '"bids":[ {"size":"1.50","price":".48"}],"asks":[]}'
    plain = json.dumps(change("0.49", "5.00", "BUY", T0 + 2, RAIN), separators=(", ", ":"))
    await start(nursery, venue, tmp_path)
    await venue.send(odd, plain, "[]")
    await trio.sleep(15)
    said = [line.partition('"m":')[2][:-1] for line in lines(tmp_path)]
    assert said == [json.dumps([QUIET, FLAKES]), odd.replace("\n", " "), plain, "[]"]
    assert json.loads(lines(tmp_path)[0])["t"] == T0


async def test_markets_are_listed_exactly_as_the_exchange_sent_them(venue, nursery, tmp_path, autojump_clock):
    await start(nursery, venue, tmp_path)
    listing = (tmp_path / "markets.json").read_bytes()
    assert all(row in listing for row in ROWS)
    assert [one["slug"] for one in json.loads(listing)] == ["rain-0", "rain-1"]


async def test_a_gap_is_marked_where_it_begins_and_where_it_ends(venue, nursery, tmp_path, autojump_clock):
    result = await start(nursery, venue, tmp_path, 30)
    await trio.sleep(1.5)
    await venue.sockets[0].aclose(1012, "restart")
    await trio.sleep(30)
    gaps = [json.loads(line) for line in lines(tmp_path) if '"gap"' in line]
    assert [gap["t"] for gap in gaps] == [T0 + 2_000, gaps[1]["gap"]["until"]]
    assert gaps[0]["gap"] == {
        "shard": 0, "why": "closed with code 1012 restart", "since": T0, "until": None,
        "markets": [RAIN.condition, SNOW.condition],
    }  # fmt: skip
    (done,) = result
    assert done.gaps == 1
    assert 0.25 <= done.gap_seconds <= 0.5
    assert done.gap_seconds * 1_000 == pytest.approx(gaps[1]["t"] - gaps[0]["t"], abs=1)


async def test_the_books_of_a_gap_are_empty_until_the_next_snapshot(venue, nursery, tmp_path, autojump_clock):
    await start(nursery, venue, tmp_path, 30, patience=Patience(quiet_after=100, longest_wait=100))
    await trio.sleep(1)
    venue.dumps = False
    await venue.sockets[0].aclose()
    await trio.sleep(2)
    await venue.send(change("0.49", "5", "BUY", T0 + 5, RAIN), {**FLAKES, "timestamp": str(T0 + 9)})
    await trio.sleep(30)
    assert [one.best_bid for one in books_of(tmp_path)] == [None, 3000]
    assert "gaps in the recording: 1" in Tape(str(tmp_path)).open().info.remarks[0]


async def test_a_frozen_socket_is_a_gap(venue, nursery, tmp_path, autojump_clock):
    result = await start(nursery, venue, tmp_path, 60)
    venue.frames = False
    await venue.move(book({"0.1": "1"}, {"0.9": "1"}, T0 + 9_000, RAIN))
    await trio.sleep(15)
    venue.frames = True
    await trio.sleep(60)
    assert result[0].gaps >= 1
    assert result[0].probes["frozen"] >= 1
    assert any("frozen" in line for line in lines(tmp_path))
    assert books_of(tmp_path)[0].best_bid == 1000


async def test_a_frame_that_breaks_the_protocol_is_kept_as_text_and_does_not_break_the_tape(
    venue, nursery, tmp_path, autojump_clock
):
    result = await start(nursery, venue, tmp_path, 20)
    await venue.send("<html>502</html>")
    await trio.sleep(30)
    assert result[0].violations == 1
    assert any("<html>502</html>" in json.loads(line).get("gap", {}).get("frame", "") for line in lines(tmp_path))
    assert books_of(tmp_path)[0].best_bid == 4800


async def test_the_exchange_being_away_at_the_start_is_a_gap_too(venue, nursery, tmp_path, autojump_clock):
    venue.refuse = True
    result = await start(nursery, venue, tmp_path, 60)
    venue.refuse = False
    await trio.sleep(70)
    assert result[0].gaps == 1
    assert json.loads(lines(tmp_path)[0])["gap"]["why"].startswith("cannot connect: ConnectionRefusedError")
    assert books_of(tmp_path)[0].best_bid == 4800


async def test_the_record_says_what_it_holds_and_that_it_ended(venue, nursery, tmp_path, autojump_clock):
    await start(nursery, venue, tmp_path, 10)
    assert json.loads((tmp_path / "record.json").read_text())["ended"] is None
    await trio.sleep(12)
    about = json.loads((tmp_path / "record.json").read_text())
    assert about["url"] == URL
    assert about["started"] == "2026-09-21T14:13:20.000Z"
    assert about["ended"] == "2026-09-21T14:13:30.000Z"
    assert (about["seconds"], about["frames"], about["markets"]) == (10.0, 1, 2)
    assert about["shards"] == {"0": [RAIN.yes, RAIN.no, SNOW.yes, SNOW.no]}


async def test_a_recording_that_is_interrupted_is_whole(venue, tmp_path, autojump_clock):
    async with trio.open_nursery() as outer, trio.open_nursery() as inner:
        venue.nursery = outer
        await start(inner, venue, tmp_path, None)
        inner.cancel_scope.cancel()
        outer.cancel_scope.cancel()
    assert json.loads((tmp_path / "record.json").read_text())["ended"] is not None
    assert books_of(tmp_path)[0].best_bid == 4800


async def test_a_tape_is_never_written_over(venue, nursery, tmp_path, autojump_clock):
    await start(nursery, venue, tmp_path)
    with pytest.raises(ConfigError, match="a tape is never written over"):
        await record(venue.connect, Rest(venue), [RAIN], ROWS, tmp_path, 1, now, url=URL, rng=Random(1))


async def test_a_folder_that_cannot_be_made_is_named(venue, tmp_path, autojump_clock):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        await record(venue.connect, Rest(venue), [RAIN], ROWS, tmp_path / "file" / "x", 1, now, url=URL, rng=Random(1))


# The verb.


def listing_of(venue: Venue):
    def answer(request: httpx.Request) -> httpx.Response:
        match request.url.path:
            case "/rewards/markets/current":
                return httpx.Response(200, json={"data": [], "next_cursor": "LTE="})
            case "/markets/keyset":
                return httpx.Response(200, content=b'{"markets":[' + b",".join(ROWS) + b"]}")
            case "/books":
                tokens = [each["token_id"] for each in json.loads(request.content)]
                return httpx.Response(200, json=[venue.books[token] for token in tokens if token in venue.books])
        return httpx.Response(404)

    return httpx.MockTransport(answer)


async def test_what_the_verb_records_is_what_the_feed_would_have_shown(
    venue, nursery, tmp_path, autojump_clock, capsys
):
    feed = Polymarket(clob_url="http://127.0.0.1", gamma_url="http://127.0.0.1", socket_url="ws://127.0.0.1", top=1)
    async with httpx.AsyncClient(transport=listing_of(venue)) as http:
        network = Network(http, venue.connect)
        made = await record_feed(feed, network, tmp_path / "tape", 30, Stop())
    assert (made.frames, made.markets, made.url) == (1, 1, "ws://127.0.0.1/ws/market")
    assert json.loads(venue.asked[0])["assets_ids"] == [RAIN.yes, RAIN.no]
    assert books_of(tmp_path / "tape")[0].best_bid == 4800
    assert "recording 1 markets" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "tape", "--seconds", "0"], "record --seconds=0.0: must be above 0 and at most 31,622,400"),
        ([], "record: the following arguments are required: --to"),
        (["feed=sim", "--to", "tape"], "feed=Simulated: only a live feed can be recorded: feed=polymarket"),
    ],
)
def test_a_mistake_in_the_command_costs_one_line(arguments, said, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as error:
        main(arguments)
    assert str(error.value) == said
    assert not (tmp_path / "tape").exists()


# What a kill leaves.


async def killed(nursery, venue, folder: Path) -> int:
    """Record for three seconds and leave it as a kill -9 would; return how many frames were sent."""
    await start(nursery, venue, folder, None)
    for number in range(1, 31):
        await venue.send(change("0.48", str(number), "BUY", T0 + 100 * number, RAIN))
        await trio.sleep(0.1)
    for path in folder.iterdir():
        (folder.parent / "left" / path.name).write_bytes(path.read_bytes())
    return 31


async def test_a_killed_recording_costs_a_second_at_most_and_reads_to_its_end(venue, nursery, tmp_path, autojump_clock):
    (tmp_path / "left").mkdir()
    sent = await killed(nursery, venue, tmp_path / "tape")
    info = Tape(str(tmp_path / "left")).open().info
    assert sent - 11 <= info.frames <= sent
    assert "the recording was killed" in info.remarks[0]


async def test_a_recording_cut_off_anywhere_reads_up_to_the_damage(venue, nursery, tmp_path, autojump_clock):
    (tmp_path / "left").mkdir()
    await killed(nursery, venue, tmp_path / "tape")
    frames = tmp_path / "left" / "frames.jsonl.gz"
    whole = frames.read_bytes()
    counts = []
    for cut in range(400, len(whole) + 1, 7):
        frames.write_bytes(whole[:cut])
        counts.append(Tape(str(tmp_path / "left")).open().info.frames)
    assert counts == sorted(counts)
    assert counts[0] >= 1
    middle = len(whole) // 2
    frames.write_bytes(whole[:middle] + bytes(40) + whole[middle + 40 :])
    with pytest.raises(DataError, match="damaged"):
        Tape(str(tmp_path / "left")).open()


async def test_a_recording_that_ended_well_and_was_cut_off_later_is_damaged(venue, nursery, tmp_path, autojump_clock):
    await start(nursery, venue, tmp_path, 5)
    await trio.sleep(10)
    frames = tmp_path / "frames.jsonl.gz"
    frames.write_bytes(frames.read_bytes()[:-9])
    with pytest.raises(DataError, match="damaged or cut off"):
        Tape(str(tmp_path)).open()


def test_nothing_is_written_twice_and_nothing_when_there_is_nothing(tmp_path):
    writer = TapeWriter(tmp_path / "tape")
    writer.flush()
    assert (tmp_path / "tape" / "frames.jsonl.gz").read_bytes() == b""
    writer.frame("[]", Micros(5_000))
    writer.flush()
    writer.flush()
    writer.close()
    assert lines(tmp_path / "tape") == ['{"t":5,"m":[]}']


# What a tape says of gaps.


def test_a_gap_without_its_markets_empties_every_book(tmp_path):
    frames = [
        {"t": T0, "m": [QUIET, FLAKES]},
        {"t": T0 + 1, "gap": {"shard": 0, "why": "by hand"}},
        {"t": T0 + 2, "m": []},
    ]
    (tmp_path / "markets.json").write_text(json.dumps([gamma(RAIN), gamma(SNOW)]))
    (tmp_path / "frames.jsonl").write_text("\n".join(map(json.dumps, frames)))
    assert books_of(tmp_path) == [Book((), ())] * 2


def test_a_line_that_is_neither_frame_nor_gap_is_named(tmp_path):
    (tmp_path / "markets.json").write_text(json.dumps([gamma(RAIN)]))
    (tmp_path / "frames.jsonl").write_text(json.dumps({"t": T0, "m": QUIET}) + '\n{"t": 1}\n')
    with pytest.raises(DataError, match=r"line 2: a line holds a frame `m` or a `gap`"):
        Tape(str(tmp_path)).open()


@pytest.mark.parametrize("chosen", ["exchange=satori", "feed=satori"])
def test_another_exchange_is_refused_in_one_line(chosen, tmp_path):
    with pytest.raises(ConfigError, match="feed=SatoriEx: cannot be recorded: a tape holds the frames of Polymarket"):
        main([chosen, "--to", str(tmp_path / "tape")])
