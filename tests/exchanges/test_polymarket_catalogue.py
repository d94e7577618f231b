"""Which markets a run finds: what is tradable, paid, named; and what is said when there are none."""

import json

import pytest
from polymarket_peers import T0, book, gamma, market

from pmrun.plugins.exchanges.polymarket.catalogue import Choice, find, find_markets
from pmrun.plugins.exchanges.polymarket.errors_table import Reaction
from pmrun.plugins.exchanges.polymarket.outcomes import CallFailed
from pmrun.plugins.exchanges.polymarket.transport import Answer, Urls
from pmrun.plugins.exchanges.polymarket.wire_markets import MarketRewards
from pmrun.plugins.exchanges.polymarket.wire_prices import parse_books
from pmrun.runner.errors import DataError, ProtocolViolation
from pmrun.runner.market import RewardTerms
from pmrun.runner.units import Cash, Micros, Price, Size

NOW = Micros(T0 * 1_000)
DAYS = [market(number) for number in range(250)]


def row(number: int, **more: object) -> dict:
    return {**gamma(DAYS[number]), "liquidityNum": 1_000.0 - number, "endDate": "2030-01-01T00:00:00Z", **more}


class Exchange:
    """Gamma's listing, the rewards and the books, as REST gives them."""

    def __init__(self, *rows: dict) -> None:
        self.urls = Urls(gamma="https://gamma")
        self.rows = list(rows)
        self.rates: dict[int, int] = {}
        self.without_book: set[str] = set()
        self.terms: dict[str, object] = {}
        self.asked: list[dict[str, list[str]]] = []
        self.page = 100
        self.failing: Exception | None = None

    @property
    def transport(self):
        return self

    async def read(self, call):
        if self.failing is not None:
            raise self.failing
        assert (call.service, call.path) == ("https://gamma", "/markets/keyset")
        query: dict[str, list[str]] = {}
        for name, value in call.query:
            query.setdefault(name, []).append(value)
        self.asked.append(query)
        names, conditions = query.get("slug"), query.get("condition_ids")
        rows = [
            each
            for each in self.rows
            if (names is None or each["slug"] in names) and (conditions is None or each["conditionId"] in conditions)
        ]
        start = int(query.get("after_cursor", ["0"])[0])
        answer: dict = {"markets": rows[start : start + self.page]}
        if start + self.page < len(rows):
            answer["next_cursor"] = str(start + self.page)
        return Answer(200, json.dumps(answer).encode(), {})

    async def rewards(self):
        return tuple(
            MarketRewards(condition=DAYS[number].condition, rewards=paying(rate), sponsors=0)
            for number, rate in self.rates.items()
        )

    async def books(self, tokens):
        return parse_books(
            json.dumps(
                [
                    {**book({"0.3": "1"}, {"0.4": "1"}, T0, one), **self.terms}
                    for one in DAYS
                    if one.yes in tokens and one.slug not in self.without_book
                ]
            )
        )


def paying(rate: int) -> RewardTerms:
    return RewardTerms(min_size=Size(20_000_000), max_spread=Price(350), daily_rate=Cash(rate * 1_000_000))


def slugs(markets) -> list[str]:
    return [one.slug for one in markets]


async def test_the_most_liquid_markets_come_first_and_no_more_pages_are_read_than_needed():
    exchange = Exchange(*(row(number) for number in range(250)))
    found = await find_markets(exchange, Choice(top=3), NOW)
    assert slugs(found) == ["rain-0", "rain-1", "rain-2"]
    assert exchange.asked == [
        {"limit": ["100"], "closed": ["false"], "order": ["liquidityNum"], "ascending": ["false"]}
    ]
    assert len(await find_markets(exchange, Choice(top=205), NOW)) == 205
    assert [query.get("after_cursor") for query in exchange.asked[1:]] == [None, ["100"], ["200"]]


async def test_what_cannot_be_traded_is_left_out_and_counted():
    exchange = Exchange(
        row(0, acceptingOrders=False),
        row(1, enableOrderBook=False),
        row(2, closed=True),
        row(3, version=None),
        row(4, version="v9"),
        row(5, orderPriceMinTickSize=0.03),
        row(6, endDate="2020-01-01T00:00:00Z"),
        row(7),
        row(8),
    )
    exchange.without_book = {"rain-7"}
    found = await find(exchange, Choice(), NOW)
    assert slugs(found.markets) == ["rain-8"]
    assert found.left_out == {
        "does not take orders": 3,
        "version None is neither v1 nor v2": 1,
        "version 'v9' is neither v1 nor v2": 1,
        "unreadable": 1,
        "its end has passed": 1,
        "has no book": 1,
    }


@pytest.mark.parametrize("title", ["Other", "Person A", "Player AB", "Candidate 3", ""])
async def test_a_placeholder_of_an_augmented_group_is_never_traded(title):
    group = {"enableNegRisk": True, "negRiskAugmented": True, "slug": "race"}
    exchange = Exchange(
        row(0, groupItemTitle=title, events=[group]),
        row(1, groupItemTitle="Marco Rubio", events=[group]),
        row(2, groupItemTitle="Marco Rubio", negRiskOther=True, events=[group]),
        row(3, groupItemTitle=title, events=[{**group, "negRiskAugmented": False}]),
    )
    assert slugs(await find_markets(exchange, Choice(), NOW)) == ["rain-1", "rain-3"]


