import duckdb
import numpy as np

from features.contract import Kind
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
