"""The embedded exchange as SatoriEx: taken first, matched later, told at last (V1, V2, V3, V4, V6)."""

import pytest
import trio
from satori_scene import BUY, NOON, RAIN, RAIN_NO, RAIN_YES, SELL, URL, satori_exchange, virtual_now

from pmrun.plugins.exchanges.embedded.ledger import COLLATERAL, FEES
from pmrun.plugins.exchanges.embedded.satori.codes import Code
from pmrun.runner.facts import MarketStatus
from pmrun.runner.units import SECOND, Micros, Price

FUNDS = 1_000_000_000


def code_of(answer):
    body = answer.json()
    assert body["data"] is None
    return answer.status_code, body["code"]


# Taken, queued, matched, told.


async def test_an_order_is_taken_with_its_escrow_before_anything_is_matched(autojump_clock):
    async with satori_exchange() as scene:
        await scene.bob.place(SELL, 4000, 20)
        await scene.matched()
        order = await scene.anne.place(BUY, 4200, 10)
        assert (order["status"], order["filled_quantity"], order["remaining_quantity"]) == ("pending", 0, 10)
        assert await scene.anne.get("/wallet/balance") == {
            "available_e6": FUNDS - 4_200_000,
            "locked_e6": 4_200_000,
            "total_e6": FUNDS,
        }
        assert (await scene.anne.order(order["id"]))["status"] == "pending"
        await scene.matched()
        assert (await scene.anne.order(order["id"]))["status"] == "filled"


async def test_a_sale_locks_its_shares_while_it_is_pending(autojump_clock):
    async with satori_exchange() as scene:
        await scene.anne.place(SELL, 4200, 300)
        (yes, no) = await scene.anne.get("/me/positions")
        assert (yes["outcome_id"], yes["quantity"], yes["locked_quantity"]) == (RAIN_YES, 500, 300)
        assert (no["outcome_id"], no["quantity"], no["locked_quantity"]) == (RAIN_NO, 500, 0)
        assert code_of(await scene.anne.post(SELL, 4200, 201)) == (400, Code.NO_POSITION)


async def test_a_fill_is_told_by_socket_within_half_a_second_of_the_order(autojump_clock):
    async with satori_exchange() as scene:
        await scene.bob.place(SELL, 4000, 200)
        await scene.matched()
        await scene.anne.listen(scene.nursery)
        for number in range(1, 21):
            sent = virtual_now()
            await scene.anne.place(BUY, 4000, 1)
            await scene.matched()
            assert len(scene.anne.frames("order_filled")) == number
            waited = scene.anne.when("order_filled")[-1] - sent
            assert 20_000 < waited <= 500_000


async def test_a_fill_is_told_before_the_202_where_that_is_slow(autojump_clock):
    slow = {"fault": "delay", "at": 0, "for": 60, "by": 2, "where": {"path": "/api/v1/orders", "method": "POST"}}
    async with satori_exchange([slow]) as scene:
        await scene.bob.place(SELL, 4000, 10)
        await scene.anne.listen(scene.nursery)
        order = await scene.anne.place(BUY, 4000, 10)
        answered = virtual_now()
        assert order["status"] == "pending"
        (fill,) = scene.anne.frames("order_filled")
        assert (fill["order_id"], fill["order"]["status"]) == (order["id"], "filled")
        assert scene.anne.when("order_filled")[0] < answered - SECOND


async def test_of_two_orders_at_a_price_the_first_in_the_queue_is_matched_first(autojump_clock):
    async with satori_exchange() as scene:
        placed = [await trader.place(BUY, 4000, 10) for trader in (scene.anne, scene.bob) * 5]
        await scene.matched()
        cleo = scene.trader("cleo")
        await cleo.place(SELL, 4000, 45)
        await scene.matched()
        traders = (scene.anne, scene.bob) * 5
        filled = [
            (await trader.order(order["id"]))["filled_quantity"] for trader, order in zip(traders, placed, strict=True)
        ]
        assert filled == [10, 10, 10, 10, 5, 0, 0, 0, 0, 0]


