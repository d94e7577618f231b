"""A session at an account, whatever the exchange: it ends with nothing resting, or says what may rest (R13)."""

import os
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio
from loguru import logger

from pmrun.plugins.exchanges.common.live_session import LiveSession
from pmrun.plugins.exchanges.common.texts import one_line
from pmrun.runner.account_file import AccountFile
from pmrun.runner.errors import ExchangeError
from pmrun.runner.ports import LiveSetup
from pmrun.runner.units import Micros

log = logger.bind(module="orders")


class MayRest(ExchangeError):
    """A session broke off, and nobody can say that nothing of it rests."""

    exit_code = 4


def begin(account: AccountFile, name: str, at: Micros) -> None:
    """Write that a session begins, and say so where the one before did not end cleanly."""
    unclean = account.unclean()
    if unclean is not None:
        log.warning("the session {} did not end cleanly: what it left is looked up", unclean.run)
    account.begin_session(name, at, os.getpid())


@asynccontextmanager
async def kept(exchange: LiveSession, start: Callable[..., Awaitable[None]], setup: LiveSetup) -> AsyncIterator[None]:
    """Trade, and have books come with `start`, until the block ends; one that breaks off leaves nothing resting.

    Raises MayRest where that cannot be verified.
    """
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(exchange.run)
            await start(setup.depth, setup.everything)
            yield
            nursery.cancel_scope.cancel()
    except BaseException as error:
        if not exchange.finished:
            with trio.CancelScope(shield=True):
                await _break_off(exchange, error)
        raise


async def _break_off(exchange: LiveSession, error: BaseException) -> None:
    """Have nothing rest, exits neither, as nobody watches any more; raises MayRest where that cannot be verified."""
    for record in exchange.in_play():
        record.cancel_asked = True
    may_rest = await exchange.finish()
    if may_rest:
        log.critical("broken off: {}", "".join(traceback.format_exception(error)))
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        said = one_line(f"{type(error).__name__}: {error}")
        raise MayRest(f"broken off by {said}; MAY REST: {'; '.join(may_rest)}") from error
