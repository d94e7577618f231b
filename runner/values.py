"""Turns settings as written in YAML into what a component's constructor asks for.

The annotations of the constructor are the schema: dollars become Price or Cash, shares Size, seconds Micros.
"""

import dataclasses
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

from pmrun.runner.errors import ConfigError
from pmrun.runner.units import Cash, Micros, Price, Size, parse_cash, parse_price, parse_size, seconds

LARGEST = 10**18  # base units: beyond, arithmetic in 64 bits would not be exact
_UNITS: dict[Any, tuple[str, Callable[[Any], int]]] = {
    Price: ("dollars", parse_price),
    Cash: ("dollars", parse_cash),
    Size: ("shares", parse_size),
    Micros: ("seconds", lambda value: seconds(_number(value))),
}
_REFERENCE = "${oc.env:"  # how YAML names a variable of the environment


def _number(value: Any) -> float:
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"seconds {value!r} is not a number") from None


class Setting(typing.NamedTuple):
    """One setting of a component."""

    name: str
    kind: Any
    default: Any  # inspect.Parameter.empty: none


def settings_of(component: Callable[..., Any]) -> dict[str, Setting]:
    """Return the settings a component's constructor takes, in order."""
    hints = typing.get_type_hints(component if dataclasses.is_dataclass(component) else component.__init__)
    return {
        name: Setting(name, hints.get(name, Any), parameter.default)
        for name, parameter in inspect.signature(component).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }


def describe(kind: Any) -> str:
    """Say in words what a setting takes."""
    if kind in _UNITS:
        return f"a number of {_UNITS[kind][0]}"
    choices = _choices(kind)
    if choices:
        return " or ".join(describe(choice) for choice in choices)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "one of " + ", ".join(str(member.value) for member in kind)
    if kind is type(None):
        return "null"
    if typing.get_origin(kind) in (list, tuple):
        return f"a list of {describe(typing.get_args(kind)[0])}"
    group = _group(kind)
    if group is not None:
        return f"a mapping of {' and '.join(settings_of(group))}"
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}
    return names.get(kind, getattr(kind, "__name__", str(kind)))


def _choices(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else ()


def _group(kind: Any) -> Any:
    """Return the class of a setting that has settings of its own, such as Range[Price]; None for any other."""
    found = typing.get_origin(kind) or kind
    return found if isinstance(found, type) and dataclasses.is_dataclass(found) else None


def convert(kind: Any, value: Any, key: str) -> Any:
    """Convert one value; raises ConfigError with the key, the value and what is allowed.

    A reference to the environment is looked up here and nowhere else: what it holds may be a secret, and no message
    shows it.
    """
    group = _group(kind)
    if group is not None:
        return _convert_group(group, typing.get_args(kind), value, key)
    if refers_to_environment(value):
        return _convert_secret(kind, value, key)
    choices = _choices(kind)
    if choices:
        return _convert_choice(choices, kind, value, key)
    if kind in _UNITS:
        return _convert_quantity(kind, value, key)
    if kind is Any:
        return value
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(value)
        except ValueError:
            raise ConfigError(key, shown(value), f"must be {describe(kind)}") from None
    if typing.get_origin(kind) in (list, tuple):
        if not isinstance(value, list):
            raise ConfigError(key, shown(value), f"must be {describe(kind)}")
        item = typing.get_args(kind)[0]
        return typing.get_origin(kind)(convert(item, each, f"{key}[{index}]") for index, each in enumerate(value))
    if typing.get_origin(kind) is dict or kind is dict:
        if isinstance(value, dict):
            return value
        raise ConfigError(key, shown(value), "must be a mapping")
    return _convert_plain(kind, value, key)


def _convert_group(group: Any, units: tuple[Any, ...], value: Any, key: str) -> Any:
    """Convert each setting under its own key; what is not given has its default."""
    if not isinstance(value, Mapping):
        raise ConfigError(key, shown(value), f"must be {describe(group)}")
    settings = settings_of(group)
    arguments = {}
    for name, each in value.items():
        if name not in settings:
            raise ConfigError(f"{key}.{name}", shown(each), f"unknown setting; known: {', '.join(sorted(settings))}")
        kind = settings[name].kind
        arguments[name] = convert(kind[units] if units else kind, each, f"{key}.{name}")
    try:
        return group(**arguments)
    except ValueError as error:
        name = str(error).partition(" must ")[0]
        where, what = (f"{key}.{name}", value[name]) if name in value else (key, value)
        raise ConfigError(where, shown(what), str(error)) from None


def _convert_secret(kind: Any, value: Any, key: str) -> Any:
    import yaml  # type: ignore[import-untyped]

    found = from_environment(value, key)
    try:
        return convert(kind, found, key)
    except ConfigError:
        pass
    try:
        return convert(kind, yaml.safe_load(str(found)), key)  # the environment holds text only; YAML would not
    except (ConfigError, yaml.YAMLError):
        raise ConfigError(key, shown(value), f"what it holds must be {describe(kind)}") from None


def _convert_choice(choices: tuple[Any, ...], kind: Any, value: Any, key: str) -> Any:
    if value is None and type(None) in choices:
        return None
    for choice in choices:
        if choice is not type(None):
            try:
                return convert(choice, value, key)
            except ConfigError:
                if len(choices) == 2 and type(None) in choices:
                    raise
    raise ConfigError(key, shown(value), f"must be {describe(kind)}")


def _convert_quantity(kind: Any, value: Any, key: str) -> int:
    unit, parse = _UNITS[kind]
    if value is None or isinstance(value, bool) or not isinstance(value, int | float | str) or value == "":
        raise ConfigError(key, shown(value), f"must be {describe(kind)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(key, value, f"must be a finite number of {unit}")
    try:
        exact = parse(str(Decimal(repr(value))) if isinstance(value, float) else value)
    except (ValueError, ArithmeticError) as error:
        raise ConfigError(key, value, f"must be {describe(kind)} ({error})") from None
    if abs(exact) > LARGEST:
        raise ConfigError(key, value, f"is too large for {describe(kind)}")
    return exact


def _convert_plain(kind: Any, value: Any, key: str) -> Any:
    wrong = ConfigError(key, shown(value), f"must be {describe(kind)}")
    if kind is float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong
        if not math.isfinite(value):
            raise ConfigError(key, value, "must be a finite number")
        return float(value)
    if kind is int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong
        if abs(value) > LARGEST:
            raise ConfigError(key, value, "is too large")
        return value
    if kind is Path:
        if not isinstance(value, str) or not value:
            raise wrong
        return Path(value)
    if isinstance(kind, type) and not isinstance(value, kind):
        raise wrong
    return value


def refers_to_environment(value: Any) -> bool:
    """Whether a setting, or anything in it, is a reference to the environment."""
    if isinstance(value, Mapping):
        return any(refers_to_environment(each) for each in value.values())
    if isinstance(value, list):
        return any(refers_to_environment(each) for each in value)
    return isinstance(value, str) and _REFERENCE in value


def from_environment(value: Any, key: str) -> Any:
    """Return a setting with its references to the environment looked up; raises ConfigError for what is not set."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        return OmegaConf.to_container(OmegaConf.create({"value": value}), resolve=True)["value"]  # type: ignore[index, call-overload]
    except OmegaConfBaseException:
        raise ConfigError(key, shown(value), "the environment variable is not set") from None


def shown(value: Any) -> Any:
    """Write a value as YAML has it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if value == "":
        return '""'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {shown(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(str(shown(each)) for each in value) + "]"
    return value
