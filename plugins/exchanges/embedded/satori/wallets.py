"""What accounts have, from the ledger, and what their shares cost them."""

from typing import Any

from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.ledger import COLLATERAL, Account, Part
from pmrun.plugins.exchanges.embedded.satori.records import BUY, Fill, Record
from pmrun.plugins.exchanges.embedded.satori.settings import SHARE
from pmrun.plugins.exchanges.embedded.satori.wire_out import outcome_id
from pmrun.runner.market import Market, Outcome


class Wallets:
    """Balances and positions of accounts."""

    def __init__(self, engine: Engine) -> None:
        """Take the engine with its ledger."""
        self._engine = engine
        self._costs: dict[tuple[str, str], tuple[int, int]] = {}  # by wallet and outcome: shares that fills left, cost

    def balance(self, wallet: str) -> dict[str, int]:
        """Return the money of an account."""
        available, locked = self._parts(wallet, COLLATERAL)
        return {"available_e6": available, "locked_e6": locked, "total_e6": available + locked}

    def positions(self, wallet: str) -> list[dict[str, Any]]:
        """Return the shares of an account that has some."""
        rows = []
        for market in self._engine.markets:
            for outcome in Outcome:
                available, locked = self._parts(wallet, market.token(outcome))
                if available + locked:
                    rows.append(self._row(wallet, market, outcome, available + locked, locked))
        return rows

    def learn(self, record: Record, fill: Fill) -> None:
        """Count what a fill cost, or what part of the cost a sale took away."""
        key = (record.user_id, record.outcome_id)
        shares, cost = self._costs.get(key, (0, 0))
        if record.side == BUY:
            self._costs[key] = (shares + fill.quantity, cost + fill.price * fill.quantity * SHARE // 10_000)
        elif shares:
            left = max(shares - fill.quantity, 0)
            self._costs[key] = (left, cost * left // shares)

    def payout(self, wallet: str, market: Market) -> int | None:
        """Return what the resolution of a market paid an account; None when it held nothing."""
        why = f"redemption of {market.condition}"
        account = Account(wallet, Part.AVAILABLE)
        for entry in reversed(self._engine.ledger.entries):
            if entry.why == why:
                mine = [movement for movement in entry.movements if movement.account == account]
                paid = sum(movement.amount for movement in mine if movement.asset == COLLATERAL)
                return paid if mine else None
        return None

    def _parts(self, wallet: str, asset: str) -> tuple[int, int]:
        ledger = self._engine.ledger
        available = ledger.of(Account(wallet, Part.AVAILABLE), asset)
        locked = sum(ledger.of(Account(wallet, part), asset) for part in (Part.ESCROW, Part.PENDING))
        return available, locked

    def _row(self, wallet: str, market: Market, outcome: Outcome, held: int, locked: int) -> dict[str, Any]:
        name = outcome_id(market, outcome)
        return {
            "market_id": market.condition,
            "outcome_id": name,
            "quantity": held // SHARE,
            "locked_quantity": locked // SHARE,
            "cost_e6": self._costs.get((wallet, name), (0, 0))[1],
        }
