import numpy as np
import pytest

from models.likelihood import Rows, Vector, distinct, maximise


def exponential(parameters: Vector, rows: Rows) -> tuple[Vector, Vector]:
    """Terms of exponential waiting times: the most likely rate is one over their mean."""
    return np.log(parameters) - parameters * rows[0], (1 / parameters - rows[0])[None, :]


def waiting_times(count: int) -> Rows:
    return (np.random.default_rng(0).exponential(1 / 3, count),)


def test_equal_rows_are_merged_and_counted() -> None:
    rows, counts = distinct(np.array([2.0, 1, 2, 2]), np.array([5.0, 5, 5, 4]))
    assert [row.tolist() for row in rows] == [[1, 2, 2], [5, 4, 5]]
    assert counts.tolist() == [1, 1, 2]


def test_no_rows_are_no_rows() -> None:
    rows, counts = distinct(np.array([]), np.array([]))
    assert [row.size for row in rows] == [0, 0]
    assert counts.size == 0


@pytest.mark.parametrize("count", [100, 9_000])
def test_the_maximum_is_found_from_a_distant_start(count: int) -> None:
    rows = waiting_times(count)
    found = maximise(exponential, rows, np.ones(count), usual=np.array([0.01]), informative=count)
    assert found.parameters == pytest.approx([1 / rows[0].mean()], rel=1e-4)
    assert not found.note


def test_weights_count_as_repeated_rows() -> None:
    rows = (np.array([1.0, 4.0]),)
    found = maximise(exponential, rows, np.array([300.0, 100.0]), usual=np.array([1.0]), informative=400)
    assert found.parameters == pytest.approx([400 / 700], rel=1e-4)


def test_few_informative_customers_stay_near_the_usual_value() -> None:
    rows = (np.array([1e-6]),)
    found = maximise(exponential, rows, np.ones(1), usual=np.array([1.0]), informative=1)
    assert found.note == "too few customers (1) inform the fit: a prior pulls it to usual values"
    assert 1 < found.parameters[0] < 3


def test_a_parameter_that_runs_away_is_held_and_noted() -> None:
    found = maximise(exponential, (np.zeros(60) + 1e-9,), np.ones(60), usual=np.array([1.0]), informative=60)
    assert found.note
    assert np.isfinite(found.parameters).all()
