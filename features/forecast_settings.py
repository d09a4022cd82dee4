"""The ``[forecast]`` table of the configuration."""

from typing import Annotated, Any, Literal

from pydantic import Field

from features.configuration import Section


class ForecastSettings(Section):
    """What is forecast, and how it is learnt.

    Parameters
    ----------
    horizon_days
        The days after `as_of` that churn risk, orders and value are about.
    clv_days
        The days after `as_of` that the customer lifetime value is about.
    discount_rate
        By which CLV discounts, per year.
    value
        What an order is worth: net revenue, or the margin, where costs are given.
    rounds, leaves, learning_rate
        Of the boosted trees.
    tuning_minutes
        How long to look for better ones of those three; 0 does not look.
    allow_features
        Features that may tell the outcome nearly alone.
    """

    horizon_days: Annotated[int, Field(ge=7, le=365)] = 90
    clv_days: Annotated[int, Field(ge=30, le=3650)] = 365
    discount_rate: Annotated[float, Field(ge=0, le=1)] = 0.10
    value: Literal["revenue", "margin"] = "revenue"
    rounds: Annotated[int, Field(ge=1, le=2000)] = 100
    leaves: Annotated[int, Field(ge=2, le=256)] = 8
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.06
    tuning_minutes: Annotated[float, Field(ge=0, le=1440)] = 0
    allow_features: tuple[str, ...] = ()

    @property
    def question(self) -> dict[str, Any]:
        """What is forecast: a model answers this question and no other."""
        return self.model_dump(include={"horizon_days", "clv_days", "discount_rate"})

    @property
    def capacity(self) -> dict[str, Any]:
        """How much the trees may learn."""
        return self.model_dump(include={"rounds", "leaves", "learning_rate"})