async def test_a_better_price_gives_back_what_was_escrowed_too_much(autojump_clock):
    async with satori_exchange() as scene:
        await scene.bob.place(SELL, 3000, 4)
        await scene.matched()
        order = await scene.anne.place(BUY, 5000, 10)
        await scene.matched()
        told = await scene.anne.order(order["id"])
        assert (told["status"], told["filled_quantity"], told["filled_notional_e6"]) == ("partial", 4, 1_200_000)
        assert await scene.anne.get("/wallet/balance") == {
            "available_e6": FUNDS - 1_200_000 - 3_000_000,
            "locked_e6": 3_000_000,
            "total_e6": FUNDS - 1_200_000,
        }


async def test_two_buyers_of_opposite_outcomes_make_a_pair_and_their_books_mirror(autojump_clock):
    async with satori_exchange() as scene:
        await scene.anne.place(BUY, 4000, 10, RAIN_YES)
        await scene.matched()
        mirror = await scene.bob.get(f"/orderbook/{RAIN.condition}/{RAIN_NO}")
        assert (mirror["bids"], mirror["asks"]) == ([], [[6000, 10]])
        await scene.bob.place(BUY, 6500, 10, RAIN_NO)
        await scene.matched()
        assert {row["outcome_id"]: row["quantity"] for row in await scene.bob.get("/me/positions")} == {
            RAIN_YES: 500,
            RAIN_NO: 510,
        }
        assert (await scene.bob.get("/wallet/balance"))["total_e6"] == FUNDS - 6_000_000


# Cancels.


async def test_a_cancel_of_a_partial_order_keeps_its_fills_and_frees_the_rest(autojump_clock):
    async with satori_exchange() as scene:
        order = await scene.anne.place(BUY, 4000, 10)
        await scene.matched()
        await scene.bob.place(SELL, 4000, 4)
        await scene.matched()
        cancelled = await scene.anne.cancel(order["id"])
        assert (cancelled["status"], cancelled["cancel_reason"]) == ("cancelled", "user")
        assert (cancelled["filled_quantity"], cancelled["remaining_quantity"]) == (4, 6)
        balance = await scene.anne.get("/wallet/balance")
        rebate = 1_600_000 * 1_000 // 1_000_000
        assert balance == {
            "available_e6": FUNDS - 1_600_000 + rebate,
            "locked_e6": 0,
            "total_e6": balance["available_e6"],
        }
        (fill,) = await scene.anne.get(f"/orders/{order['id']}/trades")
        assert (fill["price"], fill["quantity"], fill["liquidity"]) == (4000, 4, "maker")


async def test_a_cancel_may_be_asked_for_again_and_says_the_same(autojump_clock):
    async with satori_exchange() as scene:
        order = await scene.anne.place(BUY, 4000, 10)
        first = await scene.anne.cancel(order["id"])
        await scene.matched()
        assert await scene.anne.cancel(order["id"]) == first
        assert first["status"] == "cancelled"


async def test_an_order_cancelled_while_it_is_pending_is_never_matched(autojump_clock):
    async with satori_exchange() as scene:
        await scene.bob.place(SELL, 4000, 10)
        await scene.matched()
        order = await scene.anne.place(BUY, 4000, 10)
        await scene.anne.cancel(order["id"])
        await scene.matched()
        assert (await scene.anne.order(order["id"]))["filled_quantity"] == 0
        assert (await scene.anne.get("/wallet/balance"))["available_e6"] == FUNDS


async def test_a_filled_order_answers_a_cancel_with_what_it_is(autojump_clock):
    async with satori_exchange() as scene:
        await scene.bob.place(SELL, 4000, 10)
        order = await scene.anne.place(BUY, 4000, 10)
        await scene.matched()
        answered = await scene.anne.cancel(order["id"])
        assert (answered["status"], answered["cancel_reason"]) == ("filled", None)


