"""The ``[tiers]`` table of the configuration."""

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from features.configuration import Section
from features.silence import Rhythm

SERVICE = "service"
LONGEST = 80
"""Letters of a tier's name."""


def _is_name(name: str) -> str:
    if name != name.strip() or not name.isprintable() or not 0 < len(name) <= LONGEST:
        raise ValueError(f"is no name: take 1 to {LONGEST} letters, without blanks around them")
    return name


Name = Annotated[str, AfterValidator(_is_name)]
Days = Annotated[int, Field(ge=1, le=36500)]
Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Level(Section):
    """A tier: its name and the condition for it; without one it takes everybody who is left.

    Parameters
    ----------
    name
        As the company calls it.
    when
        A condition as of `models.conditions`.
    """

    name: Name
    when: str | None = None


class Flow(Section):
    """A rule that puts a customer into a tier at once, hysteresis and minimum stay or not.

    Parameters
    ----------
    tier
        The name of a level.
    when
        A condition as of `models.conditions`.
    reason
        What is said of a customer whom it moves, in the company's own words.
    """

    tier: Name
    when: str
    reason: Annotated[str, Field(min_length=1)]


class FairnessSettings(Section):
    """Among which groups the tiers are compared.

    Parameters
    ----------
    attributes
        Columns of ``customers``.
    may_be_features
        Whether the forecast may use them.
    """

    attributes: tuple[str, ...] = ()
    may_be_features: bool = False


class TierSettings(Section):
    """How customers are graded.

    Parameters
    ----------
    purpose
        What tiers are for: service, and nothing else.
    hysteresis
        The share by which a condition is eased for who is in its tier already.
    minimum_stay_days
        How long a customer stays in a tier after a move; the first placement does not count.
    lapsing_days, lost_days
        The silences from which a customer is lapsing, and lost; without them the shop's own rhythm tells.
    established_orders
        From how many orders a customer is established.
    frequency_bands
        Orders in 365 days from which a frequency is medium, and high; without them quantiles tell.
    monetary_bands
        Spend in 365 days from which a customer's spend is medium, and high; likewise.
    levels
        The tiers, best first; a customer is in the first whose condition holds. Without any, the defaults.
    flows
        Rules that override the levels.
    """

    purpose: str = SERVICE
    hysteresis: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    minimum_stay_days: Annotated[int, Field(ge=0, le=3650)] = 28
    lapsing_days: Days | None = None
    lost_days: Days | None = None
    established_orders: Annotated[int, Field(ge=2, le=1000)] = 3
    frequency_bands: tuple[Amount, Amount] | None = None
    monetary_bands: tuple[Amount, Amount] | None = None
    levels: tuple[Level, ...] = ()
    flows: tuple[Flow, ...] = ()
    fairness: FairnessSettings = FairnessSettings()

    @field_validator("purpose")
    @classmethod
    def _is_service(cls, purpose: str) -> str:
        if purpose == "pricing":
            raise ValueError(
                "is refused: tiers decide how well a customer is served, never what a customer pays, as a "
                "price by forecast discriminates and breaks trust; set purpose = 'service'"
            )
        if purpose != SERVICE:
            raise ValueError("is not known; the one purpose of tiers is 'service'")
        return purpose

    @field_validator("frequency_bands", "monetary_bands")
    @classmethod
    def _rising(cls, bands: tuple[float, float] | None) -> tuple[float, float] | None:
        if bands is not None and bands[0] >= bands[1]:
            raise ValueError("must rise: where medium begins, then where high begins")
        return bands

    @model_validator(mode="after")
    def _lapsing_before_lost(self) -> Self:
        if self.lapsing_days and self.lost_days and self.lapsing_days >= self.lost_days:
            raise ValueError(
                f"lapsing_days = {self.lapsing_days} must be less than lost_days = {self.lost_days}"
            )
        return self

    def rhythm(self, measured: Rhythm) -> Rhythm:
        """Return the shop's rhythm as it was measured, but for the days that are set."""
        lapsing: float | None = self.lapsing_days
        lost: float | None = self.lost_days
        if lapsing is None:
            lapsing = measured.lapsing_days if lost is None else min(measured.lapsing_days, lost / 2)
        if lost is None:
            lost = measured.lost_days if measured.lost_days > lapsing else 2 * lapsing
        return Rhythm(round(lapsing), round(lost))


HIGH = Level(name="high", when="top(clv, 0.2)")
POTENTIAL = Level(name="potential", when="top(potential_score, 0.25)")
ORDINARY = Level(name="ordinary", when="top(clv, 0.6)")
LOW = Level(name="low")


def default_levels(setting: str, label_means: str | None, known: Sequence[str]) -> tuple[Level, ...]:
    """Return the levels of a company that names none.

    Parameters
    ----------
    setting, label_means
        Of the project, and in the labelled setting of its label: ``churn`` or ``conversion``.
    known
        The columns that conditions may name; without a potential score there is no such tier, and without a
        customer lifetime value, as where no fee is known, the churn risk tells.
    """
    if setting != "labelled" and "clv" in known:
        return tuple(
            level
            for level in (HIGH, POTENTIAL, ORDINARY, LOW)
            if level is not POTENTIAL or "potential_score" in known
        )
    if label_means == "conversion":
        return (
            Level(name="high", when="top(potential_score, 0.1)"),
            Level(name="potential", when="top(potential_score, 0.3)"),
            Level(name="ordinary", when="top(potential_score, 0.6)"),
            LOW,
        )
    return (
        Level(name="high", when="bottom(churn_risk, 0.2)"),
        Level(name="ordinary", when="bottom(churn_risk, 0.6)"),
        LOW,
    )
