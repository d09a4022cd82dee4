from datetime import timedelta, timezone

import pytest

from serving.store import Store
from tests.serving.runs import NIGHT, publish


def test_times_of_any_zone_are_one_instant_and_read_in_utc(store: Store) -> None:
    publish(store, as_of=NIGHT.replace(microsecond=5).astimezone(timezone(timedelta(hours=8))))
    assert store.latest().as_of == NIGHT.replace(microsecond=5)
    assert store.latest().as_of.utcoffset() == timedelta(0)
    assert store.latest(before=NIGHT.replace(microsecond=5)) is None


def test_a_time_without_a_zone_is_refused(store: Store) -> None:
    with pytest.raises(Exception, match="a time without a zone"):
        publish(store, as_of=NIGHT.replace(tzinfo=None))