@pytest.mark.parametrize(("wanted", "after"), [(10, "filled"), (25, "cancelled")])
async def test_a_fill_matched_before_a_cancel_is_told_after_its_answer_and_stands(autojump_clock, wanted, after):
    late = {"fault": "late_fill", "at": 0, "for": 600, "by": 2}
    async with satori_exchange([late]) as scene:
        await scene.anne.listen(scene.nursery)
        await scene.bob.place(SELL, 4000, 10)
        order = await scene.anne.place(BUY, 4000, wanted)
        await trio.sleep(1)
        answered = await scene.anne.cancel(order["id"])
        assert (answered["status"], answered["filled_quantity"]) == ("cancelled", 0)
        assert scene.anne.frames("order_filled") == []
        await trio.sleep(3)
        (fill,) = scene.anne.frames("order_filled")
        assert (fill["trade"]["quantity"], fill["order"]["status"]) == (10, after)
        told = await scene.anne.order(order["id"])
        assert (told["status"], told["filled_quantity"]) == (after, 10)
        assert (await scene.anne.get("/wallet/balance"))["total_e6"] == FUNDS - 4_000_000
        assert (await scene.anne.get("/wallet/balance"))["locked_e6"] == 0
        assert scene.host.fired["late_fill"] == 1


async def test_an_admin_cancels_and_says_so(autojump_clock):
    async with satori_exchange([{"fault": "admin_cancel", "at": 5}]) as scene:
        await scene.anne.listen(scene.nursery)
        first, second = await scene.anne.place(BUY, 4000, 10), await scene.anne.place(BUY, 3900, 10)
        await trio.sleep(6)
        told = await scene.anne.order(first["id"])
        assert (told["status"], told["cancel_reason"]) == ("cancelled", "admin")
        assert scene.anne.frames("order_update")[-1]["order"]["cancel_reason"] == "admin"
        assert scene.host.admin_cancel(second["id"])
        assert not scene.host.admin_cancel(second["id"])
        await scene.matched()
        assert (await scene.anne.get("/wallet/balance"))["locked_e6"] == 0
        assert scene.host.fired["admin_cancel"] == 1


async def test_an_order_that_fails_its_last_validation_was_taken_and_is_cancelled(autojump_clock):
    async with satori_exchange([{"fault": "rejected_later", "at": 0}]) as scene:
        await scene.anne.listen(scene.nursery)
        order = await scene.anne.place(BUY, 4000, 10)
        await scene.matched()
        told = [frame["order"] for frame in scene.anne.frames("order_update")]
        assert [(each["status"], each["cancel_reason"]) for each in told] == [
            ("pending", None),
            ("cancelled", "validation"),
        ]
        assert (await scene.anne.order(order["id"]))["cancel_reason"] == "validation"
        assert (await scene.anne.get("/wallet/balance"))["locked_e6"] == 0


async def test_an_order_whose_grid_changed_while_it_was_pending_is_cancelled(autojump_clock):
    async with satori_exchange() as scene:
        order = await scene.anne.place(BUY, 4100, 10)
        scene.engine.set_tick(0, Price(1000), virtual_now())
        await scene.matched()
        assert (await scene.anne.order(order["id"]))["cancel_reason"] == "validation"


# Halts and resolution.


async def test_a_move_of_thirty_percent_halts_the_market_and_resting_orders_stay(autojump_clock):
    async with satori_exchange() as scene:
        await scene.anne.listen(scene.nursery)
        await scene.anne.say(type="subscribe", market_id=RAIN.condition)
        order = await scene.anne.place(BUY, 2000, 10)
        scene.trade(5000)
        await scene.matched()
        scene.trade(6400)
        await scene.matched()
        assert scene.anne.frames("market_status") == []
        waiting = await scene.anne.place(BUY, 2100, 10)
        scene.trade(6500)
        halted_at = virtual_now()
        await scene.matched()
        (news,) = scene.anne.frames("market_status")
        assert (news["status"], news["reason"]) == ("halted", "circuit_breaker")
        assert news["until"] == (halted_at + 300 * SECOND) // 1_000
        assert (await scene.anne.get(f"/markets/{RAIN.condition}"))["status"] == "halted"
        assert code_of(await scene.anne.post(BUY, 4000, 10)) == (409, Code.NOT_TRADING)
        assert (await scene.anne.order(order["id"]))["status"] == "open"
        assert (await scene.anne.order(waiting["id"]))["cancel_reason"] == "validation"
        assert (await scene.anne.cancel(order["id"]))["status"] == "cancelled"
        await trio.sleep(300)
        assert scene.anne.frames("market_status")[-1]["status"] == "open"
        await scene.anne.place(BUY, 4000, 10)


