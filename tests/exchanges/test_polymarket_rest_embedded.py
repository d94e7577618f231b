"""The adapter's REST calls against the embedded exchange: the whole life of orders, with simulated money."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
import trio
from order_words import unsaid

from pmrun.plugins.exchanges.common.secret import Secret
from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.host import Host
from pmrun.plugins.exchanges.embedded.modes import Mode
from pmrun.plugins.exchanges.embedded.settings import HostSettings
from pmrun.plugins.exchanges.embedded.signed_orders import EXCHANGE_V2
from pmrun.plugins.exchanges.embedded.terms import Request
from pmrun.plugins.exchanges.polymarket.budget import Budget
from pmrun.plugins.exchanges.polymarket.errors_table import Reaction
from pmrun.plugins.exchanges.polymarket.news import OrderStatus, TraderSide, TradeStatus
from pmrun.plugins.exchanges.polymarket.outcomes import IncompleteSnapshot, Lost, Rejected
from pmrun.plugins.exchanges.polymarket.rest import Rest
from pmrun.plugins.exchanges.polymarket.signing import SignedOrder, Signer
from pmrun.plugins.exchanges.polymarket.transport import Urls
from pmrun.plugins.exchanges.polymarket.wire_orders import CancelAnswer, OrderAnswer, Verdict
from pmrun.runner.market import ConditionId, Market, TokenId
from pmrun.runner.units import SECOND, Cash, Micros, Price, Side, Size

NOON = 1_772_366_400 * SECOND
SHARE = 1_000_000
URL = "http://simulated.test"
FUNDER = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"


def market(name: str, **terms: Any) -> Market:
    number = int(hashlib.sha256(name.encode()).hexdigest(), 16)
    given: dict[str, Any] = {
        "condition": ConditionId(f"0x{number:064x}"),
        "question": f"Will it {name}?",
        "slug": name,
        "yes": TokenId(str(number | 1)),
        "no": TokenId(str(number & ~1)),
        "tick": Price(100),
        "min_order_size": Size(5 * SHARE),
        "simulated": True,
    }
    return Market(**(given | terms))


RAIN = market("rain")
SNOW = market("snow", neg_risk=True, tick=Price(10))
HAIL = market("hail", yes=TokenId(str((1 << 248) | (7 << 104))), no=TokenId(str((1 << 248) | (7 << 104) | 1)))


def now() -> Micros:
    return Micros(NOON + round(trio.current_time() * SECOND))


class Road:
    """The way to an exchange in this process; it can lose an answer after the call has arrived."""

    def __init__(self, *markets: Market, settings: HostSettings = HostSettings()) -> None:
        self.engine = Engine(markets or (RAIN, SNOW, HAIL))
        self.host = Host(self.engine, now, settings=settings)
        self.lose = False

    async def handle(self, request: httpx.Request) -> httpx.Response:
        reply = self.host.answer(
            Request(
                method=request.method,
                path=request.url.path,
                query=parse_qs(request.url.query.decode()),
                headers={name.lower(): value for name, value in request.headers.items()},
                body=request.content,
            )
        )
        if reply.lost or self.lose:
            self.lose = False
            await trio.sleep_forever()
        await trio.sleep(reply.delay / SECOND)
        return httpx.Response(reply.status, content=reply.body, headers=dict(reply.headers))

    @asynccontextmanager
    async def user(self, key: str, kind: int = 0, funder: str | None = None) -> AsyncIterator["User"]:
        signer = Signer(Secret(key * 32), signature_type=kind, funder=funder)
        urls = Urls(clob=URL, gamma=URL, data=URL, geoblock=URL)
        async with httpx.AsyncClient(transport=httpx.MockTransport(self.handle)) as http:
            rest = Rest(http, urls, signer, None, Budget(now), now)
            await rest.create_or_derive_key()
            yield User(rest, signer)


class User:
    def __init__(self, rest: Rest, signer: Signer) -> None:
        self.rest = rest
        self.signer = signer

    def sign(self, where: Market, token: TokenId, side: Side, price: int, shares: int, **how: Any) -> SignedOrder:
        terms = (token, side, Price(price), Size(shares * SHARE), where.tick, where.neg_risk)
        return self.signer.order(*terms, at=now(), **how)

    async def place(self, *terms: Any, post_only: bool = True, **how: Any) -> tuple[SignedOrder, Any]:
        signed = self.sign(*terms, **how)
        [placed] = await self.rest.place([(signed, post_only)])
        return signed, placed


async def test_the_life_of_an_order_from_its_terms_to_its_settlement(autojump_clock):
    road = Road()
    async with road.user("11") as maker, road.user("22") as taker:
        rest = maker.rest
        assert await rest.time() == NOON
        assert await rest.version() == 2
        assert (await rest.geoblock()).blocked is False
        assert await rest.closed_only() is False
        terms = await rest.clob_market(RAIN.condition)
        assert (terms.tick, terms.yes) == (RAIN.tick, RAIN.yes)
        assert await rest.tick_size(RAIN.yes) == RAIN.tick
        assert await rest.neg_risk(SNOW.yes) is True
        assert {each.condition for each in (await rest.gamma_markets()).markets} == {
            each.condition for each in (RAIN, SNOW, HAIL)
        }
        before = (await rest.balance()).balance

        signed, placed = await maker.place(RAIN, RAIN.yes, Side.BUY, 4000, 50)
        assert isinstance(placed, OrderAnswer)
        assert (placed.verdict, placed.order_id, placed.status) == (
            Verdict.ACCEPTED,
            signed.order_id,
            OrderStatus.LIVE,
        )
        [listed] = await rest.open_orders()
        alone = await rest.order(signed.order_id)
        assert listed == alone
        assert (listed.price, listed.original_size, listed.size_matched) == (4000, 50 * SHARE, 0)
        [book] = await rest.books([RAIN.yes])
        assert book.bids == ((4000, 50 * SHARE),)
        assert await rest.order_scoring([signed.order_id]) == {signed.order_id: False}
        beat = await rest.heartbeat()
        assert await rest.heartbeat("not this one") != beat

        _, taken = await taker.place(RAIN, RAIN.no, Side.BUY, 6000, 20, post_only=False, time_in_force="FAK")
        assert taken.status is OrderStatus.MATCHED
        [trade] = await rest.trades()
        assert (trade.trader_side, trade.status) == (TraderSide.MAKER, TradeStatus.MATCHED)
        assert [(fill.order_id, fill.price, fill.size) for fill in trade.maker_fills] == [
            (signed.order_id, 4000, 20 * SHARE)
        ]
        await trio.sleep(6)
        [settled] = await rest.trades(after=NOON)
        assert settled.status is TradeStatus.CONFIRMED
        assert (await rest.balance()).balance == before - 8 * SHARE
        assert (await rest.balance(RAIN.yes)).balance == 20 * SHARE
        await rest.update_balance(RAIN.yes)
        [held] = await rest.positions(maker.signer.maker)
        assert (held.token, held.size) == (RAIN.yes, 20 * SHARE)

        assert unsaid(await rest.cancel([signed.order_id])) == CancelAnswer((signed.order_id,), {})
        assert await rest.order(signed.order_id) is None
        assert await rest.open_orders() == ()
        again = await rest.cancel([signed.order_id])
        assert isinstance(again, CancelAnswer)
        assert list(again.not_canceled) == [signed.order_id]


@pytest.mark.parametrize("kind", [0, 1, 2, 3])
@pytest.mark.parametrize("where", [RAIN, SNOW, HAIL], ids=lambda where: where.slug)
async def test_orders_of_every_wallet_and_generation_are_taken_under_the_id_we_computed(autojump_clock, kind, where):
    road = Road()
    async with road.user("33", kind, FUNDER if kind else None) as user:
        road.host.add_account(user.signer.address, Cash(1_000 * SHARE), kind, FUNDER if kind else None)
        signed, placed = await user.place(where, where.no, Side.BUY, 3000, 10)
        assert isinstance(placed, OrderAnswer), placed
        assert placed.verdict is Verdict.ACCEPTED
        assert [each.order_id for each in await user.rest.open_orders()] == [signed.order_id]
        assert (await user.rest.balance(where.no)).balance == 0


async def test_a_batch_is_answered_leg_by_leg_and_cancelled_as_a_whole(autojump_clock):
    road = Road()
    async with road.user("44") as user:
        batch = [
            (user.sign(RAIN, RAIN.yes, Side.BUY, 4000, 10), True),
            (user.sign(RAIN, RAIN.yes, Side.SELL, 6000, 10), True),
            (user.sign(SNOW, SNOW.yes, Side.BUY, 4010, 1), True),
            (user.sign(HAIL, HAIL.no, Side.BUY, 4000, 10), True),
        ]
        first, uncovered, small, last = await user.rest.place(batch)
        assert isinstance(first, OrderAnswer)
        assert isinstance(last, OrderAnswer)
        assert isinstance(uncovered, Rejected)
        assert uncovered.reaction is Reaction.FUNDS
        assert isinstance(small, Rejected)
        assert small.reaction is Reaction.REGRID
        one_market = await user.rest.cancel_market(condition=RAIN.condition)
        assert unsaid(one_market) == CancelAnswer((batch[0][0].order_id,), {})
        assert unsaid(await user.rest.cancel_all()) == CancelAnswer((batch[3][0].order_id,), {})


async def test_an_order_whose_answer_is_lost_is_found_by_the_id_we_computed(autojump_clock):
    road = Road()
    async with road.user("55") as user:
        road.lose = True
        signed, placed = await user.place(RAIN, RAIN.yes, Side.BUY, 4000, 10)
        assert placed == Lost(why="no answer within 5 s")
        found = await user.rest.order(signed.order_id)
        assert found is not None
        assert found.status is OrderStatus.LIVE
        [repeated] = await user.rest.place([(signed, True)])
        assert isinstance(repeated, Lost)
        assert repeated.reaction is Reaction.DUPLICATE
        assert len(await user.rest.open_orders()) == 1


async def test_the_modes_of_the_exchange_are_kept_to(autojump_clock):
    road = Road()
    async with road.user("66") as user:
        signed, _ = await user.place(RAIN, RAIN.yes, Side.BUY, 4000, 10)
        road.host.restart(Micros(4 * SECOND))
        _, restarting = await user.place(RAIN, RAIN.yes, Side.BUY, 3900, 10)
        assert isinstance(restarting, Rejected)
        assert restarting.reaction is Reaction.RETRY_LATER
        await trio.sleep(10)
        _, taking = await user.place(RAIN, RAIN.yes, Side.BUY, 3900, 10, post_only=False)
        assert isinstance(taking, Rejected)
        assert (taking.status, taking.reaction) == (503, Reaction.POST_ONLY)
        _, held = await user.place(RAIN, RAIN.yes, Side.BUY, 3900, 10, post_only=False)
        assert isinstance(held, Rejected)
        assert (held.status, held.reaction) == (None, Reaction.POST_ONLY)
        _, resting = await user.place(RAIN, RAIN.yes, Side.BUY, 3800, 10)
        assert isinstance(resting, OrderAnswer)
        road.host.set_mode(Mode.CANCEL_ONLY)
        _, refused = await user.place(RAIN, RAIN.yes, Side.BUY, 3700, 10)
        assert isinstance(refused, Rejected)
        assert refused.reaction is Reaction.CANCEL_ONLY
        assert isinstance(await user.rest.cancel([signed.order_id]), CancelAnswer)
        road.host.set_mode(Mode.DISABLED)
        assert isinstance(await user.rest.cancel_all(), Rejected)
        road.host.set_mode(Mode.RUNNING)
        assert isinstance(await user.rest.cancel_all(), CancelAnswer)


async def test_places_faster_than_the_limit_are_shed_by_us_and_never_refused_by_the_exchange(autojump_clock):
    road = Road()
    async with road.user("77") as user:
        shed = 0
        for step in range(120):
            signed, placed = await user.place(RAIN, RAIN.yes, Side.BUY, 3000 + step % 50 * 100, 10)
            if isinstance(placed, OrderAnswer):
                assert isinstance(await user.rest.cancel([signed.order_id]), CancelAnswer)
            else:
                assert isinstance(placed, Rejected)
                assert placed.status is None
                shed += 1
        assert shed == 60
        assert await user.rest.open_orders() == ()


async def test_many_open_orders_come_from_many_pages(autojump_clock):
    road = Road()
    async with road.user("88") as user:
        placed: list[str] = []
        while len(placed) < 210:
            batch = [(user.sign(RAIN, RAIN.yes, Side.BUY, 100, 5), True) for _ in range(15)]
            answers = await user.rest.place(batch)
            placed += [each.order_id for each in answers if isinstance(each, OrderAnswer) and each.order_id]
            await trio.sleep(0.5)
        assert {each.order_id for each in await user.rest.open_orders()} == set(placed)
        assert isinstance(await user.rest.cancel(placed), CancelAnswer)
        assert await user.rest.open_orders() == ()


async def test_an_api_key_of_another_wallet_reads_nothing(autojump_clock):
    road = Road()
    async with road.user("99") as user:
        user.rest.transport.signer = Signer(Secret("12" * 32))
        with pytest.raises(IncompleteSnapshot, match="401 Unauthorized/Invalid api key"):
            await user.rest.open_orders()


@pytest.mark.parametrize("kind", [0, 1, 2, 3])
async def test_a_wallet_of_any_kind_has_its_money_before_its_first_order(autojump_clock, kind):
    road = Road()
    async with road.user("ab", kind, FUNDER if kind else None) as user:
        before = (await user.rest.balance()).balance
        assert before == road.host.settings.funds
        assert (await user.rest.balance(RAIN.yes)).balance == 0
        _, placed = await user.place(RAIN, RAIN.yes, Side.BUY, 3000, 10)
        assert placed.verdict is Verdict.ACCEPTED
        assert (await user.rest.balance()).balance == before
        road.host.engine.ledger.check()


async def test_an_account_that_may_only_close_buys_nothing(autojump_clock):
    road = Road(settings=HostSettings(closed_only=True))
    async with road.user("ac") as user:
        assert await user.rest.closed_only() is True
        road.host.engine.grant(user.signer.maker, RAIN.yes, Size(10 * SHARE), now())
        _, bid = await user.place(RAIN, RAIN.yes, Side.BUY, 3000, 10)
        assert isinstance(bid, Rejected)
        assert (bid.reason, bid.reaction) == (
            f"'{user.signer.address}' address in closed only mode",
            Reaction.STOP_OPENING,
        )
        _, ask = await user.place(RAIN, RAIN.yes, Side.SELL, 7000, 10)
        assert ask.verdict is Verdict.ACCEPTED


async def test_a_contract_takes_no_more_than_it_is_allowed_to(autojump_clock):
    road = Road(settings=HostSettings(allowances={EXCHANGE_V2: 3 * SHARE}))
    async with road.user("ad") as user:
        _, fits = await user.place(RAIN, RAIN.yes, Side.BUY, 3000, 10)
        assert fits.verdict is Verdict.ACCEPTED
        _, over = await user.place(RAIN, RAIN.yes, Side.BUY, 3100, 10)
        assert isinstance(over, Rejected)
        assert over.reason == f"not enough balance / allowance: the allowance is not enough -> spender: {EXCHANGE_V2}"
        assert over.reaction is Reaction.FUNDS
        _, elsewhere = await user.place(SNOW, SNOW.yes, Side.BUY, 4010, 100)
        assert elsewhere.verdict is Verdict.ACCEPTED
