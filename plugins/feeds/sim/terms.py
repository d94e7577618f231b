"""Questions, reward terms, ends and ticks of simulated markets."""

import hashlib
from typing import NamedTuple

import numpy as np

from pmrun.plugins.feeds.sim.calibration import Calibration, Floats, calibration, choice, even
from pmrun.plugins.feeds.sim.plan import Kind, Plan
from pmrun.runner.market import ConditionId, FeeTerms, Market, RewardTerms, TokenId
from pmrun.runner.units import PRICE_SCALE, SECOND, Cash, Micros, Price, Size

RANKS = 8
CENT = Price(100)
FINE = Price(10)
DAY = 86_400 * SECOND
LABEL = "(simulated)"
# Assumed, of 48: enough markets that pass the filters of a reward maker, and more that do not.
MIX = {Kind.TRADED: 20, Kind.DEEP: 6, Kind.SCANNED: 18, Kind.BUSY: 4}
SMALL = Size(20_000_000)  # the largest order a maker of the default settings wants
CHOOSY = 0.95  # assumed: how much takers mind how much rests
CALM = 0.6  # assumed: a jump every hundred minutes
FEES = {  # reference 7.1
    "Politics": FeeTerms(rate_ppm=40_000, rebate_ppm=250_000),
    "Sports": FeeTerms(rate_ppm=50_000, rebate_ppm=150_000),
    "Crypto": FeeTerms(rate_ppm=70_000, rebate_ppm=200_000),
    "Economy": FeeTerms(rate_ppm=50_000, rebate_ppm=250_000),
    "Weather": FeeTerms(rate_ppm=50_000, rebate_ppm=250_000),
    "Culture": FeeTerms(rate_ppm=50_000, rebate_ppm=250_000),
}


class _Template(NamedTuple):
    """A kind of question: markets of one template share an event."""

    category: str
    event: str
    text: str
    parts: tuple[str, ...]
    exclusive: bool = False  # one of them happens at most


LASTING = (
    _Template("Politics", "senate-races", "Will the Democratic candidate win the {} Senate race?",
              ("Maine", "Ohio", "Texas", "Iowa", "Georgia")),
    _Template("Crypto", "bitcoin-high", "Will Bitcoin trade above ${} by year end?",
              ("90k", "110k", "130k", "150k")),
    _Template("Economy", "rate-cuts", "Will the Fed cut rates {} this year?", ("once", "twice", "three times")),
    _Template("Politics", "trump-acts", "Will Trump {} this quarter?", ("sign a crypto bill", "visit Brazil")),
    _Template("Sports", "league-title", "Will {} win the league?",
              ("the Harbor Gulls", "the Mill Foxes", "the Iron Larks", "the Bay Herons"), exclusive=True),
    _Template("Culture", "album-of-the-year", "Will {} win album of the year?", ("the favourite", "a debut")),
    _Template("Weather", "hottest-year", "Will this year be the {} on record?", ("hottest", "second hottest")),
    _Template("Economy", "oil-high", "Will oil trade above ${} by summer?", ("80", "95")),
    _Template("Politics", "seats-won", "Will turnout in the {} referendum pass half?", ("northern", "southern")),
    _Template("Crypto", "token-launch", "Fully diluted value above ${} one day after launch?", ("1B", "3B", "5B")),
)  # fmt: skip
GAMES = _Template("Sports", "ball-games", "Will the {} win tonight's ball game?",
                  ("Gulls", "Foxes", "Larks", "Herons", "Otters", "Rams", "Crows", "Pikes"))  # fmt: skip
MINUTES = _Template("Crypto", "up-or-down", "{} up or down in a quarter of an hour?",
                    ("Bitcoin", "Ethereum", "Solana", "XRP", "Dogecoin", "BNB"))  # fmt: skip


def plans(seed: int, count: int, start: Micros, length: Micros, jumps: float) -> list[Plan]:
    """Draw the markets of a run: each kind by its share, terms spread evenly over what was recorded."""
    return _Draw(seed, start, length, jumps).all(count)