async def test_a_slow_move_halts_nothing_and_a_fall_counts_as_a_rise_does(autojump_clock):
    async with satori_exchange() as scene:
        for price in (5000, 6000, 7000, 5500):
            scene.trade(price)
            await trio.sleep(301)
        assert scene.engine.status(0) is MarketStatus.TRADING
        scene.trade(7000)
        await trio.sleep(1)
        scene.trade(4900)
        await trio.sleep(1)
        assert scene.engine.status(0) is MarketStatus.HALTED


async def test_a_resolved_market_pays_and_cancels_what_rests_and_what_waits(autojump_clock):
    async with satori_exchange([{"fault": "resolved", "at": 10, "where": {"market": 0}, "settled": 1}]) as scene:
        await scene.anne.listen(scene.nursery)
        await scene.anne.say(type="subscribe", market_id=RAIN.condition)
        resting = await scene.anne.place(BUY, 4000, 10)
        await trio.sleep(9.99)
        waiting = await scene.anne.place(SELL, 9000, 10)
        await trio.sleep(2)
        for order in (resting, waiting):
            assert (await scene.anne.order(order["id"]))["cancel_reason"] == "market_resolved"
        (paid,) = scene.anne.frames("market_resolved")
        assert (paid["resolved_outcome_id"], paid["payout_e6"]) == (RAIN_YES, 500_000_000)
        assert scene.anne.frames("settlement")[0]["resolved_outcome_id"] == RAIN_YES
        assert scene.anne.frames("wallet_changed")[-1]["available_e6"] == FUNDS + 500_000_000
        market = await scene.anne.get(f"/markets/{RAIN.condition}")
        assert (market["status"], market["resolved_outcome_id"]) == ("resolved", RAIN_YES)
        assert await scene.anne.get("/me/positions") == []


# Money.


