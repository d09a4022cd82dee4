from typing import Any

import duckdb
import pyarrow as pa
import pytest

from features.contract import Kind
from features.errors import InputError
from features.treatment_settings import TreatmentSettings
from models.personal_texts import personal_texts
from models.playbooks import Playbook, playbooks

KINDS = {"next_tier": Kind.TEXT, "missing": Kind.NUMBER, "years": Kind.NUMBER, 'it"s': Kind.TEXT}
DUE = {"due_from": "2024-03-01", "due_to": "2024-03-14"}


def playbook(name: str, text: str) -> Playbook:
    settings: dict[str, Any] = {
        "purpose": "grow",
        "channels": ("email",),
        "when": "true",
        "cost": 1.0,
        "effect": 1,
    }
    (read,) = playbooks(
        [TreatmentSettings.model_validate(settings | {"name": name, "text": text})], columns=KINDS
    )
    return read


def filled(texts: dict[str, str]) -> dict[str, str]:
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE subjects AS SELECT * FROM (VALUES ('ann', 'high', 1240.5, 3), "
        "('bob', NULL, 2e0, NULL), ('cid', 'low', 0.004, 1)) AS t(customer_id, next_tier, missing, years)"
    )
    assigned = pa.table({"customer_id": ["ann", "bob", "cid"], "treatment": ["a", "a", "b"]})
    return personal_texts(connection, [playbook(*each) for each in texts.items()], assigned, DUE)


def test_a_text_is_filled_in_for_each_customer() -> None:
    text = "{missing} more from {due_from} to {due_to} brings {next_tier} after {years} years; it's {missing}"
    assert filled({"a": text, "b": "Call."}) == {
        "ann": "1,240.50 more from 2024-03-01 to 2024-03-14 brings high after 3 years; it's 1,240.50",
        "bob": "2 more from 2024-03-01 to 2024-03-14 brings ? after ? years; it's 2",
    }


def test_a_text_without_places_is_everybody_s() -> None:
    assert filled({"a": "Call.", "b": "Write {{name}} and { }."}) == {}


def test_places_are_columns_that_it_reads() -> None:
    read = playbook("a", "{missing} by {due_to}, {missing}")
    assert (read.places, read.columns) == (("missing", "due_to"), ("missing",))
    said = r"treatments.a.text: there is no column 'mising' to put in; did you .* \(write {{mising}} for what"
    with pytest.raises(InputError, match=said):
        playbook("a", "{mising}")


def test_what_customers_have_may_be_called_as_ours_and_be_of_any_size() -> None:
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE subjects AS SELECT 'ann' AS customer_id, 'x' AS treatment, 1e300 AS missing"
    )
    assigned = pa.table({"customer_id": ["ann"], "treatment": ["a"]})
    told = personal_texts(connection, [playbook("a", "{missing} left")], assigned, DUE)["ann"]
    assert (told[:6], told[-8:]) == ("1,000,", ".00 left")
