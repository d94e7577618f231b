"""What this machine says of the account: its file, its lock, its limits, its caps, and who can read the secrets."""

import stat
from pathlib import Path

from pmrun.plugins.exchanges.common.account_folder import account_folder
from pmrun.plugins.exchanges.common.account_reader import reading
from pmrun.plugins.exchanges.common.doctor_findings import Finding, misconfigured, ok, refused, warning
from pmrun.plugins.exchanges.common.doctor_subject import Machine as Subject
from pmrun.plugins.exchanges.common.limits_shown import limits_shown, moment
from pmrun.runner.environment import FILE
from pmrun.runner.errors import ConfigError
from pmrun.runner.private_files import file_of
from pmrun.runner.units import format_cash
from pmrun.runner.wallet_lock import hold_wallet

NAME = "pmrun doctor"


async def env_file(subject: Subject) -> list[Finding]:
    """See that nobody else can read the file that holds the secrets."""
    path = subject.folder / FILE
    try:
        found = path.stat()
    except FileNotFoundError:
        return [ok(FILE, "none here: credentials come from the environment alone")]
    except OSError as error:
        return [misconfigured(FILE, f"cannot be looked at: {error.strerror}", "see who owns it and its folder")]
    mode = found.st_mode & 0o777
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return [misconfigured(FILE, f"others can use it (mode {mode:o})", f"chmod 600 {FILE}")]
    return [ok(FILE, f"yours alone (mode {mode:o})")]


async def caps(subject: Subject) -> list[Finding]:
    """See whether a run would trade or only rehearse."""
    live = subject.live
    assert live is not None, "an account is live"
    unset = [f"live.{name}" for name in ("max_order_usd", "max_resting_usd") if getattr(live, name) is None]
    if not live.armed:
        missing = [*(f"{name}=DOLLARS" for name in unset), "live.armed=true"]
        return [warning("caps", "live.armed is false: a run is a dry run, nothing leaves", f"set {', '.join(missing)}")]
    assert live.max_order_usd is not None, "an armed executor has its caps"
    assert live.max_resting_usd is not None, "an armed executor has its caps"
    order, resting = format_cash(live.max_order_usd), format_cash(live.max_resting_usd)
    if live.max_resting_usd < live.max_order_usd:
        seen = f"armed; live.max_resting_usd={resting} is less than live.max_order_usd={order}"
        return [warning("caps", seen, "no order of the largest size can rest: raise the first or lower the second")]
    return [ok("caps", f"armed; an order ${order} at most, all bids in play ${resting}")]


async def lock(subject: Subject) -> list[Finding]:
    """See whether an engine trades this wallet; the lock is tried for a moment, and none is made."""
    address, folder = _account(subject)
    if not file_of(address, folder, ".lock").exists():
        return [ok("wallet lock", f"free: {address} was never traded from here")]
    try:
        with hold_wallet(address, NAME, subject.now(), folder):
            return [ok("wallet lock", "free")]
    except ConfigError as error:
        subject.held_by = error.reason.removeprefix("is traded by ")
        return [misconfigured("wallet lock", f"held by {subject.held_by}", "stop that engine first: one a wallet")]


async def account_file(subject: Subject) -> list[Finding]:
    """Read the account's file, and how its last session ended."""
    address, folder = _account(subject)
    with reading(address, folder) as reader:
        if reader is None:
            return [ok("account file", f"none yet in {folder}: the first session makes it")]
        account = reader.account
        last, left, moving = account.unclean(), len(account.unfinished()), len(account.unsettled())
    counted = f"{left} orders not known to have ended, {moving} fills not settled"
    if last is None or subject.held_by is not None:
        return [ok("account file", f"readable; {counted}")]
    seen = f"the session {last.run} of {moment(last.started_at_us)} did not end cleanly; {counted}"
    cure = f"the next start looks up what it left; pmrun stop exchange={subject.exchange} cancels what bids now"
    return [warning("account file", seen, cure)]


async def limits(subject: Subject) -> list[Finding]:
    """See whether a limit would keep the account from quoting (P9)."""
    address, folder = _account(subject)
    with reading(address, folder) as reader:
        carried = [] if reader is None else reader.carried()
        if reader is not None and subject.clock_fits:
            reader.account.carried(subject.now())  # a session refuses what was written later than now
    shown = limits_shown(carried, subject.limits, subject.now())
    found = []
    for each in shown:
        if each.tripped and each.in_run:
            reset = f"pmrun limits exchange={subject.exchange} --reset {each.node}, once you know why"
            cure = f"wait, or {reset}" if each.passes else reset
            found.append(refused("limits", f"{each.node} is {each.state}", cure))
    if not subject.limits:
        return [warning("limits", "this run has none", "choose them: +risk@risk.daily_loss=daily_loss")]
    return found or [ok("limits", f"none of {len(subject.limits)} is tripped")]


def _account(subject: Subject) -> tuple[str, Path]:
    assert subject.signer is not None, "needs the private key"
    assert subject.live is not None, "an account is live"
    return subject.signer.maker, account_folder(subject.live.folder, subject.feed.clob_url)