def counts(count: int) -> dict[Kind, int]:
    """Share markets out over the kinds, in the proportions of MIX."""
    whole = sum(MIX.values())
    found = {kind: count * share // whole for kind, share in MIX.items()}
    for kind in list(MIX)[: count - sum(found.values())]:
        found[kind] += 1
    return found


class _Draw:
    """The draws of one run."""

    def __init__(self, seed: int, start: Micros, length: Micros, jumps: float) -> None:
        self._seed = seed
        self._start = start
        self._length = length
        self._jumps = jumps
        self._table: Calibration = calibration()
        self._random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 1])))
        self._number = 0
        self._asked: dict[str, int] = {}

    def all(self, count: int) -> list[Plan]:
        """Draw every kind."""
        share = counts(count)
        drawn = [
            *self._traded(share[Kind.TRADED]),
            *self._deep(share[Kind.DEEP]),
            *self._scanned(share[Kind.SCANNED]),
            *self._busy(share[Kind.BUSY]),
        ]
        order = np.argsort(self._random.random(len(drawn))).tolist()
        return [self._ending(drawn[index]) for index in order]

    def _ending(self, plan: Plan) -> Plan:
        """Let a market resolve whose end comes during the run."""
        ends = plan.market.ends_at
        return plan._replace(ends_at=ends) if ends is not None and ends < self._start + self._length else plan

    def _even(self, count: int) -> Floats:
        return even(self._random, count)

    def _traded(self, count: int) -> list[Plan]:
        """Draw markets that a reward maker looks for: orders of 20 shares are assumed, the rest is as recorded."""
        table, terms = self._table, self._table.rewards.traded
        spreads = table.at(table.books["quiet"].spread_cents, self._even(count))
        mids = table.at(terms.mid, self._even(count))
        mirrored = self._random.random(count) < 0.5  # which outcome comes first is arbitrary
        rates = table.at(terms.daily_rate, self._even(count))
        volumes = table.at(terms.volume_24h, 0.8 * self._even(count))
        liquidity = table.at(terms.liquidity, self._even(count))
        bands = choice(table.rewards.max_spread_cents.small, self._even(count))
        days = 8 + 350 * self._even(count) ** 2
        depths = self._depths(count)
        tilts = _tilts(depths, volumes)
        drawn = []
        for i in range(count):
            fine = bool(spreads[i] < 0.95)
            mid = min(max(float(mids[i]), 0.12), 0.88)
            market = self._market(
                self._next(LASTING), FINE if fine else CENT,
                (SMALL, _cents(float(bands[i])), float(rates[i])), float(volumes[i]), float(liquidity[i]),
                Micros(self._start + int(days[i] * DAY)),
            )  # fmt: skip
            drawn.append(
                Plan(
                    market=market, kind=Kind.TRADED, step=market.tick, mid=1 - mid if mirrored[i] else mid,
                    spread=_spread(float(spreads[i]), market.tick), levels=14, depth=depths[i],
                    hole=Price(7 * CENT) if i % 10 == 9 else Price(0),
                    tilt=tilts[i], print_gap=_gap(table.prints["quiet"].mean_dollars, float(volumes[i])),
                    jumps=self._jumps * CALM, jump_size=Price(200), noise=Price(12), trend=Price(100),
                    drift=Price(0), ends_at=None,
                )
            )  # fmt: skip
        return drawn

    def _deep(self, count: int) -> list[Plan]:
        """Draw markets as before baseball games; every third asks for orders that are small enough."""
        table, terms = self._table, self._table.rewards.traded
        rates = table.at(terms.daily_rate, self._even(count))
        volumes = table.at(terms.volume_24h, 0.5 + 0.4 * self._even(count))
        mids = 0.42 + 0.2 * self._even(count)
        bands = choice(table.rewards.max_spread_cents.all, self._even(count))
        depths = self._depths(count)
        drawn = []
        for i in range(count):
            size = SMALL if i % 3 == 0 else Size(100_000_000)
            ends = Micros(self._start + (14 * DAY if i % 3 == 0 else DAY // 3))
            market = self._market(
                self._next((GAMES,)), CENT, (size, _cents(float(bands[i])), float(rates[i])), float(volumes[i]),
                20 * float(volumes[i]), ends,
            )  # fmt: skip
            drawn.append(
                Plan(
                    market=market, kind=Kind.DEEP, step=CENT, mid=float(mids[i]), spread=CENT, levels=16,
                    depth=depths[i], hole=Price(0),
                    tilt=0.0, print_gap=_gap(table.prints["quiet"].mean_dollars, float(volumes[i])),
                    jumps=self._jumps * CALM / 4, jump_size=Price(150), noise=Price(3), trend=Price(40),
                    drift=Price(0), ends_at=None,
                )
            )  # fmt: skip
        return drawn

    def _scanned(self, count: int) -> list[Plan]:
        """Draw rewarded markets as a scan finds them."""
        table, terms = self._table, self._table.rewards.scanned
        spreads = table.at(terms.spread_cents, self._even(count))
        mids = table.at(terms.mid, self._even(count))
        sizes = choice(terms.min_size, self._even(count))
        rates = table.at(terms.daily_rate, self._even(count))
        volumes = table.at(terms.volume_24h, self._even(count))
        liquidity = table.at(terms.liquidity, self._even(count))
        bands = choice(table.rewards.max_spread_cents.all, self._even(count))
        ends = choice(terms.ends_in, self._even(count))
        ticks = choice(table.listed.tick, self._even(count))
        depths = self._depths(count)
        drawn = []
        for i in range(count):
            turning = i == 0  # this one leaves 0.04 behind: its tick becomes finer
            tick = CENT if turning or (ticks[i] == "0.01" and spreads[i] >= 1) else FINE
            half = _spread(float(spreads[i]), tick) / 2 / PRICE_SCALE
            mid = 0.052 if turning else min(max(float(mids[i]), half + 0.03), 1 - half - 0.03)
            spread = Price(2 * CENT) if turning else _spread(min(float(spreads[i]), 90.0), tick)
            market = self._market(
                self._next(LASTING), tick,
                (Size(int(sizes[i]) * 1_000_000), _cents(float(bands[i])), max(1.0, float(rates[i]))),
                float(volumes[i]), float(liquidity[i]), self._end(ends[i]),
            )  # fmt: skip
            drawn.append(
                Plan(
                    market=market, kind=Kind.SCANNED, step=FINE if turning else tick, mid=mid, spread=spread,
                    levels=3 + i % 10, depth=depths[i], hole=Price(8 * CENT) if i % 4 == 3 else Price(0),
                    tilt=0.0, print_gap=_gap(table.prints["quiet"].mean_dollars, float(volumes[i])),
                    jumps=self._jumps * CALM, jump_size=Price(200),
                    noise=Price(5 if turning else 10), trend=Price(0 if turning else 60),
                    drift=Price(-350) if turning else Price(0), ends_at=None,
                )
            )  # fmt: skip
        return drawn

    def _busy(self, count: int) -> list[Plan]:
        """Draw markets that end within minutes of the start."""
        table = self._table
        depths = self._depths(count)
        drawn = []
        for i in range(count):
            ends = Micros(self._start + (8 + 4 * (i % 4)) * 60 * SECOND)
            market = self._market(
                self._next((MINUTES,)), CENT, (SMALL, _cents(4.5), 10.0), 25_000.0, 10_000.0, ends,
            )  # fmt: skip
            drawn.append(
                Plan(
                    market=market, kind=Kind.BUSY, step=CENT, mid=0.5, spread=Price(2 * CENT), levels=16,
                    depth=depths[i], hole=Price(0), tilt=0.0, print_gap=table.prints["busy"].gap_mean,
                    jumps=self._jumps * 12, jump_size=Price(300), noise=Price(250), trend=Price(300),
                    drift=Price(0), ends_at=None,
                )
            )  # fmt: skip
        return drawn

    def _depths(self, count: int) -> list[tuple[list[float], list[float]]]:
        """Place each level in the table of sizes: a market's levels are alike, all markets together cover the table."""
        alike = self._random.standard_normal((count, 1))
        ranks = []
        for _ in range(RANKS):
            score = (alike + 0.7 * self._random.standard_normal((count, 2))).ravel()
            place = np.empty(2 * count)
            place[np.argsort(score)] = (np.arange(2 * count) + 0.5) / (2 * count)
            ranks.append(place.reshape(count, 2))
        return [([float(r[i, 0]) for r in ranks], [float(r[i, 1]) for r in ranks]) for i in range(count)]

    def _end(self, word: str) -> Micros:
        low, high = {"<1d": (0.2, 1.0), "1–7d": (1.0, 6.9), "7–30d": (7.2, 30.0)}.get(word, (30.0, 300.0))
        return Micros(self._start + int((low + (high - low) * float(self._random.random())) * 24) * 3_600 * SECOND)

    def _next(self, templates: tuple[_Template, ...]) -> tuple[_Template, str]:
        """Go through the templates in turn; a template asked too often starts a new event."""
        turn = self._asked.get(templates[0].event, 0)
        self._asked[templates[0].event] = turn + 1
        every = [(template, part) for template in templates for part in template.parts]
        template, part = every[turn % len(every)]
        again = turn // len(every)
        if not again:
            return template, part
        later = template._replace(
            event=f"{template.event}-{again + 1}", text=template.text.replace("?", f" {again + 1}?")
        )
        return later, part

    def _market(
        self, question: tuple[_Template, str], tick: Price, rewards: tuple[Size, Price, float], volume: float,
        liquidity: float, ends_at: Micros,
    ) -> Market:  # fmt: skip
        template, part = question
        number, self._number = self._number, self._number + 1
        condition, yes, no = ids(f"simulated {self._seed} {number}")
        return Market(
            condition=condition,
            question=f"{template.text.format(part)} {LABEL}",
            slug=f"simulated-{template.event}-{number}",
            yes=yes,
            no=no,
            tick=tick,
            min_order_size=Size(5_000_000),
            fees=FEES[template.category],
            rewards=RewardTerms(min_size=rewards[0], max_spread=rewards[1], daily_rate=_cash(rewards[2])),
            ends_at=ends_at,
            volume_24h=_cash(volume),
            liquidity=_cash(liquidity),
            neg_risk=template.exclusive,
            event=f"simulated-{template.event}",
            simulated=True,
        )


def _cents(amount: float) -> Price:
    return Price(round(amount * CENT))


def _cash(dollars: float) -> Cash:
    return Cash(round(dollars * 100) * 10_000)


def _tilts(depths: list[tuple[list[float], list[float]]], volumes: Floats) -> list[float]:
    """Return how takers choose markets by what rests at the touch, so that all trades together are as recorded."""
    if not depths:
        return []
    thin = np.array([1 - bids[0] - asks[0] for bids, asks in depths])
    thin -= (thin * volumes).sum() / volumes.sum()
    return np.clip(CHOOSY * thin, -1, 1).tolist()  # type: ignore[no-any-return]


def _spread(cents: float, tick: Price) -> Price:
    return Price(max(1, round(cents * CENT / tick)) * tick)


def _gap(dollars: float, volume: float) -> float:
    """Return the seconds between trades that make a day's volume; at most a day."""
    return 86_400 * dollars / max(volume, dollars)


def ids(name: str) -> tuple[ConditionId, TokenId, TokenId]:
    """Return the ids of a simulated market and its tokens: of the shape of real ones, the same for the same name."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    number = int(digest, 16)
    return ConditionId(f"0x{digest}"), TokenId(str(number | 1)), TokenId(str(number & ~1))
