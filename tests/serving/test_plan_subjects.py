from datetime import UTC, datetime

import duckdb
import pyarrow as pa

from features.attributes import Attribute
from features.contract import Kind
from features.instants import Cutoff
from features.silence import Rhythm
from features.tier_settings import TierSettings
from models.placement import Placement
from models.tiers import TierPolicy
from serving.plan_subjects import make_plan_subjects

NOW = Cutoff.at(datetime(2024, 3, 1, tzinfo=UTC), "UTC")


def placed() -> Placement:
    columns = {"churn_risk": Kind.NUMBER}
    policy = TierPolicy.of(TierSettings(), setting="labelled", label_means="churn", columns=columns)
    return Placement("labelled", 90, 3, 28, Rhythm(30, 90), policy, {"tiers": {}})


def test_where_no_value_is_forecast_conditions_name_none_and_none_is_expected() -> None:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE features AS SELECT 'ann' AS customer_id, 0 AS as_of, 3 AS customer_age")
    scores = pa.table(
        {
            "customer_id": ["ann"],
            "churn_risk": [0.4],
            "expected_value": pa.array([None], pa.float64()),
            "value_tier": ["low"],
            "reasons": ["{}"],
        }
    )
    kinds = make_plan_subjects(connection, scores, placed(), (), cutoff=NOW, time_zone="UTC")
    assert kinds == {"churn_risk": Kind.NUMBER, "value_tier": Kind.TEXT, "customer_age": Kind.NUMBER}
    query = "SELECT customer_id, churn_risk, expected_value, customer_age FROM subjects"
    assert connection.execute(query).fetchall() == [("ann", 0.4, None, 3)]


def test_an_attribute_is_told_by_its_value_and_not_by_the_code_of_the_model() -> None:
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE features AS SELECT 'ann' AS customer_id, 0 AS as_of, 1 AS customer_region, "
        "2e0 AS customer_rooms"
    )
    connection.execute(
        "CREATE TABLE customers AS SELECT 'ann' AS customer_id, NULL::BIGINT AS joined_at, "
        "NULL::BIGINT AS valid_from, 'north' AS \"Region\", 2e0 AS rooms"
    )
    scores = pa.table({"customer_id": ["ann"], "churn_risk": [0.4], "value_tier": ["low"]})
    attributes = (Attribute("Region", Kind.TEXT, ("south", "north")), Attribute("rooms", Kind.NUMBER))
    kinds = make_plan_subjects(connection, scores, placed(), attributes, cutoff=NOW, time_zone="UTC")
    assert (kinds["customer_region"], kinds["customer_rooms"]) == (Kind.TEXT, Kind.NUMBER)
    query = "SELECT customer_region, customer_rooms FROM subjects"
    assert connection.execute(query).fetchall() == [("north", 2.0)]
