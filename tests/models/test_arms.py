import duckdb
import numpy as np
import pytest

from features.contract import Kind
from features.errors import InputError
from features.treatment_settings import TreatmentSettings
from models.arms import Arms
from models.playbooks import playbooks

CALL = {"name": "call", "purpose": "care", "channels": ("phone", "email"), "when": "clv > 0", "cost": 4.0}
MAIL = CALL | {"name": "mail", "channels": ("email", "letter")}


def test_arms_are_laid_out_by_customer_and_treatment() -> None:
    read = [TreatmentSettings.model_validate(each | {"effect": 0, "text": "Do it."}) for each in (CALL, MAIL)]
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE subjects AS SELECT * FROM (VALUES ('b', NULL), ('a', 20.0), ('Z', 7.0)) "
            "AS known(customer_id, expected_value)"
        )
        connection.execute(
            "CREATE TABLE arms AS SELECT * FROM (VALUES ('b', 'mail', 'letter', 2.5), "
            "('a', 'call', 'email', NULL), ('a', 'mail', 'email', 3.0)) "
            "AS open(customer_id, treatment, channel, effect)"
        )
        arms = Arms.read(connection, playbooks(read, columns={"clv": Kind.NUMBER}))
    assert (arms.customer_ids.tolist(), arms.value.tolist()) == (["Z", "a", "b"], [7.0, 20.0, 0.0])
    assert arms.channels == ("phone", "email", "letter")
    assert arms.channel.tolist() == [[-1, -1], [1, 1], [-1, 2]]
    assert arms.is_open.tolist() == [[False, False], [True, True], [False, True]]
    np.testing.assert_array_equal(arms.effect, [[np.nan, np.nan], [np.nan, 3.0], [np.nan, 2.5]])


def test_there_may_be_any_number_of_channels() -> None:
    many = [
        TreatmentSettings.model_validate(
            CALL | {"name": f"t{at}", "channels": (f"c{at}",), "effect": 1.0, "text": "Do it."}
        )
        for at in range(300)
    ]
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE subjects AS SELECT 'a' AS customer_id, 1.0 AS expected_value")
        connection.execute(
            "CREATE TABLE arms AS SELECT 'a' AS customer_id, 't299' AS treatment, "
            "'c299' AS channel, 1.0 AS effect"
        )
        arms = Arms.read(connection, playbooks(many, columns={"clv": Kind.NUMBER}))
    assert arms.channel[0, [0, 299]].tolist() == [-1, 299]


@pytest.mark.parametrize("effect", [1e300, -1e12, float("inf")])
def test_an_effect_beyond_any_amount_is_told(effect: float) -> None:
    read = [TreatmentSettings.model_validate(CALL | {"effect": "1e300 * clv", "text": "Do it."})]
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE subjects AS SELECT 'a' AS customer_id, 1.0 AS expected_value")
        connection.execute(
            "CREATE TABLE arms AS SELECT 'a' AS customer_id, 'call' AS treatment, 'phone' AS channel, "
            "CAST(? AS DOUBLE) AS effect",
            [effect],
        )
        with pytest.raises(
            InputError, match=r"treatments.call.effect = '1e300 \* clv': it comes to .* correct"
        ):
            Arms.read(connection, playbooks(read, columns={"clv": Kind.NUMBER}))
