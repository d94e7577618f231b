"""How orders and the crowd match: fills, trades and prints; everything in it is simulated."""

from collections import defaultdict
from collections.abc import Sequence
from random import Random
from typing import Final

from pmrun.plugins.exchanges.embedded.book import Hit
from pmrun.plugins.exchanges.embedded.floor import Floor
from pmrun.plugins.exchanges.embedded.ids import Ids
from pmrun.plugins.exchanges.embedded.order import BUY, CANCELED_NO_MONEY, NO, YES, Order
from pmrun.plugins.exchanges.embedded.settlement import MATCHED, Leg, Match, Settlements, custody_leg, taker_leg
from pmrun.plugins.exchanges.embedded.terms import MakerPart, Printed, Ticket, TradeMoved, TradeView
from pmrun.runner.units import Micros, Price, Side, Size, complement

CROWD_WALLET: Final = "0x00000000000000000000000000000000000c0de5"
MAKERS_PER_TRADE: Final = 20  # more are split over trades, as the exchange does by its bucket_index


class Matching:
    """Turns what a taker reaches into trades, prints and settlements."""

    def __init__(self, floor: Floor, settlements: Settlements, seed: int) -> None:
        """Draw ids, and the tokens that the crowd trades, from a seed."""
        self._floor = floor
        self._settlements = settlements
        self._trades_of: defaultdict[str, list[str]] = defaultdict(list)
        self._ids = Ids("embedded ids", seed)
        self._draws = Random(f"embedded crowd {seed}")

    def trades(self, api_key: str) -> list[TradeView]:
        """Return the trades of an owner at their latest stage, oldest first."""
        return [self._settlements.trade(trade_id) for trade_id in self._trades_of.get(api_key, ())]

    def match(self, taker: Order, hits: Sequence[Hit], at: Micros) -> list[Leg]:
        """Carry out what a taker reached, and return its part; where the crowd is alone there are only prints."""
        floor = self._floor
        floor.books[taker.market].against(taker.yes_side).take(hits)
        legs: list[Leg] = []
        makers = [floor.orders[hit.entry.order_id] for hit in hits if hit.entry.order_id is not None]
        if makers or not taker.of_crowd:
            for bucket, start in enumerate(range(0, len(hits), MAKERS_PER_TRADE)):
                legs += self._trade(taker, hits[start : start + MAKERS_PER_TRADE], bucket, at)
        for maker in makers:
            if maker.left and not floor.cover(maker, at):
                floor.end(maker, CANCELED_NO_MONEY, at)
        self._print(taker, hits, at)
        return legs

    # The crowd, in terms of YES.

    def crowd_take(self, market: int, side: Side, price: Price, hits: Sequence[Hit], at: Micros) -> None:
        """Let the crowd take what it reached."""
        self.match(self._crowd_order(market, side, price, sum(hit.size for hit in hits), at), hits, at)

    def crowd_becomes(self, market: int, side: Side, price: Price, size: Size, at: Micros) -> None:
        """Make the crowd's whole size at a price `size`; what comes through orders of ours trades with them."""
        own = self._floor.books[market].side(side)
        now = own.crowd(price)
        left = int(size)
        if size > now and self._floor.trading(market):
            left -= self._crowd_crosses(market, side, price, size - now, at)
        if left != now:
            own.set_crowd(price, left)
            self._floor.touch(market, side, price)

    def uncross(self, market: int, at: Micros) -> None:
        """Match what crossed while the market was halted."""
        for side, own in self._floor.books[market].sides():
            for price, size in sorted(own.crowd_levels().items(), reverse=side is BUY):
                matched = self._crowd_crosses(market, side, price, size, at)
                if matched:
                    own.set_crowd(price, size - matched)
                    self._floor.touch(market, side, price)

    def _crowd_crosses(self, market: int, side: Side, price: Price, size: int, at: Micros) -> int:
        """Match what comes of the crowd with orders of ours at its price or better; return how much that was."""
        hits = self._floor.books[market].against(side).reach(price, size, crowd=False)
        if hits:
            self.crowd_take(market, side, price, hits, at)
        return sum(hit.size for hit in hits)

    def _crowd_order(self, market: int, side: Side, price: Price, size: int, at: Micros) -> Order:
        """Return the crowd's half of a match; its token is drawn, so that half of our matches mint or merge."""
        outcome = self._draws.choice((YES, NO))
        ticket = Ticket(
            order_id=f"0x{self._ids.bits(256, at):064x}",
            wallet=CROWD_WALLET,
            api_key="",
            token=self._floor.markets[market].token(outcome),
            side=side if outcome is YES else side.opposite,
            price=price if outcome is YES else complement(price),
            size=Size(size),
        )
        return Order(ticket, market, outcome, at)

    # Trades.

    def _trade(self, taker: Order, hits: Sequence[Hit], bucket: int, at: Micros) -> list[Leg]:
        makers = [self._maker(taker, hit) for hit in hits]
        met = list(zip(makers, hits, strict=True))
        matches = [Match(self._taker_leg(taker, hit), _maker_leg(maker, hit)) for maker, hit in met]
        trade = self._view(taker, hits, tuple(_part(maker, hit) for maker, hit in met), bucket, at)
        stages = self._start(trade, matches, (taker, *makers))
        for match, maker in zip(matches, makers, strict=True):
            for order, leg in ((taker, match.taker), (maker, match.maker)):
                if not order.of_crowd:
                    self._floor.fill(order, leg, trade.trade_id)
        self._tell([order for order in (taker, *makers) if not order.of_crowd], stages, at)
        return [match.taker for match in matches]

    def _start(self, trade: TradeView, matches: Sequence[Match], orders: Sequence[Order]) -> list[TradeView]:
        """Settle a trade at once where the exchange holds the money of anybody in it, else send it on its way."""
        if any(order.ticket.custody is not None for order in orders):
            return self._settlements.settle(trade, matches)
        self._settlements.start(trade, matches)
        return [trade]

    def _view(
        self, taker: Order, hits: Sequence[Hit], parts: tuple[MakerPart, ...], bucket: int, at: Micros
    ) -> TradeView:
        return TradeView(
            trade_id=self._ids.uuid(at),
            condition=self._floor.markets[taker.market].condition,
            taker_order_id=taker.ticket.order_id,
            taker_wallet=taker.ticket.wallet,
            taker_api_key=taker.ticket.api_key,
            token=taker.ticket.token,
            outcome=taker.outcome,
            side=taker.ticket.side,
            price=taker.own(hits[-1].price),
            size=Size(sum(hit.size for hit in hits)),
            status=MATCHED,
            matched_at=at,
            updated_at=at,
            makers=parts,
            bucket_index=bucket,
        )

    def _tell(self, orders: Sequence[Order], stages: Sequence[TradeView], at: Micros) -> None:
        for api_key in dict.fromkeys(order.ticket.api_key for order in orders):
            self._trades_of[api_key].append(stages[0].trade_id)
        for order in orders:
            self._floor.tell(order, "UPDATE", at)
        self._floor.events.extend(TradeMoved(at, trade) for trade in stages)

    def _maker(self, taker: Order, hit: Hit) -> Order:
        if hit.entry.order_id is not None:
            return self._floor.orders[hit.entry.order_id]
        return self._crowd_order(taker.market, taker.yes_side.opposite, hit.price, hit.size, taker.at)

    def _taker_leg(self, taker: Order, hit: Hit) -> Leg:
        ticket, market = taker.ticket, self._floor.markets[taker.market]
        if ticket.custody is not None:
            price = taker.own(hit.price)
            return custody_leg(ticket.custody, ticket.wallet, ticket.token, ticket.side, price, hit.size, maker=False)
        wallet = None if taker.of_crowd else ticket.wallet
        return taker_leg(market, wallet, ticket.token, ticket.side, taker.own(hit.price), hit.size)

    def _print(self, taker: Order, hits: Sequence[Hit], at: Micros) -> None:
        """Tell everybody of a match, once for each price."""
        market, side, floor = taker.market, taker.yes_side, self._floor
        prices: defaultdict[Price, int] = defaultdict(int)
        for hit in hits:
            prices[hit.price] += hit.size
        for price, size in prices.items():
            floor.events.append(Printed(at, market, side, price, Size(size)))
            floor.touch(market, side.opposite, price)
            floor.last[market] = (price, side)
            floor.reset(market, traded=True)


def _part(maker: Order, hit: Hit) -> MakerPart:
    ticket = maker.ticket
    return MakerPart(
        order_id=ticket.order_id,
        wallet=ticket.wallet,
        api_key=ticket.api_key,
        token=ticket.token,
        outcome=maker.outcome,
        side=ticket.side,
        price=ticket.price,
        size=hit.size,
    )


def _maker_leg(maker: Order, hit: Hit) -> Leg:
    ticket = maker.ticket
    if ticket.custody is not None:
        return custody_leg(ticket.custody, ticket.wallet, ticket.token, ticket.side, ticket.price, hit.size, maker=True)
    wallet = None if maker.of_crowd else ticket.wallet
    return Leg(wallet, ticket.token, ticket.side, ticket.price, hit.size, rested=True)
