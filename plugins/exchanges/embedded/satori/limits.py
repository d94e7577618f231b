"""How often a user may call (reference 11): so many in any minute."""

from collections import defaultdict, deque

from pmrun.plugins.exchanges.embedded.satori.codes import Code, Refusal
from pmrun.plugins.exchanges.embedded.satori.settings import MINUTE
from pmrun.runner.units import SECOND, Micros


class Limits:
    """Counts calls by who makes them and what they are; one that is refused is not counted."""

    def __init__(self, enforced: bool = True) -> None:
        """Start without calls."""
        self._enforced = enforced
        self._calls: defaultdict[tuple[str, str], deque[Micros]] = defaultdict(deque)

    def spend(self, who: str, allowed: dict[str, int], at: Micros) -> None:
        """Count one call against all these limits, or none of them; Refusal with the seconds to wait."""
        if not self._enforced:
            return
        spent = [(self._recent(who, name, at), most) for name, most in allowed.items()]
        waits = [calls[0] + MINUTE - at for calls, most in spent if len(calls) >= most]
        if waits:
            raise Refusal(Code.TOO_MANY, retry_after=-(-max(waits) // SECOND))
        for calls, _ in spent:
            calls.append(at)

    def _recent(self, who: str, name: str, at: Micros) -> deque[Micros]:
        calls = self._calls[who, name]
        while calls and calls[0] + MINUTE <= at:
            calls.popleft()
        return calls