async def test_a_seller_pays_the_fee_and_a_maker_gets_a_rebate_in_entries_that_sum_to_zero(autojump_clock):
    async with satori_exchange() as scene:
        sale = await scene.bob.place(SELL, 3300, 7)
        await scene.matched()
        buy = await scene.anne.place(BUY, 3300, 7)
        await scene.matched()
        notional = 3300 * 7 * 100
        fee, rebate = -(-notional * 15 // 1000), notional // 1000
        (sold,) = await scene.bob.get(f"/orders/{sale['id']}/trades")
        (bought,) = await scene.anne.get(f"/orders/{buy['id']}/trades")
        assert (sold["fee_e6"], sold["rebate_e6"], sold["liquidity"]) == (fee, rebate, "maker")
        assert (bought["fee_e6"], bought["rebate_e6"], bought["liquidity"]) == (0, 0, "taker")
        assert (await scene.bob.get("/wallet/balance"))["total_e6"] == FUNDS + notional - fee + rebate
        assert (await scene.anne.get("/wallet/balance"))["total_e6"] == FUNDS - notional
        assert scene.engine.ledger.of(FEES, COLLATERAL) == fee - rebate
        (entry,) = [each for each in scene.engine.ledger.entries if each.why.startswith("trade ")]
        assert sum(movement.amount for movement in entry.movements if movement.asset == COLLATERAL) == 0


async def test_a_signed_in_maker_gets_half_the_rebate_of_a_personal_token(autojump_clock):
    async with satori_exchange() as scene:
        answer = await scene.anne.call(
            "POST", "/auth/login", {"email": "anne@example.com", "password": "anne's password"}
        )
        scene.anne.token = answer.json()["data"]["access_token"]
        order = await scene.anne.place(BUY, 4000, 10)
        await scene.matched()
        await scene.bob.place(SELL, 4000, 10)
        await scene.matched()
        (fill,) = await scene.anne.get(f"/orders/{order['id']}/trades")
        assert fill["rebate_e6"] == 4_000_000 * 500 // 1_000_000


async def test_positions_know_what_they_cost(autojump_clock):
    async with satori_exchange() as scene:
        cleo = scene.trader("cleo", holdings={})
        await scene.bob.place(SELL, 4000, 10)
        await scene.bob.place(SELL, 5000, 10)
        await scene.matched()
        await cleo.place(BUY, 5000, 20)
        await scene.matched()
        (held,) = await cleo.get("/me/positions")
        assert (held["quantity"], held["cost_e6"]) == (20, 9_000_000)
        await scene.anne.place(BUY, 4500, 10)
        await scene.matched()
        await cleo.place(SELL, 4500, 10)
        await scene.matched()
        (held,) = await cleo.get("/me/positions")
        assert (held["quantity"], held["cost_e6"]) == (10, 4_500_000)


# Refusals.


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"price": 4150}, 400, Code.BAD_PRICE),
        ({"price": 0}, 400, Code.BAD_PRICE),
        ({"price": 10_000}, 400, Code.BAD_PRICE),
        ({"price": 4200.0}, 400, Code.BAD_PRICE),
        ({"side": 3}, 400, Code.BAD_SIDE),
        ({"side": "BUY"}, 400, Code.BAD_SIDE),
        ({"side": True}, 400, Code.BAD_SIDE),
        ({"quantity": 0}, 400, Code.BAD_QUANTITY),
        ({"quantity": 1.5}, 400, Code.BAD_QUANTITY),
        ({"quantity": 1_000_000}, 400, Code.NO_BALANCE),
        ({"quantity": 501, "side": 2}, 400, Code.NO_POSITION),
        ({"market_id": "m9"}, 404, Code.NO_MARKET),
        ({"outcome_id": "m9"}, 404, Code.NO_MARKET),
        ({"market_id": None}, 400, Code.BAD_REQUEST),
    ],
)
async def test_an_order_that_cannot_be_is_refused_by_a_code_and_locks_nothing(autojump_clock, change, status, code):
    async with satori_exchange() as scene:
        order = {"market_id": RAIN.condition, "outcome_id": RAIN_YES, "side": 1, "price": 4200, "quantity": 10}
        assert code_of(await scene.anne.call("POST", "/orders", order | change)) == (status, code)
        assert (await scene.anne.get("/wallet/balance"))["locked_e6"] == 0


async def test_a_code_is_the_same_in_every_language_and_its_message_is_not(autojump_clock):
    async with satori_exchange() as scene:
        order = {"market_id": RAIN.condition, "outcome_id": RAIN_YES, "side": 1, "price": 1, "quantity": 10}
        answers = [
            (await scene.anne.call("POST", "/orders", order, accept_language=language)).json()
            for language in ("en-GB,en;q=0.9", "zh-CN,zh;q=0.9", "ja", "xx,fr")
        ]
        assert {answer["code"] for answer in answers} == {5002}
        assert len({answer["msg"] for answer in answers[:3]}) == 3
        assert answers[3]["msg"] == answers[0]["msg"]


async def test_an_order_of_somebody_else_is_nobodys_business(autojump_clock):
    async with satori_exchange() as scene:
        order = await scene.anne.place(BUY, 4000, 10)
        for method, path in (("GET", ""), ("GET", "/trades"), ("POST", "/cancel")):
            answer = await scene.bob.call(method, f"/orders/{order['id']}{path}")
            assert code_of(answer) == (404, Code.NO_ORDER)
        assert (await scene.bob.get("/orders"))["total"] == 0


async def test_orders_are_listed_while_they_may_trade_and_for_a_day_after(autojump_clock):
    async with satori_exchange() as scene:
        first, second = await scene.anne.place(BUY, 4000, 10), await scene.anne.place(BUY, 3900, 10)
        await scene.anne.cancel(first["id"])
        assert [row["id"] for row in (await scene.anne.get("/orders?status=active"))["items"]] == [second["id"]]
        assert [row["id"] for row in (await scene.anne.get("/orders?status=recent"))["items"]] == [first["id"]]
        page = await scene.anne.get("/orders?page=2&page_size=1")
        assert ([row["id"] for row in page["items"]], page["total"]) == ([first["id"]], 2)
        await trio.sleep(86_401)
        assert (await scene.anne.get("/orders?status=recent"))["total"] == 0
        assert (await scene.anne.get("/orders?status=active"))["total"] == 1


