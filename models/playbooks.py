"""Playbooks: what can be done for a customer, for whom, at what cost, and what it is assumed to bring."""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import sqlglot
from sqlglot import exp

from features.configuration import nearest
from features.contract import Kind
from features.errors import InputError
from features.protected import refuse_protected
from features.tier_settings import HIGH, LOW, ORDINARY, POTENTIAL
from features.treatment_settings import Cadence, TreatmentSettings
from models.amounts import Amount
from models.condition_values import literal
from models.conditions import Condition
from models.tiers import CLASSES

SHIPPED: dict[str, Any] = tomllib.loads(files("models").joinpath("playbooks.toml").read_text("utf-8"))
"""The playbooks of a company that names none, and the cadence that goes with them."""
SELLING = ("retain", "win_back", "grow")
"""The purposes that an open complaint blocks."""
DUE = ("due_from", "due_to")
"""What a text may name beside columns: the first and the last day of the plan."""
PLACE = re.compile(r"(?<!\{)\{(\w+)\}(?!\})")
DEFAULT_TIERS = tuple(level.name for level in (HIGH, POTENTIAL, ORDINARY, LOW))


@dataclass(frozen=True)
class Playbook:
    """One treatment, read.

    Parameters
    ----------
    name, purpose, channels, why, cost, cost_share, capacity, cooldown_days, priority, duty, needs_product,
    text
        As of `features.treatment_settings.TreatmentSettings`.
    when
        For whom.
    effect
        The value that it is assumed to add within the horizon.
    is_shipped
        Whether it is one of the defaults.
    """

    name: str
    purpose: str
    channels: tuple[str, ...]
    when: Condition
    why: str | None
    cost: float
    cost_share: float
    effect: Amount
    capacity: int | None
    cooldown_days: int
    priority: int
    duty: bool
    needs_product: bool
    text: str
    is_shipped: bool = False

    @property
    def occasion(self) -> str:
        """For whom it is in words; without any, the condition."""
        return self.why or self.when.text

    @property
    def sells(self) -> bool:
        """Whether an open complaint blocks it."""
        return self.purpose in SELLING

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of subjects that it reads, each once."""
        told = (name for name in self.places if name not in DUE)
        return tuple(dict.fromkeys((*self.when.columns, *self.effect.columns, *told)))

    @property
    def places(self) -> tuple[str, ...]:
        """What its text leaves to be filled in for each customer, ``{name}``, each once."""
        return tuple(dict.fromkeys(PLACE.findall(self.text)))


def playbooks(
    settings: Sequence[TreatmentSettings] | None,
    *,
    columns: Mapping[str, Kind],
    tiers: Sequence[str] = DEFAULT_TIERS,
    language: str = "en",
    protected: Sequence[str] = (),
) -> tuple[Playbook, ...]:
    """Read the company's treatments, or without any the defaults that its columns allow.

    Parameters
    ----------
    settings
        As of `features.treatment_settings.read_treatments`; null for the defaults.
    columns
        Of subjects, with what they hold: classes and ``value_tier`` too.
    tiers
        Their names, best first.
    language
        Of the defaults' texts: one of `models.wording.LANGUAGES`.
    protected
        Attributes by which nobody is treated differently: those of `features.protected`.

    Raises
    ------
    InputError
        A name stands twice, or a condition or an effect is wrong, or names a protected attribute.
    """
    if settings is None:
        known = [each for each in _shipped(tiers, language) if not _missing(each, columns)]
        return tuple(_read(each, columns, tiers, is_shipped=True) for each in known)
    names = [each.name for each in settings]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise InputError(f"treatments: the name {twice!r} stands twice; give each treatment its own name")
    read = tuple(_read(each, columns, tiers, is_shipped=False) for each in settings)
    for each in read:
        refuse_protected(each.columns, protected, where=f"treatments.{each.name}")
    return read


def left_out(columns: Iterable[str], tiers: Sequence[str] = DEFAULT_TIERS) -> dict[str, tuple[str, ...]]:
    """Return which defaults a company without some columns goes without: by name those that it lacks."""
    missing = {each.name: _missing(each, columns) for each in _shipped(tiers, "en")}
    return {name: lacking for name, lacking in missing.items() if lacking}


def shipped_cadence(tiers: Sequence[str]) -> tuple[Cadence, ...]:
    """Return how each tier, best first, is contacted as long as the defaults are in use."""
    places = ["highest", *["middle"] * (len(tiers) - 2), "lowest"][: len(tiers)]
    return tuple(
        Cadence.model_validate_json(json.dumps({"tier": tier, **SHIPPED["cadence"][place]}))
        for tier, place in zip(tiers, places, strict=True)
    )


def _read(
    settings: TreatmentSettings, columns: Mapping[str, Kind], tiers: Sequence[str], *, is_shipped: bool
) -> Playbook:
    place = f"treatments.{settings.name}"
    for name in PLACE.findall(settings.text):
        if name not in (known := {*columns, *DUE}):
            raise InputError(
                f"{place}.text: there is no column {name!r} to put in; {nearest(name, known)}"
                f" (write {{{{{name}}}}} for what your mailing fills in)"
            )
    texts = {**CLASSES, "value_tier": tuple(tiers)}
    read: dict[str, Any] = {
        "when": Condition.read(settings.when, columns=columns, where=f"{place}.when", texts=texts),
        "effect": Amount.read(settings.effect, columns=columns, where=f"{place}.effect"),
    }
    return Playbook(**{**dict(settings), **read}, is_shipped=is_shipped)


def _shipped(tiers: Sequence[str], language: str) -> Iterator[TreatmentSettings]:
    for table in SHIPPED["treatments"]:
        when = table["when"].format(highest=literal(tiers[0]), lowest=literal(tiers[-1]))
        told = {key: table[key][language] for key in ("why", "text")}
        plain = {**table, "when": when, **told}
        yield TreatmentSettings.model_validate_json(json.dumps(plain))


def _missing(settings: TreatmentSettings, columns: Iterable[str]) -> tuple[str, ...]:
    """Return the columns that a default names and the company does not have."""
    texts = (settings.when, settings.effect)
    trees = (sqlglot.parse_one(text, into=exp.Condition, dialect="duckdb") for text in texts)
    named = dict.fromkeys(column.name for tree in trees for column in tree.find_all(exp.Column))
    told = dict.fromkeys(name for name in PLACE.findall(settings.text) if name not in DUE)
    missing = (tuple(name for name in names if name not in columns) for names in (named, told))
    return next(filter(None, missing), ())
