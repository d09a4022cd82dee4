"""Reasons in words: a table of messages by feature, in every language."""

import json
import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np

TABLE: dict[str, Any] = tomllib.loads(files("models").joinpath("messages.toml").read_text("utf-8"))
LANGUAGES = tuple(TABLE["languages"])
"""In which reasons can be told, the default first."""
OWN = "own"
"""The theme of features that the table does not know: a user wrote them."""
WORDS = ("orders", "silent")
"""What is said of the purchase rhythm beside its value: orders so far, and days since the last."""
_PARTS = {"days": r"\d+", "short": r"\d+", "long": r"\d+", "name": ".+", "of": ".+"}
_FORMATS = {"count": "{:,.0f}", "number": "{:,.2f}", "money": "{:,.2f}", "share": "{:.0%}", "plain": "{:g}"}

Word = str | bool | list[int] | None
"""What a value means: a text for a code, a flag, or `WORDS`."""


class Message(NamedTuple):
    """What is said of a feature.

    Attributes
    ----------
    theme
        To which it belongs.
    is_actionable
        Whether a company can act on it; a mark, no claim about causes.
    number
        How its value is written.
    facts
        By language the fact, with a place for the value.
    """

    theme: str
    is_actionable: bool
    number: str
    facts: dict[str, str]


@cache
def message(feature: str, target: str) -> Message:
    """Look up what is said of a feature that moves a forecast."""
    for row, pattern in zip(TABLE["messages"], _patterns(), strict=True):
        found = pattern.fullmatch(feature)
        if found and row.get("target", target) == target:
            parts = found.groupdict() | {place: f"{{{place}}}" for place in ("value", *WORDS)}
            facts = {language: row[language].format(**parts) for language in LANGUAGES}
            return Message(row["theme"], row["act"], row["number"], facts)
    raise LookupError(f"no message fits the feature '{feature}'")


def told(compact: str, language: str) -> list[dict[str, Any]]:
    """Put reasons into words.

    Parameters
    ----------
    compact
        As of `models.reasons`: by target a list of feature, value, effect and the word for the value.
    language
        One of `LANGUAGES`.

    Returns
    -------
    Per reason ``target``, ``theme``, ``feature``, ``value``, ``effect``, ``text``, ``actionable``.
    """
    return [
        _reason(target, language, *reason)
        for target, reasons in json.loads(compact).items()
        for reason in reasons
    ]


def _reason(
    target: str,
    language: str,
    feature: str,
    value: float | None,
    effect: float,
    word: Word = None,
) -> dict[str, Any]:
    about, words = message(feature, target), TABLE["languages"][language]
    beside = dict(zip(WORDS, word, strict=True)) if isinstance(word, list) else {}
    fact = about.facts[language].format(value=_value(about, value, word, words), **beside)
    moved = words[target]["raises" if effect > 0 else "lowers"]
    return {
        "target": target,
        "theme": about.theme,
        "feature": feature,
        "value": value,
        "effect": effect,
        "text": words["sentence"].format(fact=fact, moved=moved),
        "actionable": about.is_actionable,
    }


def _value(about: Message, value: float | None, word: Word, words: dict[str, str]) -> str:
    if value is None or np.isnan(value):
        return words["unknown" if about.number == "plain" else "none"]
    if isinstance(word, str):
        return word
    if isinstance(word, bool) or about.number == "flag":
        return words["yes" if value else "no"]
    return _FORMATS[about.number].format(value)


@cache
def _patterns() -> list[re.Pattern[str]]:
    return [re.compile(_pattern(row["feature"])) for row in TABLE["messages"]]


def _pattern(feature: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda part: f"(?P<{part[1]}>{_PARTS[part[1]]})", feature)
