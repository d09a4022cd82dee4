from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from features.errors import InputError
from features.instants import Cutoff, calendar_day, micros, parse_as_of

MIDNIGHT = datetime(2024, 2, 29, tzinfo=UTC)


def test_a_cutoff_stands_on_the_calendar_of_its_time_zone() -> None:
    at = micros(MIDNIGHT)
    assert Cutoff.at(MIDNIGHT, "UTC") == Cutoff(at, 19_782, 2)
    assert Cutoff.at(MIDNIGHT - timedelta(hours=1), "Asia/Shanghai") == Cutoff(at - 3_600_000_000, 19_782, 2)
    assert Cutoff.at(MIDNIGHT, "America/New_York") == Cutoff(at, 19_781, 2)
    assert Cutoff.at(MIDNIGHT + timedelta(days=1), "America/New_York") == Cutoff(
        at + 86_400_000_000, 19_782, 2
    )


def test_microseconds_are_exact_on_both_sides_of_1970() -> None:
    assert micros(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1
    assert micros(datetime(2199, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == 7_258_118_399_999_999
    assert (calendar_day(date(1970, 1, 1)), calendar_day(date(1969, 12, 31))) == (0, -1)


@pytest.mark.parametrize(
    "text",
    ["2024-02-29", "2024-02-29T00:00:00Z", "2024-02-29 00:00", "2024-02-29T08:00:00+08:00", "20240229"],
)
def test_a_date_means_midnight_utc_and_an_offset_is_heeded(text: str) -> None:
    assert parse_as_of(text) == MIDNIGHT
    assert parse_as_of(text).tzinfo is UTC


@pytest.mark.parametrize("text", ["", "yesterday", "2023-02-29", "29/02/2024"])
def test_what_is_no_time_is_refused_with_the_way_to_write_it(text: str) -> None:
    with pytest.raises(InputError, match=f"as_of '{text}' is no date or time; write it like 2011-09-01"):
        parse_as_of(text)


def test_the_same_instant_in_another_zone_is_the_same_cutoff() -> None:
    elsewhere = MIDNIGHT.astimezone(timezone(timedelta(hours=-5)))
    assert Cutoff.at(elsewhere, "UTC") == Cutoff.at(MIDNIGHT, "UTC")
