"""Limits of the account: asked after every fact and every answer; while one objects, every quote is pulled."""

from collections.abc import Sequence
from typing import Final

from pmrun.runner.acting import Acting
from pmrun.runner.hooks import Hooks
from pmrun.runner.intents import Halt, Intent, Reason
from pmrun.runner.known import Known
from pmrun.runner.orders import Purpose, State
from pmrun.runner.units import Cash

QUOTE: Final = Purpose.QUOTE
PENDING_SUBMIT: Final = State.PENDING_SUBMIT


class _View:
    """The account as it stands."""

    __slots__ = ("_known",)

    def __init__(self, known: Known) -> None:
        self._known = known

    @property
    def cash(self) -> Cash:
        return Cash(self._known.account.funds.total)

    @property
    def locked(self) -> Cash:
        return Cash(self._known.account.funds.locked)

    @property
    def equity(self) -> Cash | None:
        account, markets = self._known.account, self._known.markets
        total = account.funds.total
        for no, inventory in account.markets():
            state = markets.get(no)
            mark = None if state is None else state.mark
            if mark is not None:
                total += inventory.value(mark)
            elif inventory.held:
                return None
        return Cash(total)


class Limits:
    """Asks the limits, and fails closed: one that raises objects from then on (P9)."""

    def __init__(self, hooks: Hooks, known: Known, acting: Acting) -> None:
        """Find out whether there is anybody to ask."""
        self.asked = hooks.limiting
        self._hooks = hooks
        self._known = known
        self._acting = acting
        self._view = _View(known)
        self._said: dict[str, str] = {}  # the code of each limit that objects

    def judge(self) -> None:
        """Ask every limit; where their minds changed, pull all quotes or look at all markets again."""
        known = self._known
        reasons = self._reasons()
        known.limit = reasons[0] if reasons else None
        codes = {reason.by: reason.code for reason in reasons}
        before, self._said = self._said, codes
        if codes == before or known.stopped is not None:
            return
        for by, code in before.items():
            if codes.get(by) != code:
                known.halts.ended(by, code, known.now)
        for reason in reasons:
            if before.get(reason.by) != reason.code:
                known.halts.began(reason, known.now)
                self._acting.out.append(Halt(known.now, None, reason))
        known.dirty.update(dict.fromkeys(known.markets))
        if known.limit is not None:
            self._pull_quotes(known.limit)

    def hear(self, out: Sequence[Intent]) -> None:
        """Let the limits learn what was asked for, and judge again: what rests from now on counts as well."""
        told = len(out)
        for intent in out[:told]:
            self._hooks.observe_intent(intent)
        self.judge()
        for intent in out[told:]:
            self._hooks.observe_intent(intent)

    def _reasons(self) -> list[Reason]:
        broken, now = self._hooks.broken, self._known.now
        reasons = []
        for name, object_to_account in self._hooks.limits.items():
            objection = None if name in broken else object_to_account(self._view, now)
            if objection is not None:
                reasons.append(Reason(objection.code, name, objection.numbers))
        reasons.extend(Reason("limit_failed", name, {"error": error}) for name, error in broken.items())
        return reasons

    def _pull_quotes(self, reason: Reason) -> None:
        """Cancel what rests, and what is not answered yet as soon as it is."""
        for state in self._known.markets.values():
            self._acting.pull(state, reason)
            for order in state.orders.values():
                if order.state is PENDING_SUBMIT and order.purpose is QUOTE:
                    self._known.pulled.add(order.no)
