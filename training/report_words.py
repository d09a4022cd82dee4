"""The words of the report, in every language, and its numbers as texts."""

import tomllib
from collections.abc import Iterable
from datetime import date
from importlib.resources import files
from typing import Any

import pandas as pd

from models import wording
from training.translation import BETWEEN, translated

TABLE: dict[str, Any] = tomllib.loads(files("training").joinpath("report_messages.toml").read_text("utf-8"))
DASH = "\N{EN DASH}"


class Words:
    """What the report says in one language, of those of `TABLE`."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._table: dict[str, dict[str, str]] = TABLE[language]

    def __call__(self, key: str, **values: object) -> str:
        """Say the message of a key, ``section.message``, with values in their places."""
        section, message = key.split(".")
        return self._table[section][message].format(**values)

    def name(self, code: object) -> str:
        """Return the word for what is called by a code; a name that a user gave is its own word."""
        return self._table["names"].get(str(code), str(code))

    def kind(self, code: object) -> str:
        """Return the word for a kind of interactions or feedback; one that a user named is its own word."""
        known = wording.kind(str(code), self.language)
        return self.name(code) if known == code else known

    def told(self, text: object) -> str:
        """Say what is kept in English; what a user wrote stays as it is."""
        return translated(str(text), self.language)

    def together(self, texts: Iterable[str]) -> str:
        """Put sentences one after the other."""
        return BETWEEN[self.language].join(texts)

    def column(self, name: object) -> str:
        """Return the title of a column; one that a user named is its own title."""
        return self._table["columns"].get(str(name), str(name))

    def fact(self, name: str) -> str:
        """Return what a fact of a training is called."""
        return self._table["facts"][name]


def count(number: float) -> str:
    """Write how many, or an amount of money without its small change."""
    return DASH if pd.isna(number) else f"{number:z,.0f}"


def decimal(number: float) -> str:
    """Write a number with two places."""
    return DASH if pd.isna(number) else f"{number:z,.2f}"


def share(number: float) -> str:
    """Write a share of 1 as a percentage."""
    return DASH if pd.isna(number) else f"{number:z.1%}"


def percent(number: float) -> str:
    """Write a share of 1 as a percentage without decimals."""
    return DASH if pd.isna(number) else f"{number:z.0%}"


def day(when: date | None) -> str:
    """Write a date."""
    return DASH if when is None or pd.isna(when) else f"{when:%Y-%m-%d}"
