"""Reasons in words: a table of messages by feature, in every language."""

import json
import re
import tomllib
from functools import cache, partial
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
_PARTS = {"days": r"\d+", "short": r"\d+", "long": r"\d+", "name": ".+", "of": ".+", "kind": ".+"}
_FORMATS = {"count": "{:,.0f}", "number": "{:,.2f}", "money": "{:,.2f}", "share": "{:.0%}", "plain": "{:g}"}

TIER = "tier"
"""The target of messages about what only tiers look at, such as the forecasts themselves."""

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
            facts = {
                language: row[language].format(**parts | {"kind": kind(parts.get("kind", ""), language)})
                for language in LANGUAGES
            }
            return Message(row["theme"], row["act"], row["number"], facts)
    raise LookupError(f"no message fits the feature '{feature}'")


def kind(code: str, language: str) -> str:
    """Say what interactions or feedback of a kind are called; one of a company's own is its own word."""
    return str(TABLE["kinds"][language].get(code, code))


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
    filled = {"value": _value(about, value, word, words), **beside}
    fact = _numbered(about.facts[language], **filled).format(**filled)
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


def told_move(reasons: str, language: str) -> str:
    """Put the reasons of a move between tiers into one sentence.

    Parameters
    ----------
    reasons
        JSON of the list that `TierPolicy.because` gives.
    language
        One of `LANGUAGES`.
    """
    words = TABLE["moves"][language]
    return str(words["and"]).join(_told_one(reason, words, language) for reason in json.loads(reasons))


def _told_one(reason: dict[str, Any], words: dict[str, str], language: str) -> str:
    sentence = words[reason["rule"]]
    if "feature" not in reason:
        return _numbered(sentence, **reason).format(**reason)
    feature, shown = reason["feature"], partial(_shown, language=language)
    is_column = re.fullmatch(r"\w+", feature)
    about = (
        message(feature, TIER) if is_column else Message(OWN, False, "number", {language: words["formula"]})
    )
    number = about.number
    value = shown(reason["value"], number)
    fact = _numbered(about.facts[language], value=value).replace("{name}", feature).replace("{value}", value)
    earlier = reason.get("before", reason["value"])
    before = "" if earlier == reason["value"] else words["before"].format(value=shown(earlier, number))
    points = reason["point"] if isinstance(reason["point"], list) else [reason["point"]]
    point = ", ".join(shown(each, number) for each in points)
    need = words[reason["bound"]].format(point=point)
    return sentence.format(fact=fact, before=before, need=need, tier=reason["tier"])


def _numbered(sentence: str, **values: object) -> str:
    """Put words that count a value, such as ``{value} day[s]``, into the singular after 1."""
    return re.sub(
        r"(\{(\w+)\}[\w ]+?)\[s\]",
        lambda found: found[1] + ("" if str(values.get(found[2])) == "1" else "s"),
        sentence,
    )


def _shown(value: Any, number: str, *, language: str) -> str:  # noqa: ANN401
    """Write a value exactly enough to compare it with another."""
    words = TABLE["languages"][language]
    if value is None or isinstance(value, str):
        return value or str(words["unknown" if number == "plain" else "none"])
    if isinstance(value, bool) or number == "flag":
        return str(words["yes" if value else "no"])
    if number in {"money", "share"}:
        return (_FORMATS["money"] if number == "money" else "{:.1%}").format(value)
    if float(value).is_integer():
        return _FORMATS["count"].format(value)
    return (_FORMATS["number"] if abs(value) >= 1 else "{:.3g}").format(value)


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
