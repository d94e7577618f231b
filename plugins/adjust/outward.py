"""How far a quote is from the mid, and the same quote elsewhere."""

from pmrun.runner.hooks import Quote
from pmrun.runner.market import Outcome
from pmrun.runner.units import ONE, HalfPrice, Side


def distance(quote: Quote, mid: HalfPrice) -> int:
    """Return the distance from the mid of YES in 1/20,000 dollar; below 0 for a quote that is better than it."""
    own = mid if quote.outcome is Outcome.YES else 2 * ONE - mid
    return own - quote.price if quote.side is Side.BUY else quote.price - own


def moved(quote: Quote, outward: int) -> Quote:
    """Return a quote farther from the mid by so much (1/20,000 dollar)."""
    away = -outward if quote.side is Side.BUY else outward
    return quote._replace(price=HalfPrice(quote.price + away))


def shifted(quote: Quote, up: int) -> Quote:
    """Return a quote where the price of YES is expected higher by so much (1/20,000 dollar); NO goes down by it."""
    return quote._replace(price=HalfPrice(quote.price + (up if quote.outcome is Outcome.YES else -up)))
