"""Instants and calendar days as they are held inside."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from features.errors import InputError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Cutoff:
    """An `as_of` as a spine holds it.

    Parameters
    ----------
    micros
        Microseconds since 1970-01-01 UTC.
    day
        Its calendar day in the project's time zone, counted from 1970-01-01.
    month
        The month of that day, 1 to 12.
    """

    micros: int
    day: int
    month: int

    @classmethod
    def at(cls, instant: datetime, time_zone: str) -> "Cutoff":
        """Place an instant on the calendar of a time zone."""
        local = instant.astimezone(ZoneInfo(time_zone))
        return cls(micros(instant), calendar_day(local.date()), local.month)


def micros(instant: datetime) -> int:
    """Return an aware instant as microseconds since 1970-01-01 UTC, exactly."""
    since = instant - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def calendar_day(day: date) -> int:
    """Return a calendar day as days since 1970-01-01."""
    return day.toordinal() - EPOCH.toordinal()


def parse_as_of(text: str) -> datetime:
    """Read an `as_of`: a date means 00:00 UTC of that day, a time without an offset is UTC.

    Raises
    ------
    InputError
        The text is no date and no time.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            f"as_of {text!r} is no date or time; write it like 2011-09-01 or 2011-09-01T06:00:00Z"
        ) from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
