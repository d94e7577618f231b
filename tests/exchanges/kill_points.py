"""Where a session can be killed: the awaits of the order path, how they are named, and which of them were come by."""

import ast
import gc
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import AsyncGeneratorType, FrameType, ModuleType
from typing import Any

import trio

OURS = ("/exchanges/common/", "/exchanges/polymarket/", "/exchanges/satori/", "/runner/session.py", "/runner/live.py")
Kind = str  # the functions that await one another, outermost first, each with the line it awaits on


def kind_of(task: trio.lowlevel.Task) -> Kind:
    """Say at which await of ours a task stands."""
    return " > ".join(
        f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_qualname}:{frame.f_lineno}"
        for frame in _frames(task.coro)
        if any(place in frame.f_code.co_filename for place in OURS)
    )


def _frames(awaited: Any) -> Iterator[FrameType]:
    """Go through what awaits what; through asynchronous generators, which hide behind what they are awaited by."""
    while awaited is not None:
        if type(awaited).__name__ in ("async_generator_asend", "async_generator_athrow", "anext_awaitable"):
            behind = gc.get_referents(awaited)
            awaited = next((each for each in behind if isinstance(each, AsyncGeneratorType)), behind[0])
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "ag_frame", None)
        if frame is not None:
            yield frame
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "ag_await", None)


def shortly(kind: Kind) -> str:
    """Say a kind of kill point in short: what of ours awaits, and what it awaits in the end."""
    parts = kind.split(" > ")
    kept = [part for part in parts if part.split(".")[0] not in ("live", "transport", "retries", "listing", "session")]
    return " > ".join(kept or parts[:1]) + (f" ({parts[-1]})" if kept and kept[-1] != parts[-1] else "")


def awaits_of(*modules: ModuleType) -> dict[str, tuple[int, int]]:
    """Return every await of some modules, by "module.function:line", with its first and last line."""
    found = {}
    for module in modules:
        assert module.__file__ is not None
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if isinstance(function, ast.AsyncFunctionDef):
                for node in ast.walk(function):
                    if isinstance(node, ast.Await):
                        place = f"{Path(module.__file__).stem}.{function.name}:{node.lineno}"
                        found[place] = node.lineno, node.end_lineno or node.lineno
    return found


def covered(place: str, lines: tuple[int, int], kinds: Iterable[Kind]) -> int:
    """Return at how many kinds of kill points that fired an await stood."""
    module = place.split(".")[0]
    standing = {part for kind in kinds for part in kind.split(" > ")}
    return sum(
        part.split(".")[0] == module and lines[0] <= int(part.rpartition(":")[2]) <= lines[1]
        for part in standing
        if ":" in part
    )