async def test_the_thirty_first_order_call_of_a_minute_is_refused_cancels_included(autojump_clock):
    async with satori_exchange() as scene:
        orders = [await scene.anne.place(BUY, 4000, 1) for _ in range(20)]
        for order in orders[:10]:
            await scene.anne.cancel(order["id"])
        await trio.sleep(20)
        refused = await scene.anne.post(BUY, 4000, 1)
        assert code_of(refused) == (429, Code.TOO_MANY)
        assert refused.headers["retry-after"] == "40"
        assert (await scene.anne.call("POST", f"/orders/{orders[-1]['id']}/cancel")).status_code == 429
        await scene.bob.place(BUY, 4000, 1)
        assert len((await scene.anne.get("/orders?status=active"))["items"]) == 10
        await trio.sleep(40)
        await scene.anne.cancel(orders[-1]["id"])


async def test_other_calls_are_limited_by_path(autojump_clock):
    async with satori_exchange() as scene:
        for _ in range(100):
            await scene.anne.get("/wallet/balance")
        assert code_of(await scene.anne.call("GET", "/wallet/balance")) == (429, Code.TOO_MANY)
        await scene.anne.get("/me")


# Who calls.


async def test_a_token_expires_is_renewed_once_and_its_socket_is_closed(autojump_clock):
    async with satori_exchange() as scene:
        anne = scene.anne
        credentials = {"email": "anne@example.com", "password": "anne's password"}
        tokens = (await anne.call("POST", "/auth/login", credentials)).json()["data"]
        assert tokens["expires_in"] == 900
        anne.token = tokens["access_token"]
        await anne.listen(scene.nursery)
        await trio.sleep(899)
        await anne.get("/me")
        assert anne.closed is None
        await trio.sleep(2)
        assert code_of(await anne.call("GET", "/me")) == (401, Code.TOKEN_EXPIRED)
        assert anne.closed == 4401
        renewed = (await anne.call("POST", "/auth/refresh", {"refresh_token": tokens["refresh_token"]})).json()["data"]
        anne.token = renewed["access_token"]
        await anne.get("/me")
        again = await anne.call("POST", "/auth/refresh", {"refresh_token": tokens["refresh_token"]})
        assert code_of(again) == (401, Code.TOKEN_INVALID)


async def test_a_token_that_expires_in_the_middle_of_a_burst_leaves_orders_as_they_are(autojump_clock):
    async with satori_exchange([{"fault": "token_expired", "at": 1}]) as scene:
        anne = scene.anne
        personal, credentials = anne.token, {"email": "anne@example.com", "password": "anne's password"}
        anne.token = (await anne.call("POST", "/auth/login", credentials)).json()["data"]["access_token"]
        await anne.listen(scene.nursery)
        await scene.bob.listen(scene.nursery)
        answers = []
        for _ in range(10):
            answers.append((await anne.post(BUY, 4000, 1)).status_code)
            await trio.sleep(0.2)
        assert answers == [202] * 5 + [401] * 5
        assert (anne.closed, scene.bob.closed) == (4401, None)
        anne.token = personal
        assert [row["status"] for row in (await anne.get("/orders"))["items"]] == ["open"] * 5
        assert scene.host.fired["token_expired"] == 1


async def test_what_a_token_may_do_is_in_its_scopes(autojump_clock):
    async with satori_exchange() as scene:
        anne, user = scene.anne, scene.host.identity.user(scene.anne.user)
        anne.token = scene.host.identity.personal(user, "dashboard", ("read",), NOON, Micros(NOON + 60 * SECOND))
        assert code_of(await anne.post(BUY, 4000, 10)) == (403, Code.SCOPE_MISSING)
        assert (await anne.get("/me"))["scopes"] == ["read"]
        listed = await anne.get("/me/personal-access-tokens")
        assert [(each["name"], each["scopes"]) for each in listed] == [
            ("simulated", ["read", "trade"]),
            ("dashboard", ["read"]),
        ]
        assert anne.token not in str(listed)
        await trio.sleep(61)
        assert code_of(await anne.call("GET", "/me")) == (401, Code.TOKEN_EXPIRED)


