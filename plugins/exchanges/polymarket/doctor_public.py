"""What anybody can look at before trading: addresses, version, clock, place, markets and their terms."""

from collections.abc import Awaitable, Callable

import trio

from pmrun.plugins.exchanges.common.doctor_findings import Finding, misconfigured, ok, refused, warning
from pmrun.plugins.exchanges.common.sockets import BROKEN
from pmrun.plugins.exchanges.common.texts import one_line
from pmrun.plugins.exchanges.polymarket.catalogue import find
from pmrun.plugins.exchanges.polymarket.doctor_subject import ANSWER_WITHIN, Need, Subject
from pmrun.plugins.exchanges.polymarket.outcomes import CallFailed
from pmrun.plugins.exchanges.polymarket.start import CLOCK_OFF
from pmrun.plugins.exchanges.polymarket.transport import Call, Unanswered
from pmrun.plugins.exchanges.polymarket.wire_gamma import parse_gamma_markets
from pmrun.runner.errors import DataError
from pmrun.runner.units import SECOND, Micros, format_price

SIGNED_VERSION = 2  # the generation of orders that we sign (reference 1.4); V3 is told by the token
CLOCK_WORTH_A_LOOK = Micros(2 * SECOND)
CLOSE_WITHIN = 1.0  # seconds
# Reference 4.5: where the exchange takes orders that close and no others; in CA it is some provinces.
CLOSE_ONLY = frozenset({"US", "GB", "FR", "DE", "IT", "BE", "PL", "AU", "NZ", "SG", "TW", "TH", "BR", "RU", "BY"})
_NETWORK = "look at this machine's network, name server and firewall, and at "


async def addresses(subject: Subject) -> list[Finding]:
    """Call every service and open both sockets, side by side; a line each."""
    urls, socket = subject.urls, subject.feed.socket_url.rstrip("/")
    asked: list[tuple[str, Callable[[], Awaitable[str]], str, bool]] = [
        (Need.CLOB, lambda: _ask(subject, urls.clob), "feed.clob_url", True),
        (Need.GAMMA, lambda: _ask(subject, urls.gamma), "feed.gamma_url", True),
        ("Data API", lambda: _ask(subject, urls.data), "feed.data_url", False),
        ("geoblock service", lambda: _ask(subject, urls.geoblock), "feed.geoblock_url", False),
        ("market socket", lambda: _open(subject, f"{socket}/ws/market"), "feed.socket_url", True),
        ("user socket", lambda: _open(subject, f"{socket}/ws/user"), "feed.socket_url", True),
    ]
    found: dict[str, Finding] = {}

    async def look(name: str, reach: Callable[[], Awaitable[str]], setting: str, needed: bool) -> None:
        began = subject.now()
        wrong = await reach()
        took = (subject.now() - began) // 1_000
        check, cure = name.removeprefix("the "), f"{_NETWORK}{setting}"
        if not wrong:
            found[name] = ok(check, f"answers in {took} ms")
        elif needed:
            found[name] = refused(check, wrong, cure)
            subject.down.add(name)
        else:
            found[name] = warning(check, wrong, f"a run does without it; {cure}")

    async with trio.open_nursery() as nursery:
        for each in asked:
            nursery.start_soon(look, *each)
    return [found[name] for name, _, _, _ in asked]


async def _ask(subject: Subject, service: str) -> str:
    """Say what is wrong with a service; any answer of its own, a 404 too, shows that it is there."""
    result = await subject.rest.transport.send(Call(service=service, path="/"), ANSWER_WITHIN)
    if isinstance(result, Unanswered):
        return f"{service}: {result.why}"
    if result.status == 403 or result.status >= 500:
        return f"{service}: {result.status} {one_line(result.refusal.message)}".rstrip()
    return ""


async def _open(subject: Subject, url: str) -> str:
    wrong = f"{url}: no answer within {ANSWER_WITHIN // SECOND} s"
    with trio.move_on_after(ANSWER_WITHIN / SECOND):
        try:
            socket = await subject.network.connect(url)
        except BROKEN as error:
            return f"{url}: {type(error).__name__} {one_line(str(error))}".rstrip()
        wrong = ""
        with trio.move_on_after(CLOSE_WITHIN):
            await socket.aclose()
    return wrong


async def version(subject: Subject) -> list[Finding]:
    """Ask which generation of orders the exchange takes."""
    theirs = await subject.rest.version()
    if theirs == SIGNED_VERSION:
        return [ok("version", f"takes orders of generation {theirs}, as we sign them")]
    seen = f"takes orders of generation {theirs}, and this pmrun signs {SIGNED_VERSION}"
    return [refused("version", seen, "update pmrun: every order would be refused")]