async def test_a_v2_market_is_traded_by_its_position_ids():
    exchange = Exchange(row(0, version="v2", positionIds=[DAYS[0].yes, DAYS[0].no], clobTokenIds=None))
    (found,) = await find_markets(exchange, Choice(), NOW)
    assert (found.yes, found.no) == (DAYS[0].yes, DAYS[0].no)


async def test_the_best_paid_markets_come_first_where_only_rewarded_ones_are_wanted():
    exchange = Exchange(*(row(number) for number in range(120)))
    exchange.rates = {number: number for number in range(1, 120)}
    found = await find_markets(exchange, Choice(top=60, rewarded_only=True), NOW)
    assert slugs(found) == [f"rain-{number}" for number in range(119, 59, -1)]
    assert found[0].rewards == paying(119)
    assert [len(query["condition_ids"]) for query in exchange.asked] == [50, 50]


async def test_rewards_are_what_the_reward_pages_say():
    exchange = Exchange(row(0), row(1, rewardsMinSize=5, rewardsMaxSpread=2, clobRewards=[{"rewardsDailyRate": 1}]))
    exchange.rates = {0: 7}
    first, second = await find_markets(exchange, Choice(), NOW)
    assert first.rewards == paying(7)
    assert second.rewards is not None
    assert second.rewards.daily_rate == 1_000_000


async def test_tick_and_minimum_size_are_those_of_the_book_not_of_the_cached_listing():
    exchange = Exchange(row(0))
    exchange.terms = {"tick_size": "0.001", "min_order_size": "15", "neg_risk": True}
    (found,) = await find_markets(exchange, Choice(), NOW)
    assert (found.tick, found.min_order_size, found.neg_risk) == (10, 15_000_000, True)


async def test_markets_are_chosen_by_slug_and_by_condition_whatever_top_says():
    exchange = Exchange(*(row(number, endDate="2020-01-01T00:00:00Z") for number in range(9)))
    choice = Choice(top=1, slugs=("rain-4",), condition_ids=(DAYS[7].condition, DAYS[4].condition))
    assert slugs(await find_markets(exchange, choice, NOW)) == ["rain-4", "rain-7"]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (Choice(slugs=("snow",)), "market snow: the exchange lists no open market of this name"),
        (Choice(condition_ids=("0xabc",)), "market 0xabc: the exchange lists no open market of this name"),
        (Choice(slugs=("rain-1",)), "market rain-1: does not take orders"),
        (Choice(slugs=("rain-2",)), "market rain-2: version 'v9' is neither v1 nor v2"),
        (Choice(slugs=("rain-3",)), "market rain-3: has no book: the exchange left it out of its answer to /books"),
        (Choice(slugs=("rain-0",), rewarded_only=True), "market rain-0: pays no rewards"),
        (Choice(slugs=("rain-4",)), "market rain-4: unreadable: orderPriceMinTickSize 0.03 does not divide one dollar"),
    ],
)
async def test_a_named_market_that_cannot_be_traded_is_told_by_its_name(choice, said):
    exchange = Exchange(
        row(0), row(1, acceptingOrders=False), row(2, version="v9"), row(3), row(4, orderPriceMinTickSize=0.03)
    )
    exchange.without_book = {"rain-3"}
    with pytest.raises(DataError) as error:
        await find_markets(exchange, choice, NOW)
    assert str(error.value) == said


async def test_when_nothing_can_be_traded_the_reasons_are_told():
    exchange = Exchange(
        row(0, acceptingOrders=False), row(1, acceptingOrders=False), row(2, orderPriceMinTickSize=0.03)
    )
    with pytest.raises(DataError) as error:
        await find_markets(exchange, Choice(), NOW)
    assert str(error.value) == (
        "none of the 3 markets that the exchange lists can be traded: 2 does not take orders, 1 unreadable "
        "(the first: orderPriceMinTickSize 0.03 does not divide one dollar)"
    )
    with pytest.raises(DataError, match="the exchange lists no open market"):
        await find_markets(Exchange(), Choice(), NOW)


async def test_a_listing_that_does_not_come_is_told_as_the_exchange_said_it():
    exchange = Exchange(row(0))
    exchange.failing = CallFailed("GET /markets/keyset", "Too Many Requests", Reaction.RETRY_LATER, 429)
    with pytest.raises(CallFailed, match="GET /markets/keyset: 429 Too Many Requests"):
        await find_markets(exchange, Choice(), NOW)


async def test_a_cursor_that_leads_to_itself_is_no_endless_loop():
    exchange = Exchange(*(row(number, acceptingOrders=False) for number in range(5)))

    async def read(call):
        return Answer(200, json.dumps({"markets": [row(0, closed=True)], "next_cursor": "again"}).encode(), {})

    exchange.read = read
    with pytest.raises(ProtocolViolation, match="leads to itself"):
        await find_markets(exchange, Choice(), NOW)


async def test_each_market_keeps_the_object_it_was_listed_with():
    exchange = Exchange(*(row(number, colour="blue") for number in range(5)))
    found = await find(exchange, Choice(top=4), NOW)
    assert [json.loads(raw) for raw in found.rows] == exchange.rows[:4]
