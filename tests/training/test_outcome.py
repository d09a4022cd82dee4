import duckdb
import pytest

from features.errors import InputError
from features.sources import CustomersSource
from training.outcome import Outcome, read_outcome


def outcome_of(*values: str | None, **keys: str) -> Outcome:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE customers (customer_id VARCHAR, valid_from BIGINT, left_us VARCHAR)")
    rows = [(f"c{number}", None, value) for number, value in enumerate(values)]
    connection.executemany("INSERT INTO customers VALUES (?, ?, ?)", rows)
    return read_outcome(connection, CustomersSource(**({"path": "c.csv", "label": "left_us"} | keys)))


@pytest.mark.parametrize("words", [("Yes", "No"), ("1", "0"), ("true", "false"), ("Y", "n")])
def test_yes_needs_no_word(words: tuple[str, str]) -> None:
    outcome = outcome_of(words[0], words[1], words[1])
    assert outcome.came.to_dict() == {"c0": 1, "c1": 0, "c2": 0}
    assert (outcome.positive, outcome.notes) == (words[0], ())
    assert outcome.sentence == f"left_us = {words[0]!r} for 1 of 3 customers (33.3%)"


def test_of_many_values_all_but_the_positive_are_its_opposite_and_are_told() -> None:
    outcome = outcome_of("gone", "stays", "new", "stays", label_positive="gone")
    assert outcome.came.sum() == 1
    (note,) = outcome.notes
    assert note == "left_us has 3 values; all but 'gone' count as its opposite: 'stays' (2), 'new' (1)"


def test_customers_without_an_outcome_are_left_out_and_counted() -> None:
    outcome = outcome_of("Yes", None, "No", None)
    assert list(outcome.came.index) == ["c0", "c2"]
    assert outcome.notes == ("2 customers have no left_us and are left out of the training",)


@pytest.mark.parametrize(
    ("values", "keys", "sentence"),
    [
        pytest.param(("No", "No"), {}, "all 2 known outcomes are 'No', so that nothing", id="constant"),
        pytest.param((None, None), {}, "no row has an outcome; give rows of both", id="empty"),
        pytest.param(("gone", "stays"), {}, "label_positive is missing; name the value of", id="no-yes"),
        pytest.param(("Yes", "No", "?"), {}, "of: Yes, No, ?", id="three-values"),
        pytest.param(
            ("Yes", "No"),
            {"label_positive": "yes"},
            "'yes' is no value of 'left_us'; did you mean",
            id="case",
        ),
        pytest.param(
            ("Yes", "No"),
            {"label": "left"},
            "has no column 'left' with the outcome; did you mean 'left_us'",
            id="gone",
        ),
    ],
)
def test_an_outcome_that_tells_nothing_is_refused(
    values: tuple[str | None, ...], keys: dict[str, str], sentence: str
) -> None:
    with pytest.raises(InputError) as refused:
        outcome_of(*values, **keys)
    assert sentence in str(refused.value)
