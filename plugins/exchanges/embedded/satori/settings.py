"""How the embedded exchange behaves where it speaks SatoriEx's protocol."""

import msgspec

from pmrun.plugins.exchanges.embedded.terms import Custody
from pmrun.runner.errors import ConfigError
from pmrun.runner.units import SECOND, Cash, Micros, Price, Size

SHARE = Size(1_000_000)  # whole shares only
MINUTE = Micros(60 * SECOND)


class SatoriSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Durations in microseconds, money and prices in base units; a pair is a range to draw from."""

    queue_latency: tuple[Micros, Micros] = (Micros(20_000), Micros(400_000))  # from the 202 to the match
    telling_latency: tuple[Micros, Micros] = (Micros(5_000), Micros(100_000))  # from the match to the news of it
    answer_latency: Micros = Micros(0)  # an answer leaves that much after its call arrived
    news_latency: Micros = Micros(0)  # a frame leaves that much after what it tells
    seller_fee_ppm: int = 15_000
    maker_rebate_ppm: int = 500
    token_rebate_ppm: int = 1_000  # of orders that a personal access token placed
    halt_move_ppm: int = 300_000  # a move of the last price by so much halts a market
    halt_least_move: Price = Price(0)  # and by so much at least
    halt_window: Micros = Micros(300 * SECOND)
    halt_length: Micros = Micros(300 * SECOND)
    token_life: Micros = Micros(900 * SECOND)
    refresh_life: Micros = Micros(7 * 86_400 * SECOND)
    limits: bool = True  # whether the limits below are enforced
    calls_a_minute: int = 100  # of a user, for each path
    order_calls_a_minute: int = 30  # of a user: orders and cancels together
    logins_a_minute: int = 10
    refreshes_a_minute: int = 20
    closed_kept: Micros = Micros(86_400 * SECOND)  # how long orders that ended are listed
    funds: Cash = Cash(10_000_000_000)

    def __post_init__(self) -> None:
        """Refuse what cannot be; ConfigError."""
        for name in ("queue_latency", "telling_latency"):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise ConfigError(name, (low, high), "0 or more is allowed, the lower bound first")
        if not 0 <= self.seller_fee_ppm <= 1_000_000:
            raise ConfigError("seller_fee_ppm", self.seller_fee_ppm, "from 0 to 1,000,000 is allowed")
        if self.halt_move_ppm <= 0:
            raise ConfigError("halt_move_ppm", self.halt_move_ppm, "above 0 is allowed")

    def custody(self, by_token: bool) -> Custody:
        """Return the fees of an order, placed by a personal access token or not."""
        rebate = self.token_rebate_ppm if by_token else self.maker_rebate_ppm
        return Custody(seller_fee_ppm=self.seller_fee_ppm, maker_rebate_ppm=rebate)
