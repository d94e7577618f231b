"""Fault scripts: read and checked before anything starts, one clear line for what cannot be."""

from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from pmrun.plugins.exchanges.embedded.fault_terms import (
    AIMS,
    TERMS,
    Fault,
    Name,
    Where,
    seconds_from,
    share,
    whole_from,
    window,
)
from pmrun.runner.errors import ConfigError
from pmrun.runner.units import SECOND, Micros

_COMMON = ("fault", "at", "every", "jitter", "chance", "for", "times", "where")


class _Entry:
    """One entry while it is read; every complaint names its number and key."""

    def __init__(self, number: int, given: object) -> None:
        self.label = f"fault {number}"
        if not isinstance(given, Mapping):
            raise ConfigError(self.label, given, "a mapping with the key fault is allowed")
        self.given: Mapping[Any, Any] = given
        self.name = self._named()
        self.label = f"fault {number} ({self.name})"
        self.terms = TERMS[self.name]

    def _named(self) -> Name:
        found = self.given.get("fault")
        if not isinstance(found, str) or found not in tuple(Name):
            raise ConfigError(f"{self.label}: fault", found, f"one of {', '.join(Name)} is allowed")
        return Name(found)

    def wrong(self, key: str, value: object, allowed: str) -> ConfigError:
        return ConfigError(f"{self.label}: {key}", value, allowed)

    def read(self, key: str, reading: Callable[[object], Any], found: object) -> Any:
        try:
            return reading(found)
        except ValueError as error:
            raise self.wrong(key, found, str(error)) from None

    def optional(self, key: str, reading: Callable[[object], Any]) -> Any:
        return self.read(key, reading, self.given[key]) if key in self.given else None

    def refuse_unknown(self) -> None:
        known = (*_COMMON, *self.terms.settings)
        for key in self.given:
            if key not in known:
                raise self.wrong(str(key), self.given[key], f"unknown key; known: {', '.join(known)}")

    def where(self) -> Where:
        found = self.given.get("where", {})
        allowed = ", ".join(sorted(self.terms.where)) or "nothing"
        if not isinstance(found, Mapping):
            raise self.wrong("where", found, f"a mapping of {allowed} is allowed")
        for key in found:
            if key not in self.terms.where:
                raise self.wrong(f"where.{key}", found[key], f"{allowed} is allowed in its where")
        where = Where(**{key: self.read(f"where.{key}", AIMS[key], value) for key, value in found.items()})
        if where.calls_only and where.frames_only:
            raise self.wrong("where", dict(found), "either calls (path, method) or frames (channel, market, event)")
        return where

    def settings(self) -> dict[str, int | str | None]:
        return {
            key: default if key not in self.given else self.read(key, reading, self.given[key])
            for key, (reading, default) in self.terms.settings.items()
        }

    def length(self) -> Micros | None:
        if "for" in self.given and not self.terms.lasts:
            raise self.wrong("for", self.given["for"], "it happens at one moment: leave it out")
        found: Micros | None = self.optional("for", seconds_from(0.001))
        return self.terms.length if found is None else found

    def fault(self) -> Fault:
        self.refuse_unknown()
        fault = Fault(
            name=self.name,
            at=self.optional("at", seconds_from(0)),
            every=self.optional("every", seconds_from(0.001)),
            jitter=self.optional("jitter", seconds_from(0)) or Micros(0),
            chance=self.optional("chance", share),
            length=self.length(),
            times=self.optional("times", whole_from(1, 1_000_000)),
            where=self.where(),
            settings=self.settings(),
        )
        self.check_trigger(fault)
        self.check_rhythm(fault)
        return fault

    def check_trigger(self, fault: Fault) -> None:
        ways = ("at", "every", "chance") if self.terms.by_chance else ("at", "every")
        given = [key for key in ("at", "every", "chance") if key in self.given]
        if len(given) != 1 or given[0] not in ways:
            raise self.wrong(" and ".join(given) or "trigger", None, f"exactly one of {', '.join(ways)} is allowed")

    def check_rhythm(self, fault: Fault) -> None:
        if fault.every is None:
            if fault.jitter:
                raise self.wrong("jitter", self.given["jitter"], "only beside every")
            return
        if 2 * fault.jitter > fault.every:
            raise self.wrong("jitter", self.given["jitter"], f"half of every={self.given['every']} at most is allowed")
        span = window(fault) or 0
        if span + 2 * fault.jitter > fault.every:
            need = (span + 2 * fault.jitter) / SECOND
            raise self.wrong("every", self.given["every"], f"{need:g} seconds at least: its windows may not overlap")


def read_script(given: object, source: str = "fault script") -> tuple[Fault, ...]:
    """Check a list of faults; ConfigError names the first entry that cannot be, its key, value and what is allowed."""
    if not isinstance(given, list | tuple):
        shown = type(given).__name__ if given is not None else "nothing"
        raise ConfigError(source, None, f"a list of faults is allowed, this is {shown}")
    return tuple(_Entry(number, entry).fault() for number, entry in enumerate(given, start=1))


def load_script(path_or_name: str | Path) -> tuple[Fault, ...]:
    """Read a YAML file, or one of the scripts that come with the exchange by its name; ConfigError if it is neither."""
    text = _text(path_or_name)
    try:
        given = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1})" if mark is not None else ""
        raise ConfigError("fault script", path_or_name, f"not YAML{line}") from None
    return read_script(given, f"fault script {path_or_name}")


def _text(path_or_name: str | Path) -> str:
    scripts = files(__package__).joinpath("scripts")
    known = sorted(found.name.removesuffix(".yaml") for found in scripts.iterdir() if found.name.endswith(".yaml"))
    if str(path_or_name) in known:
        return scripts.joinpath(f"{path_or_name}.yaml").read_text(encoding="utf-8")
    try:
        return Path(path_or_name).read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        allowed = f"a readable YAML file or one of {', '.join(known)}"
        raise ConfigError("fault script", path_or_name, f"{allowed} is allowed") from None
