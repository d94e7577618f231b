"""The exchange's rules: what it can do, what it charges, and its terms in place of a simulated market's (V3, V5)."""

from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from pmrun.plugins.executors import kernel
from pmrun.runner.capabilities import Capabilities, Capability
from pmrun.runner.market import FeeTerms, Market
from pmrun.runner.ports import FeedData
from pmrun.runner.units import SIZE_SCALE, Cash, Size

SHARE: Final = Size(SIZE_SCALE)  # orders are whole shares
SELLER_FEE_PPM: Final = 15_000  # 1.5 % of the seller's proceeds
MAKER_REBATE_PPM: Final = 500  # 0.05 % of the notional; 0.10 % for orders by API key
ORDER_CALLS: Final = 30  # places and cancels a minute

CAPABILITIES: Final = Capabilities(
    exchange="satori",
    has=frozenset(),
    substitutes={
        Capability.POST_ONLY: "the price is checked against the freshest book right before sending; it may still take",
        Capability.HEARTBEAT: "nothing cancels what rests when this machine fails; keep live.max_resting_usd small",
        Capability.ORDER_HASH: "an order whose answer is lost is found among the account's own orders by its terms",
        Capability.BULK_CANCEL: "no more orders rest than can be cancelled one by one within a minute's calls",
        Capability.MERGE: "pairs stay held until they are sold or the market resolves",
    },
    order_calls=ORDER_CALLS,
)


def fees(seller_fee_bps: int, maker_rebate_bps: int) -> FeeTerms:
    """Return the terms of a market as listed, in basis points."""
    return FeeTerms(taker_only=False, seller_fee_ppm=100 * seller_fee_bps, paid_rebate_ppm=100 * maker_rebate_bps)


FEES: Final = FeeTerms(taker_only=False, seller_fee_ppm=SELLER_FEE_PPM, paid_rebate_ppm=MAKER_REBATE_PPM)


@dataclass(frozen=True, slots=True, eq=False)
class Satori:
    """SatoriEx's rules, whatever feed they are tried on: whole shares, its fees, no post-only orders, no rewards."""

    capabilities = CAPABILITIES

    def market(self, market: Market) -> Market:
        """Return a market under these rules; one that is listed under them already stays as it is."""
        if market.fees.seller_fee_ppm or not market.post_only:
            return market
        assumed = tuple(dict.fromkeys([*market.assumed, "fees", "min_order_size"]))
        return msgspec.structs.replace(
            market,
            min_order_size=SHARE,
            size_step=SHARE,
            min_take=Cash(0),
            fees=FEES,
            rewards=None,
            post_only=False,
            assumed=assumed,
        )

    def data(self, data: FeedData) -> FeedData:
        """Return a feed under these rules: what was recorded or drawn elsewhere shows whole shares, rounded down."""
        return msgspec.structs.replace(
            data,
            markets=tuple(self.market(market) for market in data.markets),
            rows=_whole_shares(data.rows),
            order_calls=ORDER_CALLS,
            info=msgspec.structs.replace(
                data.info,
                remarks=(*data.info.remarks, "satori's rules are assumed on this feed: whole shares, its fees"),
            ),
        )


def _whole_shares(rows: kernel.Rows) -> kernel.Rows:
    """Round sizes down to whole shares; the size of a snapshot's row counts levels and stays."""
    rounded = rows.size - rows.size % SHARE
    return rows._replace(size=np.where(rows.kind == kernel.SNAPSHOT, rows.size, rounded))
