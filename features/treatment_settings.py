"""The ``[[treatments]]`` and the ``[plan]`` of the configuration."""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from features.configuration import Configuration, Section
from features.instants import calendar_day
from features.parsing import LIMIT
from features.tier_settings import Name

NOTHING = "nothing"
"""The treatment that is always there: to leave a customer alone."""
ANY, AUTOMATED = "any", "automated"
"""What ``[plan.allowed]`` names beside channels: every treatment, and decisions that no person makes."""
PERSON = "person"
"""The channel of customers about whom a person decides."""
TAKEN = (NOTHING, ANY, AUTOMATED, PERSON)


def _is_no_word_of_ours(name: str) -> str:
    if name in TAKEN:
        *others, last = map(repr, TAKEN)
        raise ValueError(f"is taken: {', '.join(others)} and {last} mean something else; rename it")
    return name


def _all_differ(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ValueError(f"names {twice!r} twice; name it once")
    return names


def _as_text(effect: object) -> object:
    is_number = isinstance(effect, int | float) and not isinstance(effect, bool)
    return repr(effect) if is_number else effect


OwnName = Annotated[Name, AfterValidator(_is_no_word_of_ours)]
Channels = Annotated[tuple[OwnName, ...], Field(min_length=1), AfterValidator(_all_differ)]
Text = Annotated[str, Field(min_length=1, max_length=10_000)]
Money = Annotated[float, Field(ge=0, le=LIMIT, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
Days = Annotated[int, Field(ge=0, le=3650)]


class TreatmentSettings(Section):
    """What can be done for a customer: a playbook.

    Parameters
    ----------
    name
        As the company calls it.
    purpose
        What it is for; an open complaint blocks what sells: retain, win_back and grow.
    channels
        The ways to reach a customer, the usual one first.
    when
        For whom: a condition as of `models.conditions`.
    why
        For whom in plain words, which reasons say instead of the condition.
    cost
        Of treating one customer, in the project's currency.
    cost_share
        Of the customer's expected value with the treatment: a coupon's discount.
    effect
        The value that it is assumed to add within the horizon, in the project's currency: a number, or
        arithmetic as of `models.amounts`.
    capacity
        How many customers one plan treats at most.
    cooldown_days
        For how long a customer is not assigned it again.
    priority
        1 comes first in the hand-outs and where gains are equal.
    duty
        Whether it is done for all for whom it is open, before anything else and without a holdout.
    needs_product
        Whether it offers a product.
    text
        What the people who carry it out do; ``{column}`` is filled in for each customer.
    """

    name: OwnName
    purpose: Literal["retain", "win_back", "grow", "welcome", "thank", "care"]
    channels: Channels
    when: str
    why: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    cost: Money
    cost_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    effect: Annotated[str, BeforeValidator(_as_text)]
    capacity: Count | None = None
    cooldown_days: Days = 90
    priority: Annotated[int, Field(ge=1, le=1000)] = 5
    duty: bool = False
    needs_product: bool = False
    text: Text


class Cadence(Section):
    """How a tier is contacted.

    Parameters
    ----------
    tier
        The name of a level.
    every_days
        Within so many days one contact at most.
    channels
        The only ones used; without it all.
    """

    tier: Name
    every_days: Days | None = None
    channels: Channels | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.every_days is None and self.channels is None:
            raise ValueError("says nothing: set every_days, channels or both")
        return self


class PlanSettings(Section):
    """Within which limits customers are treated.

    Parameters
    ----------
    budget
        What a plan may cost, in the project's currency; without it there is no limit.
    holdout
        The share of customers from whom their treatment is withheld at random, so that its effect shows.
    explore
        The share of customers who get a random one of the treatments open to them.
    due_days
        Within how many days of its `as_of` a plan is carried out.
    most_contacts, contact_days
        How many contacts a customer has within how many days, over all treatments.
    quiet_days
        Days of the project's time zone on which no contact begins.
    seed
        The key of the draws; without it the project's name.
    capacity
        By channel how many customers a plan contacts.
    allowed
        Conditions under which a channel may be used, by channel; under ``any`` every one, and under
        ``automated`` decisions that no person makes.
    cadence
        Of each tier; without it that of `models.playbooks`, as long as its treatments are in use.
    """

    budget: Money | None = None
    holdout: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    explore: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    due_days: Annotated[int, Field(ge=1, le=365)] = 14
    most_contacts: Count = 2
    contact_days: Annotated[int, Field(ge=1, le=3650)] = 30
    quiet_days: tuple[date, ...] = ()
    seed: Text | None = None
    capacity: dict[str, Count] = Field(default_factory=dict)
    allowed: dict[str, str] = Field(default_factory=dict)
    cadence: tuple[Cadence, ...] | None = None

    @field_validator("cadence")
    @classmethod
    def _one_per_tier(cls, cadence: tuple[Cadence, ...] | None) -> tuple[Cadence, ...] | None:
        names = [each.tier for each in cadence or ()]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"names the tier {twice!r} twice; give each tier one cadence")
        return cadence

    def first_day(self, day: int) -> int | None:
        """Return the first day from one on that is not quiet; null where all days of a plan are.

        Parameters
        ----------
        day
            Of the plan's `as_of`, counted from 1970-01-01.
        """
        quiet = {calendar_day(each) for each in self.quiet_days}
        return next((each for each in range(day, day + self.due_days) if each not in quiet), None)


def read_treatments(configuration: Configuration) -> tuple[TreatmentSettings, ...] | None:
    """Return the company's treatments; null where it names none, and the defaults hold.

    Raises
    ------
    InputError
        Names the treatment, its key and the value.
    """
    return configuration.entries("treatments", TreatmentSettings)
