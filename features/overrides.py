"""Overrides of the configuration: from the environment and from the command line."""

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from features.errors import InputError

PREFIX = "TIERWISE_"

Keys = tuple[str, ...]


def from_environment(environ: Mapping[str, str], tables: dict[str, Any]) -> Iterator[tuple[str, Keys, str]]:
    """Read the settings of the environment, each with its place, its keys and its text.

    ``TIERWISE_FORECAST__HORIZON_DAYS=180`` sets ``forecast.horizon_days``, whatever the case.
    """
    for name in sorted(environ):
        levels = name.upper().removeprefix(PREFIX).split("__")
        if name.upper().startswith(PREFIX) and len(levels) > 1:
            yield name, _existing_case(levels, tables), environ[name]


def _existing_case(levels: list[str], tables: dict[str, Any]) -> Keys:
    """Spell each level as the file does; lower case where the file has no such key."""
    keys: list[str] = []
    table: Any = tables
    for level in levels:
        known = table if isinstance(table, dict) else {}
        key = next((key for key in known if key.upper() == level), level.lower())
        keys.append(key)
        table = known.get(key)
    return tuple(keys)


def from_option(option: str) -> tuple[str, Keys, str]:
    """Read a ``--set key.key=value``: its place, its keys and its text.

    Raises
    ------
    InputError
        It is no such text.
    """
    name, equals, text = option.partition("=")
    keys = tuple(key.strip() for key in name.split("."))
    if not equals or len(keys) < 2 or not all(keys):
        raise InputError(f"--set {option!r} is not table.key=value, as in --set forecast.horizon_days=180")
    return f"--set {name}", keys, text.strip()


def set_value(tables: dict[str, Any], keys: Keys, text: str, place: str) -> None:
    """Set a key of the tables, made where they are missing; a text is TOML, or else plain text.

    Raises
    ------
    InputError
        Something on the way to the key is a value.
    """
    table = tables
    for key in keys[:-1]:
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise InputError(f"{place}: {key!r} is a value, not a table; nothing can be set below it")
    table[keys[-1]] = _toml_value(text)


def _toml_value(text: str) -> Any:  # noqa: ANN401
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if len(parsed) == 1 else text