async def clock(subject: Subject) -> list[Finding]:
    """Compare the clocks by the rule by which a session refuses to start."""
    before = subject.now()
    theirs = await subject.rest.time()
    off = (before + subject.now()) // 2 - theirs  # they tell whole seconds
    seen = f"this machine's is {off / SECOND:+.1f} s off the exchange's (told in whole seconds)"
    subject.clock_fits = abs(off) <= CLOCK_OFF + SECOND
    if not subject.clock_fits:
        return [refused("clock", seen, "set it by NTP (timedatectl set-ntp true): requests are signed with the time")]
    if abs(off) > CLOCK_WORTH_A_LOOK:
        return [warning("clock", seen, "set it by NTP (timedatectl set-ntp true) before it is too far off")]
    return [ok("clock", seen)]


async def geoblock(subject: Subject) -> list[Finding]:
    """Ask whether orders from here are taken (reference 4.5)."""
    try:
        place = await subject.rest.geoblock()
    except CallFailed as failed:
        cure = "orders from blocked places are refused: look at the address"
        return [warning("geoblock", f"not known: {failed}", cure)]
    where = " ".join(part for part in (place.country, place.region) if part) or "an unnamed place"
    elsewhere = "trade from a machine where the exchange's terms allow it"
    if place.blocked and place.country in CLOSE_ONLY:
        return [refused("geoblock", f"close-only from {where}: orders that open are refused", elsewhere)]
    if place.blocked:
        return [refused("geoblock", f"blocked from {where}: every order is refused", elsewhere)]
    if place.country in CLOSE_ONLY:
        return [warning("geoblock", f"not blocked, but {where} was close-only when this pmrun was made", elsewhere)]
    return [ok("geoblock", f"not blocked from {where}")]


async def markets(subject: Subject) -> list[Finding]:
    """Find the markets as a run of these settings would."""
    choice = subject.feed.choice()
    try:
        subject.found = found = await find(subject.rest, choice, subject.now())
    except DataError as error:
        if choice.named:
            return [misconfigured("markets", str(error), "put feed.slugs and feed.condition_ids right")]
        return [refused("markets", str(error), "choose others: feed.top, feed.slugs, feed.rewarded_only")]
    left_out = ", ".join(f"{count} {why}" for why, count in sorted(found.left_out.items()))
    return [ok("markets", f"{len(found.markets)} found" + (f"; left out: {left_out}" if left_out else ""))]


async def terms(subject: Subject) -> list[Finding]:
    """Compare what orders in one market are signed and priced by, wherever the exchange says it."""
    assert subject.found is not None, "needs a market"
    market, (listed,) = subject.found.markets[0], parse_gamma_markets(subject.found.rows[0])
    rest, token = subject.rest, market.yes
    books = await rest.books([token])
    compact = await rest.clob_market(market.condition)
    ticks = {"/tick-size": await rest.tick_size(token), "/clob-markets": compact.tick}
    kinds = {"/neg-risk": await rest.neg_risk(token), "/clob-markets": compact.neg_risk}
    for book in books:
        ticks |= {} if book.tick is None else {"book": book.tick}
        kinds |= {} if book.neg_risk is None else {"book": book.neg_risk}
    found = [
        *_compared(
            market.slug, "tick", {name: format_price(tick) for name, tick in ticks.items()}, format_price(listed.tick)
        ),
        *_compared(market.slug, "neg-risk", {name: _yes(kind) for name, kind in kinds.items()}, _yes(listed.neg_risk)),
    ]
    if compact.accepting_orders is False:
        found.append(warning("terms", f"{market.slug}: takes no orders now", "it may be halted or about to end"))
    seen = f"{market.slug}: tick {format_price(market.tick)}, neg-risk {_yes(market.neg_risk)}, the same everywhere"
    return found or [ok("terms", seen)]


def _compared(slug: str, what: str, said: dict[str, str], gamma: str) -> list[Finding]:
    """The CLOB has to agree with itself; Gamma is cached, and a run does not go by it (reference 6.2)."""
    if len(set(said.values())) > 1:
        seen = f"{slug}: {what} " + ", ".join(f"{value} by {name}" for name, value in said.items())
        return [refused("terms", seen, "it may be changing: run this again, and trade it once they agree")]
    if gamma not in said.values():
        (clob,) = set(said.values())
        seen = f"{slug}: {what} {clob} by the CLOB, {gamma} by Gamma"
        return [warning("terms", seen, "Gamma is cached: a run goes by the book")]
    return []


def _yes(value: bool) -> str:
    return "yes" if value else "no"
