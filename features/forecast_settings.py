"""The ``[forecast]`` table of the configuration."""

from typing import Annotated

from pydantic import Field

from features.configuration import Section


class ForecastSettings(Section):
    """What is forecast.

    Parameters
    ----------
    horizon_days
        The days after `as_of` that churn risk, orders and value are about.
    clv_days
        The days after `as_of` that the customer lifetime value is about.
    discount_rate
        By which CLV discounts, per year.
    """

    horizon_days: Annotated[int, Field(ge=7, le=365)] = 90
    clv_days: Annotated[int, Field(ge=30, le=3650)] = 365
    discount_rate: Annotated[float, Field(ge=0, le=1)] = 0.10
