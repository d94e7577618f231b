"""The verb `pmrun exchange`: the embedded exchange on loopback until it is stopped; money and markets are simulated."""

import argparse

from pmrun.plugins.exchanges.embedded.address import parse_bind
from pmrun.plugins.exchanges.embedded.billing import FEED, SIMULATED, WALL
from pmrun.runner.errors import ConfigError
from pmrun.runner.units import Cash, parse_cash
from pmrun.runner.verbs import VerbParser

SLOWEST, FASTEST = 0.001, 10_000.0


def exchange(arguments: list[str]) -> int:
    """Serve the embedded exchange until a signal stops it."""
    given = _parser().parse_intermixed_args(arguments)
    if not SLOWEST <= given.speed <= FASTEST:
        raise ConfigError("exchange --speed", given.speed, f"must be from {SLOWEST:g} to {FASTEST:,.0f}")
    parse_bind(given.bind)
    from pmrun.plugins.exchanges.embedded import stage  # it takes seconds, and a mistake is told before

    return stage.run(given)


def _parser() -> VerbParser:
    parser = VerbParser("pmrun exchange", description=f"Serve a {SIMULATED}.")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="as for a run, such as feed.markets=12")
    parser.add_argument("--bind", default="127.0.0.1:0", metavar="HOST:PORT", help="on loopback; port 0: any")
    parser.add_argument("--faults", metavar="NAME|PATH", help="a script of what goes wrong")
    parser.add_argument("--funds", type=_dollars, default="10000", metavar="DOLLARS", help="of each new account")
    parser.add_argument("--speed", type=float, default=1.0, metavar="X", help="seconds of the feed in one of ours")
    parser.add_argument("--clock", choices=(WALL, FEED), default=WALL, help="the exchange's time: ours, or the feed's")
    parser.add_argument("--loop", action="store_true", help="begin the feed again when it is over")
    parser.add_argument(
        "--protocol", choices=("polymarket", "satori", "both"), default="polymarket", help="which exchange it is"
    )
    parser.add_argument("--json", action="store_true", help="one line at the start and one at the end, for scripts")
    return parser


def _dollars(text: str) -> Cash:
    try:
        funds = parse_cash(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if funds < 0:
        raise argparse.ArgumentTypeError(f"{text} must be 0 dollars or more")
    return funds
