"""The rules of standing as of a training: live requests go by them until a run is published."""

from datetime import datetime

import duckdb
import pandas as pd
import pyarrow as pa

from features.configuration import Configuration
from features.forecast_settings import ForecastSettings
from features.instants import Cutoff
from features.silence import shop_rhythm
from features.tier_settings import TierSettings
from models.placement import Placement
from models.rules import Rules
from models.standing import percentile, quantile_grid

HISTORIC = {"spend_all", "fees_all"}
"""The features that are the historic value, each in its setting."""
DATED = "next_order_days"
"""The forecast that a run knows as a date only, so that no condition may name it."""


def measured(
    configuration: Configuration,
    connection: duckdb.DuckDBPyConnection,
    *,
    as_of: datetime,
    present: pd.DataFrame,
    forecasts: pd.DataFrame,
) -> Placement:
    """Measure the rules among customers, and leave these in the table ``subjects``.

    Who came back after long is not known here; what hangs on it is placed by the first run.

    Parameters
    ----------
    connection
        With the staged tables.
    present
        Features by customer_id.
    forecasts
        Of the same rows.

    Raises
    ------
    InputError
        The ``[tiers]`` of the configuration are no policy for such customers.
    """
    project, settings = configuration.project, configuration.section("tiers", TierSettings)
    horizon_days = configuration.section("forecast", ForecastSettings).horizon_days
    rhythm = settings.rhythm(shop_rhythm(connection, as_of=as_of, horizon_days=horizon_days))
    _make_features(connection, present)
    return Rules(settings, project.setting, horizon_days, rhythm).measured(
        connection,
        _scores(present, forecasts),
        features=[str(name) for name in present.columns],
        cutoff=Cutoff.at(as_of, project.time_zone),
    )


def _make_features(connection: duckdb.DuckDBPyConnection, present: pd.DataFrame) -> None:
    connection.register("present", pa.Table.from_pandas(present.reset_index(), preserve_index=False))
    connection.execute("CREATE OR REPLACE TABLE features AS SELECT * FROM present")
    connection.execute(
        "CREATE OR REPLACE TABLE profile AS SELECT customer_id, NULL::VARCHAR AS main_category, "
        "NULL::DOUBLE AS return_days FROM present"
    )
    connection.unregister("present")


def _scores(present: pd.DataFrame, forecasts: pd.DataFrame) -> pa.Table:
    told = forecasts.drop(columns=DATED, errors="ignore").assign(customer_id=present.index.to_numpy())
    for historic in HISTORIC & {*present.columns}:
        told["historic_value"] = present[historic].to_numpy()
    if "churn_risk" in told:
        risk = told["churn_risk"].to_numpy()
        told["churn_risk_percentile"] = percentile(quantile_grid(risk), risk)
    return pa.Table.from_pandas(told, preserve_index=False)
