from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from features.configuration import Configuration
from features.contract import CUSTOMERS, TABLES
from features.staging import stage
from training.shop import Shop, simulate_shop
from training.shop_buyers import COMPLAINT_DAYS, COMPLAINT_RISK, Course, season

FRAMES = ("orders", "customers", "interactions", "feedback", "treatments", "truth")
HORIZON = pd.Timedelta(days=90)


@pytest.fixture(scope="module")
def shop() -> Shop:
    return simulate_shop()


@pytest.fixture(scope="module")
def untreated() -> Shop:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Course, "treat", lambda *_, **__: None)
        shop = simulate_shop(seed=1)
    return replace(shop, treatments=shop.treatments[:0])


@pytest.fixture(scope="module")
def written(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    folder = tmp_path_factory.mktemp("shop")
    return folder, shop.write(folder)


def sales(shop: Shop) -> pd.DataFrame:
    return shop.orders[shop.orders["is_return"] == 0]


def occasions(shop: Shop) -> pd.DataFrame:
    return sales(shop).drop_duplicates("order_id")


def alive_days(shop: Shop) -> pd.Series:
    """Days after joining on which each customer was still there, by customer."""
    left = shop.truth["dropped_out_at"].fillna(shop.end)
    days = (left - shop.start).dt.days - shop.truth["joined_day"] - 1
    return days.clip(lower=0).set_axis(shop.truth["customer_id"])


def ordered_within(shop: Shop, customers: pd.Index, as_of: pd.Timestamp) -> np.ndarray:
    when = occasions(shop)["ordered_at"]
    buyers = occasions(shop).loc[(when >= as_of) & (when < as_of + HORIZON), "customer_id"]
    return customers.isin(buyers)


def same_bytes(one: Shop, other: Shop, folder: Path) -> bool:
    for name, made in (("one", one), ("other", other)):
        made.write(folder / name)
    files = [path.relative_to(folder / "one") for path in (folder / "one").rglob("*.*")]
    return all((folder / "one" / f).read_bytes() == (folder / "other" / f).read_bytes() for f in files)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    small = [simulate_shop(customers=60, days=200, seed=seed) for seed in (3, 3, 4)]
    for name in FRAMES:
        pd.testing.assert_frame_equal(getattr(small[0], name), getattr(small[1], name))
    assert same_bytes(small[0], small[1], tmp_path / "same")
    assert not same_bytes(small[0], small[2], tmp_path / "different")


def test_frames_have_canonical_columns_and_utc_times_before_the_end(shop: Shop) -> None:
    for name in FRAMES[:-1]:
        frame, table = getattr(shop, name), TABLES[name]
        assert set(table.required) <= set(frame)
        assert set(frame) <= set(table.columns) or table is CUSTOMERS
        assert not frame[list(table.required)].isna().any(axis=None)
        for column in frame.columns[frame.columns.str.endswith("_at")]:
            assert str(frame[column].dtype) == "datetime64[us, UTC]"
            assert frame[column].dropna().between(shop.start, shop.end, inclusive="left").all()


def test_nothing_is_known_before_it_happens_and_nobody_buys_before_joining(shop: Shop) -> None:
    assert (shop.orders["ingested_at"] >= shop.orders["ordered_at"]).all()
    assert (
        shop.feedback["resolved_at"].isna() | (shop.feedback["resolved_at"] > shop.feedback["occurred_at"])
    ).all()
    joined = shop.customers.set_index("customer_id")["joined_at"]
    assert (shop.orders["ordered_at"] > joined.loc[shop.orders["customer_id"]].to_numpy()).all()


def test_customers_join_over_all_the_time_a_third_of_them_early(shop: Shop) -> None:
    months = (shop.customers["joined_at"] - shop.start).dt.days // 30
    assert 0.35 < (months < 4).mean() < 0.45
    assert months.value_counts().reindex(range(36)).min() > 50


def test_the_size_and_the_churn_problem_are_as_promised(shop: Shop) -> None:
    as_of = shop.end - HORIZON
    known = pd.Index(shop.customers.loc[shop.customers["joined_at"] < as_of, "customer_id"])
    assert 60_000 < len(shop.orders) < 120_000
    assert 0.55 < 1 - ordered_within(shop, known, as_of).mean() < 0.75


def test_amounts_are_quantity_times_price_less_discount_and_cost_less_than_they_bring(shop: Shop) -> None:
    lines = shop.orders
    net = lines["quantity"] * lines["unit_price"] - lines["discount"]
    assert np.abs(lines["amount"] - net).max() < 0.0051
    assert (sales(shop)["amount"] > 0).all()
    assert sales(shop)["cost"].sum() < 0.8 * sales(shop)["amount"].sum()
    assert 0.1 < (sales(shop)["discount"] > 0).mean() < 0.4


def test_buyers_order_at_their_true_rates_while_they_are_there(shop: Shop) -> None:
    truth = shop.truth.set_index("customer_id")
    orders = occasions(shop).groupby("customer_id").size().reindex(truth.index, fill_value=0)
    orders -= truth["buys_at_joining"].astype(int)
    share = pd.qcut(truth["rate_per_day"], 5, labels=False)
    measured = orders.groupby(share).sum() / alive_days(shop).groupby(share).sum()
    expected = truth["rate_per_day"].groupby(share).mean()
    # treatments speed buyers up
    assert (measured / expected).between(0.9, 1.25).all()


def test_gaps_are_as_regular_as_the_truth_says(shop: Shop) -> None:
    truth = shop.truth.set_index("customer_id")
    orders = occasions(shop).sort_values(["customer_id", "ordered_at"])
    gaps = orders.groupby("customer_id")["ordered_at"].diff().dt.days
    by_buyer = gaps.groupby(orders["customer_id"]).agg(["mean", "std", "count"])
    frequent = by_buyer[by_buyer["count"] >= 12]
    spread = (frequent["std"] / frequent["mean"]).groupby(truth["gap_shape"]).median()
    assert spread[5] < 0.7
    assert spread[1] > 0.85


def test_nobody_orders_after_leaving_and_leaving_follows_the_true_hazards(shop: Shop) -> None:
    truth = shop.truth.set_index("customer_id")
    left = truth["dropped_out_at"].reindex(occasions(shop)["customer_id"]).to_numpy()
    assert not (occasions(shop)["ordered_at"].to_numpy() >= left).any()
    share = pd.qcut(truth["dropout_rate_per_day"], 4, labels=False)
    days = alive_days(shop)
    measured = truth["dropped_out_at"].notna().groupby(share).sum() / days.groupby(share).sum()
    baseline = (truth["dropout_rate_per_day"] * days).groupby(share).sum() / days.groupby(share).sum()
    # complaints add to the baseline
    assert (measured / baseline).between(0.9, 1.6).all()


def test_price_levels_show_in_what_people_pay(shop: Shop) -> None:
    truth = shop.truth.set_index("customer_id")
    paid = np.log(sales(shop).groupby("customer_id")["unit_price"].mean())
    assert paid.corr(np.log(truth["price_level"].reindex(paid.index))) > 0.85


def test_the_season_peaks_before_christmas_and_pauses_on_sundays(shop: Shop) -> None:
    when = occasions(shop)["ordered_at"]
    months = when[when >= shop.end - pd.Timedelta(days=365)].dt.month.value_counts()
    assert months.nlargest(2).index.sort_values().tolist() == [11, 12]
    assert when.dt.day_of_week.value_counts().idxmin() == 6
    year = pd.date_range("2023-01-01", "2023-12-31")
    assert season(year).mean() == pytest.approx(1.0, abs=0.005)


def test_visits_rise_before_orders_and_thin_out_after_leaving(shop: Shop) -> None:
    visits = shop.interactions[shop.interactions["kind"] == "visit"]
    orders = occasions(shop).set_index("customer_id")["ordered_at"]
    lead = visits[["customer_id", "occurred_at"]].join(orders, on="customer_id")
    lead = (lead["ordered_at"] - lead["occurred_at"]).dt.days
    assert ((lead >= 0) & (lead < 7)).sum() > 3 * ((lead >= 30) & (lead < 37)).sum()
    left = shop.truth.set_index("customer_id")["dropped_out_at"].dropna()
    gone = visits.join(left, on="customer_id", how="inner")
    since = (gone["occurred_at"] - gone["dropped_out_at"]).dt.days
    assert (since.between(0, 59)).sum() < 0.3 * (since.between(-120, -61)).sum()


def test_unresolved_complaints_raise_dropout(shop: Shop) -> None:
    complaints = shop.feedback[shop.feedback["kind"] == "complaint"]
    told = complaints.join(shop.truth.set_index("customer_id"), on="customer_id")
    told = told[told["occurred_at"] < shop.end - pd.Timedelta(days=COMPLAINT_DAYS)]
    told = told[~(told["dropped_out_at"] < told["occurred_at"].dt.normalize())]
    left = told["dropped_out_at"] < told["occurred_at"] + pd.Timedelta(days=COMPLAINT_DAYS)
    unresolved = told["resolved_at"].isna()
    calm = 1 - np.exp(-told["dropout_rate_per_day"] * COMPLAINT_DAYS)
    upset = 1 - np.exp(-told["dropout_rate_per_day"] * COMPLAINT_DAYS * COMPLAINT_RISK)
    assert left[unresolved].mean() == pytest.approx(upset[unresolved].mean(), abs=0.05)
    assert left[unresolved].mean() > 2 * calm[unresolved].mean()
    assert calm[~unresolved].mean() < left[~unresolved].mean() < left[unresolved].mean()


@pytest.mark.parametrize(("treatment", "days"), [("newcomer_guide", 60), ("winback_coupon", 30)])
def test_those_treated_order_more_than_those_held_out(shop: Shop, treatment: str, days: int) -> None:
    given = shop.treatments[shop.treatments["treatment"] == treatment].reset_index(names="assignment")
    given = given[given["assigned_at"] < shop.end - pd.Timedelta(days=days + 1)]
    later = given.merge(occasions(shop)[["customer_id", "ordered_at"]], on="customer_id")
    first = later["assigned_at"].dt.normalize() + pd.Timedelta(days=1)
    within = (later["ordered_at"] >= first) & (later["ordered_at"] < first + pd.Timedelta(days=days))
    orders = given["assignment"].map(later[within].groupby("assignment").size()).fillna(0)
    mean, error = orders.groupby(given["is_holdout"]).mean(), orders.groupby(given["is_holdout"]).sem()
    truth = shop.truth.set_index("customer_id").loc[given["customer_id"], f"{treatment}_factor"].mean()
    assert mean[0] - mean[1] > 3 * np.hypot(error[0], error[1])
    assert 1 + (truth - 1) / 2 < mean[0] / mean[1] < 1 + (truth - 1) * 1.5


def test_care_keeps_people_and_treatments_go_by_their_propensity(shop: Shop) -> None:
    given = shop.treatments.join(shop.truth.set_index("customer_id"), on="customer_id")
    care = given[(given["treatment"] == "vip_care") & ~(given["dropped_out_at"] < given["assigned_at"])]
    left = care["dropped_out_at"] < care["assigned_at"] + pd.Timedelta(days=180)
    assert left[care["is_holdout"] == 0].mean() < 0.8 * left[care["is_holdout"] == 1].mean()
    held = given.groupby("treatment")["is_holdout"].mean()
    chance = given[given["is_holdout"] == 1].groupby("treatment")["propensity"].first()
    assert (held - chance).abs().max() < 0.03
    assert (given.loc[given["is_holdout"] == 1, "cost"] == 0).all()


def test_refunds_take_back_earlier_lines_whole_or_single(shop: Shop) -> None:
    back = shop.orders[shop.orders["is_return"] == 1]
    whole = back[back["order_id"].str.startswith("C")].assign(number=lambda t: t["order_id"].str[1:])
    same = ["customer_id", "product_id", "unit_price"]
    named = whole.merge(sales(shop), left_on=["number", *same], right_on=["order_id", *same])
    assert len(named) == len(whole)
    assert (named["amount_x"] == -named["amount_y"]).all()
    assert (named["ordered_at_x"] > named["ingested_at_y"]).all()
    single = back[back["order_id"].str.startswith("R")]
    pairs = single.reset_index().merge(sales(shop), on=same)
    pairs = pairs[(pairs["quantity_x"] == -pairs["quantity_y"]) & (pairs["amount_x"] == -pairs["amount_y"])]
    assert set(pairs.loc[pairs["ordered_at_x"] > pairs["ingested_at_y"], "index"]) == set(single.index)
    assert len(whole) > 1000
    assert len(single) > 3000
    assert 0.2 < (back["ingested_at"] > back["ordered_at"]).mean() < 0.45


@pytest.mark.parametrize("days_before_the_end", [90, 400])
def test_the_true_probabilities_are_calibrated_where_nobody_is_treated(
    untreated: Shop, days_before_the_end: int
) -> None:
    as_of = untreated.end - pd.Timedelta(days=days_before_the_end)
    truth = untreated.true_no_order(as_of=as_of, horizon_days=90)
    none = pd.Series(~ordered_within(untreated, truth.index, as_of), index=truth.index)
    assert (truth == 1).sum() == (untreated.truth["dropped_out_at"] < as_of).sum()
    assert none[truth == 1].all()
    groups = pd.qcut(truth[truth < 1], 8, labels=False)
    error = np.sqrt((truth * (1 - truth)).groupby(groups).sum()) / groups.value_counts().sort_index()
    gap = none.groupby(groups).mean() - truth.groupby(groups).mean()
    assert ((gap / error).abs() < 3.5).all()


def test_the_true_probabilities_stay_close_when_treatments_follow(shop: Shop) -> None:
    as_of = shop.end - HORIZON
    truth = shop.true_no_order(as_of=as_of, horizon_days=90)
    none = ~ordered_within(shop, truth.index, as_of)
    assert truth.between(0, 1).all()
    assert none.mean() == pytest.approx(truth.mean(), abs=0.03)


def test_the_files_hold_the_records_and_the_dirt_that_was_announced(
    shop: Shop, written: tuple[Path, dict[str, int]]
) -> None:
    folder, dirt = written
    files = [pd.read_parquet(path) for path in sorted((folder / "orders").glob("*.parquet"))]
    delivered = pd.concat(files)
    once = delivered.drop_duplicates()
    assert len(files) == 3
    assert len(delivered) - len(once) == dirt["rows_in_two_files"] == 40
    assert once["customer_id"].isna().sum() == dirt["rows_without_customer"] > 100
    assert (once["product_id"] == "POST").sum() == dirt["postage_lines"] > 1000
    assert len(once) == len(shop.orders) + dirt["rows_without_customer"] + dirt["postage_lines"]
    feedback = pd.read_csv(folder / "feedback.csv")
    times = pd.to_datetime(feedback["occurred_at"], errors="coerce", utc=True)
    assert times.isna().sum() == dirt["unparseable_times"] == 3
    assert times.dropna().tolist() == shop.feedback["occurred_at"].tolist()


def test_the_records_have_no_other_dirt(shop: Shop) -> None:
    assert not shop.orders.duplicated().any()
    assert not sales(shop).duplicated(["order_id", "product_id"]).any()
    assert shop.customers["customer_id"].is_unique
    assert sales(shop)["product_id"].nunique() == 200
    assert sales(shop)["category"].nunique() == 8


def test_the_quality_report_finds_just_the_dirt_that_was_announced(
    shop: Shop, written: tuple[Path, dict[str, int]]
) -> None:
    folder, dirt = written
    with duckdb.connect() as connection:
        report = stage(Configuration.read(folder / "tierwise.toml", environ={}), connection)
    assert {(finding.table, finding.column): finding.rows for finding in report.findings} == {
        ("orders", "customer_id"): dirt["rows_without_customer"],
        ("orders", "*"): dirt["rows_in_two_files"],
        ("orders", "product_id"): dirt["postage_lines"],
        ("feedback", "occurred_at"): dirt["unparseable_times"],
    }
    used = {name: counts.used for name, counts in report.counts.items()}
    assert used.pop("orders") == len(shop.orders) + dirt["postage_lines"]
    assert used == {name: len(getattr(shop, name)) for name in used}
    assert set(used) == {"customers", "interactions", "feedback", "treatments"}
