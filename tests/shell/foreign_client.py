"""Trades on an exchange with the official SDK, in an environment of its own; says what came of each step as JSON."""

import asyncio
import dataclasses
import json
import sys
from decimal import Decimal
from typing import Any

from eth_account import Account
from polymarket import AsyncSecureClient, SecureClient
from polymarket._internal.environment import PRODUCTION_CONFIG, create_environment  # there is no public way (9.3)
from polymarket.errors import OrderHeartbeatMismatchError, RequestRejectedError
from polymarket.streams import MarketSpec, UserSpec

SIZE = Decimal(200)


def environment(url: str) -> Any:
    sockets = url.replace("http", "ws", 1)
    config = dataclasses.replace(
        PRODUCTION_CONFIG,
        clob_url=url, gamma_url=url, data_url=url, relayer_url=url, rpc_url=url,
        clob_market_ws_url=f"{sockets}/ws/market", clob_user_ws_url=f"{sockets}/ws/user",
    )  # fmt: skip
    return create_environment(name="loopback", config=config)


def refusal(call: Any, kind: type[Exception]) -> str:
    try:
        call()
    except kind as error:
        return str(error)
    return "not refused"


def trade(client: SecureClient) -> dict[str, Any]:
    markets = client.list_markets().first_page().items
    placed, ticks = {}, {}
    for market in markets:
        for outcome in (market.outcomes.yes, market.outcomes.no):
            book = client.get_order_book(asset_id=outcome.token_id)
            ticks[outcome.token_id] = book.tick_size
            order = client.place_limit_order(
                asset_id=outcome.token_id, price=book.tick_size, size=SIZE, side="BUY", post_only=True
            )
            placed[order.order_id] = outcome.token_id
    first, token = next(iter(placed.items()))
    listed = [order.id for page in client.list_open_orders() for order in page.items]
    beat = client.send_order_heartbeat()
    beat = client.send_order_heartbeat(heartbeat_id=beat.heartbeat_id)
    taken = client.place_market_order(asset_id=token, side="BUY", amount=10, order_type="FAK")
    found = {
        "markets": len(markets),
        "neg_risk": sum(market.state.neg_risk for market in markets),
        "placed": sorted(placed),
        "listed": sorted(listed),
        "status": str(client.get_order(order_id=first).status),
        "crossing": refusal(
            lambda: client.place_limit_order(
                asset_id=token, price=1 - ticks[token], size=SIZE, side="BUY", post_only=True
            ),
            RequestRejectedError,
        ),
        "stale heartbeat": refusal(
            lambda: client.send_order_heartbeat(heartbeat_id="nobody's"), OrderHeartbeatMismatchError
        ),
        "taken": taken.status,
        "settled": len(client.wait_for_order_fill_settlement(taken, timeout_s=30)),
        "shares": client.get_balance_allowance(asset_type="CONDITIONAL", asset_id=token).balance,
        "rewarded": len(client.list_reward_markets().first_page().items),
        "positions": len(client.list_positions(user=client.wallet).first_page().items),
        "cancelled one": list(client.cancel_order(order_id=first).canceled) == [first],
        "cancelled all": len(client.cancel_all().canceled),
    }
    return found | {"left": sum(len(page.items) for page in client.list_open_orders())}


async def listen(client: AsyncSecureClient, token: str, tick: Decimal) -> dict[str, Any]:
    heard: set[str] = set()

    async def hear(spec: Any) -> None:
        async for event in await client.subscribe(spec):
            heard.add(f"{event.topic} {event.type} {getattr(event.payload, 'status', '') or ''}".strip())

    tasks = [asyncio.create_task(hear(spec)) for spec in (MarketSpec(asset_ids=[token]), UserSpec())]
    await asyncio.sleep(1)
    await client.place_limit_order(asset_id=token, price=tick, size=SIZE, side="BUY")
    await client.place_market_order(asset_id=token, side="BUY", amount=5, order_type="FAK")
    await client.cancel_all()
    for _ in range(100):
        if {"market book", "market price_change", "user trade CONFIRMED", "user order CANCELED"} <= heard:
            break
        await asyncio.sleep(0.1)
    for task in tasks:
        task.cancel()
    await client.close()
    return {"heard": sorted(heard)}


def main(url: str, key: str) -> None:
    about = {"private_key": key, "wallet": Account.from_key(key).address, "environment": environment(url)}
    client = SecureClient.create(**about)
    found = trade(client)
    token = client.list_markets().first_page().items[0].outcomes.yes.token_id
    tick = client.get_order_book(asset_id=token).tick_size

    async def again() -> dict[str, Any]:
        return await listen(await AsyncSecureClient.create(**about), token, tick)

    print(json.dumps({**found, **asyncio.run(again())}))


if __name__ == "__main__":
    main(*sys.argv[1:])