@pytest.mark.parametrize(
    ("terms", "code"), [({"two_factor": False}, Code.TWO_FACTOR_REQUIRED), ({"kyc_tier": 0}, Code.IDENTITY_REQUIRED)]
)
async def test_without_a_second_factor_or_an_identity_nothing_is_traded(autojump_clock, terms, code):
    async with satori_exchange() as scene:
        cleo = scene.trader("cleo", **terms)
        assert code_of(await cleo.post(BUY, 4000, 10)) == (403, code)
        await cleo.get("/wallet/balance")


async def test_a_sign_in_needs_the_password_and_the_second_factor_and_not_too_many_attempts(autojump_clock):
    async with satori_exchange() as scene:
        cleo = scene.trader("cleo", totp="123456")
        right = {"email": "Cleo@example.com", "password": "cleo's password"}
        for body, status, code in (
            (right | {"password": "guessed"}, 401, Code.BAD_CREDENTIALS),
            (right | {"email": "nobody@example.com"}, 401, Code.BAD_CREDENTIALS),
            (right, 403, Code.TWO_FACTOR_REQUIRED),
            (right | {"totp": "000000"}, 403, Code.TWO_FACTOR_REQUIRED),
            (right | {"totp": 1}, 400, Code.BAD_REQUEST),
        ):
            assert code_of(await cleo.call("POST", "/auth/login", body)) == (status, code)
        for _ in range(5):
            assert (await cleo.call("POST", "/auth/login", right | {"totp": "123456"})).status_code == 200
        assert code_of(await cleo.call("POST", "/auth/login", right)) == (429, Code.TOO_MANY)


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c", "pat_nonsense", "ä.ö.ü"])
async def test_a_token_that_was_never_given_out_opens_nothing(autojump_clock, token):
    async with satori_exchange() as scene:
        cleo = scene.trader("cleo")
        cleo.token = token
        answer = await cleo._web.get(f"{URL}/me", headers={"authorization": f"Bearer {token}".encode()})
        assert code_of(answer) == (401, Code.TOKEN_INVALID)
        await cleo.listen(scene.nursery)
        await trio.sleep(1)
        assert (cleo.closed, cleo.heard) == (4401, [])


async def test_somebody_elses_signature_is_no_signature(autojump_clock):
    async with satori_exchange() as scene, satori_exchange(seed=1) as other:
        credentials = {"email": "anne@example.com", "password": "anne's password"}
        foreign = (await other.anne.call("POST", "/auth/login", credentials)).json()["data"]["access_token"]
        scene.anne.token = foreign
        assert code_of(await scene.anne.call("GET", "/me")) == (401, Code.TOKEN_INVALID)


# The socket.


async def test_books_are_sent_on_subscribing_and_after_every_change(autojump_clock):
    async with satori_exchange() as scene:
        await scene.anne.listen(scene.nursery)
        await scene.anne.say(type="subscribe_marketdata", market_id=RAIN.condition)
        await trio.sleep(0.1)
        assert [(book["outcome_id"], book["bids"]) for book in scene.anne.frames("orderbook")] == [
            (RAIN_YES, []),
            (RAIN_NO, []),
        ]
        await scene.bob.place(BUY, 4000, 10)
        await scene.matched()
        yes, no = scene.anne.frames("orderbook")[2:]
        assert (yes["bids"], yes["asks"], no["bids"], no["asks"]) == ([[4000, 10]], [], [], [[6000, 10]])
        assert yes["sequence"] == scene.anne.frames("orderbook")[0]["sequence"] + 1
        assert scene.anne.frames("price_update")[-1]["best_ask"] == 6000
        await scene.anne.say(type="unsubscribe_marketdata", market_id=RAIN.condition)
        await scene.bob.place(BUY, 3900, 10)
        await scene.matched()
        assert len(scene.anne.frames("orderbook")) == 4


