"""Whether the data is whole up to `as_of`: a late load leaves improbably thin days before it."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import duckdb
import numpy as np
import numpy.typing as npt
from scipy.stats import nbinom

from features.errors import StaleDataError
from features.instants import EPOCH, micros
from features.parsing import local_day

Days = npt.NDArray[np.int64]

WEEKS = 8
"""So many earlier weeks say what is usual."""

LENGTHS = (1, 2, 3, 5, 7, 14, 28)
"""Trading days before `as_of` to look at."""

ENOUGH = 30
"""Customers a day, summed up: no longer window is needed than one where so many are usual (or 7 days)."""

THIN = 0.6
"""A late load misses the end: the last trading day has less than this share of what is usual."""

HOLIDAYS = 2
"""A closure of so many trading days is a holiday if the shop ever had one before."""

IMPROBABLE = 1e-5
SPREAD = (0.02, 0.25)
"""Bounds of the squared coefficient of variation of a window beyond Poisson."""

PAST = 900
"""Days of history to read: two years and some."""


@dataclass(frozen=True)
class Freshness:
    """The window before `as_of` that is the least probable.

    Parameters
    ----------
    first, last
        Its calendar days in the project's time zone, both included.
    customers
        Customers with lines, summed over its days.
    expected
        The same in the same week-days of the weeks before, lowered by what the season took last year.
    probability
        Of so few or fewer (negative binomial with the spread of those weeks).
    """

    first: date
    last: date
    customers: int
    expected: float
    probability: float


def freshness(
    connection: duckdb.DuckDBPyConnection, *, as_of: datetime, time_zone: str, allow_stale: bool = False
) -> Freshness | None:
    """Compare the days before `as_of` with the shop's own past, as far as it was known then.

    Each window of trading days (week-days with sales in at least half of the 8 weeks before) that
    ends before the day of `as_of` is compared with the same week-days of 8 earlier weeks, and with
    what the season took from it a year ago, give or take three days. One or two days without sales
    alarm only a shop that has never had such days; three always do. Without sales in the last four
    weeks, the weeks before the last sale are what is usual.

    Parameters
    ----------
    connection
        With the staged ``orders``.
    time_zone
        Of the staged calendar days.
    allow_stale
        Return the figures rather than raise.

    Returns
    -------
    The least probable window; null when the last trading day is as usual, or there are too few
    weeks to tell.

    Raises
    ------
    StaleDataError
        It is less probable than 1 in 100,000.
    """
    until, counts = _customers_a_day(connection, as_of, time_zone)
    found = _thinnest(counts)
    if found is None:
        return None
    length, expected, probability = found
    customers = int(counts[-length:].sum())
    result = Freshness(_date(until - length), _date(until - 1), customers, expected, probability)
    if probability < IMPROBABLE and not allow_stale:
        raise StaleDataError(
            f"the orders look incomplete before {as_of:%Y-%m-%d}: from {result.first} to {result.last} there "
            f"are {customers:,} customer-days with orders where about {expected:,.0f} are usual; wait for "
            "the late load, name an earlier day with --as-of, or score all the same with --allow-stale"
        )
    return result


def _customers_a_day(
    connection: duckdb.DuckDBPyConnection, as_of: datetime, time_zone: str
) -> tuple[int, Days]:
    """Return the day of `as_of`, and the customers on each day up to it, from the first known one on."""
    instant = micros(as_of)
    until = int(connection.execute(f"SELECT {local_day(str(instant), time_zone)}").fetchall()[0][0])
    rows = connection.execute(
        "SELECT day, count(DISTINCT customer_id) FROM orders WHERE ordered_at < $as_of "
        "AND ingested_at <= $as_of AND day < $until GROUP BY day",
        {"as_of": instant, "until": until},
    ).fetchall()
    if not rows:
        return until, np.zeros(0, np.int64)
    days, customers = np.array(rows, np.int64).T
    first = max(int(days.min()), int(days.max()) - PAST)
    counts = np.zeros(until - first, np.int64)
    counts[days[days >= first] - first] = customers[days >= first]
    return until, counts


def _thinnest(counts: Days) -> tuple[int, float, float] | None:
    """Find the length in days, the expectation and the probability of the least probable last window."""
    silent = _silence(counts)
    if silent > 7 * LENGTHS[2] and silent < len(counts):
        return _long_silence(counts, silent)
    tried: list[tuple[int, float, float]] = []
    for trading_days in LENGTHS:
        length = _calendar_length(counts, trading_days)
        judged = _judge(counts, length) if length else None
        if length is None or judged is None or _is_whole(counts, length, trading_days):
            break
        if trading_days > HOLIDAYS or not _seen_before(counts, length):
            tried.append((length, *judged))
        if trading_days >= 7 and judged[0] > ENOUGH:
            break
    return min(tried, key=lambda window: window[2], default=None)


def _is_whole(counts: Days, length: int, trading_days: int) -> bool:
    """Whether the last trading day is as it should be, so that nothing is missing at the end."""
    return trading_days == 1 and _ratio(counts, length) >= THIN


def _silence(counts: Days) -> int:
    return len(counts) - int(np.flatnonzero(counts)[-1]) - 1 if counts.any() else 0


def _long_silence(counts: Days, silent: int) -> tuple[int, float, float] | None:
    """Judge weeks without any sale by the weeks before the last sale."""
    usual = counts[:-silent][-7 * WEEKS :]
    expected = float(usual.mean()) * silent * _season(counts, silent)
    return silent, expected, _probability(0, expected, SPREAD[1])


def _calendar_length(counts: Days, trading_days: int) -> int | None:
    """Days back to the first of the last trading days; null when history does not reach so far."""
    left = trading_days
    for length in range(1, len(counts) - 7 * WEEKS):
        past = counts[-length - 7 * WEEKS : -length : 7]
        left -= int(np.count_nonzero(past) * 2 >= WEEKS)
        if not left:
            return length
    return None


def _judge(counts: Days, length: int) -> tuple[float, float] | None:
    """Return what is usual in the last days, and the probability of so few customers."""
    usual = _same_days_before(counts, length)
    if len(usual) < WEEKS // 2 or not usual.any():
        return None
    mean, variance = float(usual.mean()), float(usual.var(ddof=1))
    spread = float(np.clip((variance - mean) / mean**2, *SPREAD))
    expected = mean * _season(counts, length)
    return expected, _probability(int(counts[-length:].sum()), expected, spread)


def _same_days_before(counts: Days, length: int) -> Days:
    """Sum the same week-days of earlier weeks that do not overlap with the last days."""
    weeks = -(-length // 7)
    ends = [len(counts) - 7 * week for week in range(weeks, weeks + WEEKS)]
    return np.array([counts[end - length : end].sum() for end in ends if end >= length], np.int64)


def _season(counts: Days, length: int) -> float:
    """Return the share, at most 1, that the same days of a year ago had of what was usual then."""
    shares = [1.0]
    for shift in range(361, 368):
        past = counts[:-shift]
        if len(past) < length:
            break
        usual = _same_days_before(past, length)
        if len(usual) < WEEKS // 2:  # the first weeks of the shop: what came after them
            usual = _same_days_before(counts[: len(past) + 7 * (WEEKS + -(-length // 7))], length)
        if usual.any():
            shares.append(float(past[-length:].sum() / usual.mean()))
    return min(shares)


def _seen_before(counts: Days, length: int) -> bool:
    """Whether any window of this length in the past fell as far below its own weeks."""
    ratio = _ratio(counts, length)
    ends = range(len(counts) - length, 7 * WEEKS + length, -1)
    return any(_ratio(counts[:end], length) <= ratio for end in ends)


def _ratio(counts: Days, length: int) -> float:
    usual = _same_days_before(counts, length)
    return float(counts[-length:].sum() / usual.mean()) if usual.any() else 1.0


def _probability(customers: int, expected: float, spread: float) -> float:
    size = 1 / spread
    return float(nbinom.cdf(customers, size, size / (size + expected)))


def _date(day: int) -> date:
    return EPOCH.date() + timedelta(days=day)
