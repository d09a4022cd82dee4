from datetime import UTC, datetime

import pandas as pd

from training.moves import standing_at, transition_matrix

JANUARY, JUNE, JULY = (datetime(2024, month, 1, tzinfo=UTC) for month in (1, 6, 7))
PERIODS = pd.DataFrame(
    [
        ("stays", "value_tier", "high", JANUARY, None),
        ("rises", "value_tier", "low", JANUARY, JUNE),
        ("rises", "value_tier", "high", JUNE, None),
        ("comes", "value_tier", "low", JUNE, None),
        ("goes", "value_tier", "low", JANUARY, JUNE),
        ("stays", "lifecycle_stage", "repeat", JANUARY, None),
    ],
    columns=["customer_id", "kind", "name", "started_at", "ended_at"],
)


def test_a_period_begins_at_its_start_and_is_over_at_its_end() -> None:
    assert standing_at(PERIODS, kind="value_tier", at=JANUARY).to_dict() == {
        "stays": "high",
        "rises": "low",
        "goes": "low",
    }
    assert standing_at(PERIODS, kind="value_tier", at=JUNE).to_dict() == {
        "stays": "high",
        "rises": "high",
        "comes": "low",
    }
    assert standing_at(PERIODS, kind="lifecycle_stage", at=JULY).to_dict() == {"stays": "repeat"}


def test_the_matrix_counts_who_moved_came_and_went() -> None:
    moved = transition_matrix(PERIODS, kind="value_tier", start=JANUARY, end=JULY)
    assert moved.to_dict("index") == {
        "high": {"high": 1, "low": 0, "(gone)": 0},
        "low": {"high": 1, "low": 0, "(gone)": 1},
        "(new)": {"high": 0, "low": 1, "(gone)": 0},
    }


def test_without_periods_the_matrix_counts_nobody() -> None:
    moved = transition_matrix(PERIODS[:0], kind="value_tier", start=JANUARY, end=JULY)
    assert moved.to_numpy().sum() == 0
