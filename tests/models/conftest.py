from datetime import date, timedelta
from pathlib import Path

import pytest

CDNOW_SAMPLE = Path(__file__).parents[3] / "shared" / "data" / "cdnow" / "CDNOW_sample.txt"


@pytest.fixture(scope="session")
def cdnow_spend_by_day() -> dict[str, dict[int, float]]:
    """Customer -> day since 1997-01-01 -> USD, of the tenth sample's first 39 weeks."""
    if not CDNOW_SAMPLE.exists():
        pytest.skip(f"the CDNOW sample is not at {CDNOW_SAMPLE}")
    spend: dict[str, dict[int, float]] = {}
    for line in CDNOW_SAMPLE.read_text().splitlines():
        _, customer, text, _, usd = line.split()
        day = date(int(text[:4]), int(text[4:6]), int(text[6:])) - date(1997, 1, 1)
        if day < timedelta(weeks=39):
            days = spend.setdefault(customer, {})
            days[day.days] = days.get(day.days, 0.0) + float(usd)
    return spend
