from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]
END, LONG_AFTER = "2024-02-05", "2025-01-01"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["score", "--as-of", "2020-01-01"], "nobody is known before this as_of"),
        (["train", "--as-of", "2020-01-01"], "nobody ordered before 2020-01-01"),
        (["score", "--as-of", "yesterday"], "as_of 'yesterday' is no date or time"),
        (["score", "--as-of", END, "--out", "missing/scores.parquet"], "there is no missing; name a file in"),
        (["score", "--as-of", END, "--out", "."], "--out . is a folder"),
        (["score", "--as-of", LONG_AFTER], "the orders look incomplete before 2025-01-01"),
        (["score", "--set", "project.time_zone=Mars"], "is not a time zone"),
        (["score", "--set", "forecast.horizon_days=60"], "trained with forecast.horizon_days = 120, and the"),
        (["score", "--set", "forecast.clv_days=300"], "trained with forecast.clv_days = 365, and the"),
        (["check", "--set", "forecast"], "is not table.key=value"),
        (["models", "promote", "9"], "has no model '9'"),
        (["models", "rollback"], "has no previous champion"),
    ],
)
def test_a_wrong_request_is_refused_in_a_sentence_and_the_run_stays(
    scored_shop: Any, run: Run, command: list[str], says: str
) -> None:
    before = scored_shop.published()
    run(*command, "-c", scored_shop.file).assert_refused(says)
    assert scored_shop.published() == before


def test_an_unknown_option_is_named_without_a_traceback(run: Run) -> None:
    done = run("score", "--alow-stale")
    assert done.code == 2
    assert "--alow-stale" in done.err
    assert "Traceback" not in done.err


def test_an_unexpected_failure_is_a_sentence_too_and_shown_on_request(
    scored_shop: Any, run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("training.look.stage", lambda *_: 1 // 0)
    check = "check", "-c", scored_shop.file
    run(*check).assert_refused("an unexpected ZeroDivisionError", code=1)
    assert not caplog.records
    run("--debug", *check)
    assert caplog.records[0].exc_info


def test_the_registered_models_are_listed(scored_shop: Any, run: Run) -> None:
    done = run("models", "list", "-c", scored_shop.file)
    assert done.code == 0
    assert "champion" in done.out
