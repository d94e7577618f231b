"""What the paper exchange is set to; `paper.Paper` says what each setting means."""

from dataclasses import dataclass

from pmrun.runner.units import Cash, Micros


@dataclass(frozen=True, slots=True, eq=False)
class PaperTerms:
    """Latencies and delays in microseconds, money in 1/1,000,000 dollar."""

    funds: Cash = Cash(1_000_000_000)
    submit_latency: Micros = Micros(50_000)
    answer_latency: Micros = Micros(50_000)
    settlement_delay: Micros = Micros(0)
    settlement_failure: float = 0.0
    merge_delay: Micros = Micros(2_000_000)
    reject_every: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse money and times below nothing."""
        if not 0 < self.funds < 10**17:
            raise ValueError("funds must be above 0 and below 100,000,000,000 dollars")
        for name in ("submit_latency", "answer_latency", "settlement_delay", "merge_delay"):
            if not 0 <= getattr(self, name) < 10**12:
                raise ValueError(f"{name} must be from 0 to below 1,000,000 seconds")
        if not 0 <= self.settlement_failure <= 1:
            raise ValueError("settlement_failure must be from 0 to 1")
        for name in ("reject_every", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more")