async def test_the_socket_answers_pings_and_says_what_it_did_not_understand(autojump_clock):
    async with satori_exchange() as scene:
        await scene.anne.listen(scene.nursery)
        await scene.anne.say(type="ping")
        await scene.anne.say(type="subscribe", market_id="m9")
        await scene.anne.say(type="dance")
        await scene.anne.socket.send_message("not JSON")
        await trio.sleep(0.1)
        assert [frame["type"] for _, frame in scene.anne.heard] == ["hello", "pong", "error", "error", "error"]
        assert [frame["code"] for frame in scene.anne.frames("error")] == [4004, 1001, 1001]


async def test_a_traders_own_news_go_to_that_trader_only(autojump_clock):
    async with satori_exchange() as scene:
        await scene.anne.listen(scene.nursery)
        await scene.bob.listen(scene.nursery)
        await scene.bob.say(type="subscribe", market_id=RAIN.condition)
        await scene.anne.place(BUY, 4000, 10)
        await scene.matched()
        assert [frame["type"] for _, frame in scene.bob.heard] == ["hello"]
        assert [frame["order"]["status"] for frame in scene.anne.frames("order_update")] == ["pending", "open"]
        assert [frame["locked_e6"] for frame in scene.anne.frames("wallet_changed")] == [4_000_000]


async def test_a_socket_lost_in_the_middle_of_a_partial_misses_news_that_rest_still_tells(autojump_clock):
    async with satori_exchange([{"fault": "disconnect", "at": 3, "where": {"channel": "user"}}]) as scene:
        await scene.anne.listen(scene.nursery)
        order = await scene.anne.place(BUY, 4000, 10)
        await scene.bob.place(SELL, 4000, 4)
        await trio.sleep(4)
        assert scene.anne.closed == 1012
        await scene.bob.place(SELL, 4000, 3)
        await scene.matched()
        assert len(scene.anne.frames("order_filled")) == 1
        fills = await scene.anne.get(f"/orders/{order['id']}/trades")
        assert [fill["quantity"] for fill in fills] == [4, 3]
        assert (await scene.anne.order(order["id"]))["status"] == "partial"


# Faults that both protocols know.


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"fault": "server_error", "at": 0, "status": "500"}, 500, Code.INTERNAL),
        ({"fault": "rate_limited", "at": 0, "retry_after": 3}, 429, Code.TOO_MANY),
    ],
)
async def test_errors_by_script_come_in_the_envelope(autojump_clock, fault, status, code):
    async with satori_exchange([fault]) as scene:
        answer = await scene.anne.post(BUY, 4000, 10)
        assert code_of(answer) == (status, code)
        assert (answer.json().get("trace_id") is not None) == (status >= 500)
        assert answer.headers.get("retry-after") == ("3" if status == 429 else None)
        assert scene.host.fired[fault["fault"]] == 1


async def test_an_answer_lost_after_the_order_was_taken_leaves_the_order_to_be_found(autojump_clock):
    async with satori_exchange([{"fault": "lost_after_accept", "at": 0}]) as scene:
        with pytest.raises(Exception, match="did not come in time"):
            await scene.anne.post(BUY, 4000, 10)
        (found,) = (await scene.anne.get("/orders?status=active"))["items"]
        assert (found["price"], found["quantity"]) == (4000, 10)


async def test_a_frozen_socket_answers_pings_and_tells_nothing(autojump_clock):
    async with satori_exchange([{"fault": "freeze", "at": 1, "for": 10, "where": {"channel": "user"}}]) as scene:
        await scene.anne.listen(scene.nursery)
        await trio.sleep(2)
        await scene.anne.place(BUY, 4000, 10)
        await scene.anne.say(type="ping")
        await scene.matched()
        assert [frame["type"] for _, frame in scene.anne.heard] == ["hello", "pong"]


async def test_a_fill_told_twice_is_one_fill(autojump_clock):
    twice = {"fault": "duplicate", "at": 0, "for": 60, "where": {"event": "order_filled"}}
    async with satori_exchange([twice]) as scene:
        await scene.anne.listen(scene.nursery)
        await scene.bob.place(SELL, 4000, 10)
        order = await scene.anne.place(BUY, 4000, 10)
        await scene.matched()
        first, second = scene.anne.frames("order_filled")
        assert first == second
        assert (await scene.anne.order(order["id"]))["filled_quantity"] == 10
