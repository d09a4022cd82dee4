"""The records of the simulated shop: what the lives of its buyers leave behind in its systems.

Frames have the canonical columns, with ``customer_id`` and whole seconds since the start of the shop
in place of times; `simulate_shop` puts them on the calendar.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from training.shop_buyers import NEVER, Floats, Integers, Lives, happens

CATEGORIES = ("kitchen", "garden", "toys", "books", "textiles", "candles", "paper", "tools")
PRODUCTS = 25
"""Products in each category."""
CATALOGUE = len(CATEGORIES) * PRODUCTS
SECONDS = 86_400
OPENING = 7 * 3600
"""The second of the day at which customers join; orders follow between 8 and 22 o'clock."""
FADING = 30
"""Days before leaving over which visits and opened mails thin out."""
MAILING = 14
"""Days between newsletters."""


@dataclass(frozen=True)
class Orders:
    """Purchase occasions: the buyer (row of the truth) and the second of each."""

    row: Integers
    second: Integers

    @classmethod
    def of(cls, lives: Lives, rng: np.random.Generator) -> "Orders":
        """Give each order of some lives a time of its day, between 8 and 22 o'clock."""
        row = np.concatenate([rows for _, rows in lives.orders_])
        day = np.concatenate([np.full(len(rows), today) for today, rows in lives.orders_])
        return cls(row, day * SECONDS + 8 * 3600 + (rng.beta(2, 2, len(row)) * 14 * 3600).astype(np.int64))


def order_lines(orders: Orders, truth: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Fill the orders with products; a few lines become known some days late."""
    buyer = truth.iloc[orders.row]
    order = np.repeat(np.arange(len(buyer)), 1 + rng.poisson(buyer["lines_per_order"] - 1))
    row, second = orders.row[order], orders.second[order]
    product = _products(row, len(truth), rng)
    prices, cost_shares = rng.lognormal(2.3, 0.6, CATALOGUE) + 1, rng.uniform(0.45, 0.75, 200)
    price = (prices[product] * truth["price_level"].to_numpy()[row]).clip(0.5).round(2)
    quantity = 1 + rng.poisson(0.4, len(order))
    reduced = happens(rng, truth["discount_affinity"].to_numpy()[row], len(order))
    discount = (quantity * price * reduced * rng.choice([0.1, 0.2, 0.3], len(order))).round(2)
    late = happens(rng, 0.005, len(order))
    lines = pd.DataFrame(
        {
            "order_id": pd.Series(order).map("O{:07d}".format),
            "customer_id": truth["customer_id"].to_numpy()[row],
            "ordered_at": second,
            "product_id": pd.Series(product).map("P{:03d}".format),
            "category": np.array(CATEGORIES)[product // PRODUCTS],
            "channel": rng.choice(["web", "app", "store"], len(buyer), p=[0.6, 0.25, 0.15])[order],
            "quantity": quantity,
            "unit_price": price,
            "discount": discount,
            "amount": (quantity * price - discount).round(2),
            "cost": (quantity * price * cost_shares[product]).round(2),
            "is_return": 0,
            "ingested_at": second + late * rng.integers(1, 6, len(order)) * SECONDS,
        }
    )
    return lines.drop_duplicates(["order_id", "product_id"], ignore_index=True)


def _products(row: Integers, buyers: int, rng: np.random.Generator) -> Integers:
    """Draw a product per line: a category after the buyer's taste, then by popularity (Zipf)."""
    taste = rng.dirichlet(4 / np.arange(1, len(CATEGORIES) + 1), buyers).cumsum(axis=1)
    popularity = (1 / np.arange(1, PRODUCTS + 1)).cumsum()
    category = (rng.random((len(row), 1)) > taste[row, :-1]).sum(axis=1)
    rank = np.searchsorted(popularity, rng.random(len(row)) * popularity[-1])
    return np.asarray(category * PRODUCTS + rank)


def refunds(lines: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Take back some orders whole (number ``C...``), soon, and some single lines (``R...``), later.

    Nothing is taken back before it is known; a third of the refunds become known some days late.
    """
    _, order = np.unique(lines["order_id"], return_inverse=True)
    orders = order.max() + 1
    whole = happens(rng, 0.015, orders)[order]
    single = ~whole & happens(rng, 0.04, len(lines))
    wait = happens(rng, 0.5, orders) * rng.integers(1, 10, orders) * SECONDS + rng.integers(300, 3600, orders)
    wait_single = rng.integers(3 * SECONDS, 30 * SECONDS, len(lines))
    late = happens(rng, 1 / 3, orders) * rng.integers(1, 4, orders) * SECONDS
    known = lines.groupby("order_id")["ingested_at"].transform("max").to_numpy()
    back = lines.assign(
        ordered_at=known + np.where(whole, wait[order], wait_single),
        is_return=1,
        **{column: -lines[column] for column in ("quantity", "discount", "amount", "cost")},
    )
    back["ingested_at"] = back["ordered_at"] + late[order]
    back["order_id"] = np.where(whole, "C" + back["order_id"], pd.Series(order).map("R{:07d}".format))
    return back[whole | single]


def interactions(
    orders: Orders, truth: pd.DataFrame, left: Integers, *, days: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Record visits, views and opened mails; all thin out before a buyer leaves, and hardly go on after.

    Visits come at random, and before orders: one within the hour, two more (on average) in the days before.
    """
    around = np.repeat(np.arange(len(orders.row)), rng.poisson(2.0, len(orders.row)))
    ahead = orders.second[around] - (rng.exponential(4.0, len(around)) * SECONDS).astype(np.int64)
    just = orders.second - rng.integers(60, 3600, len(orders.second))
    row = np.repeat(np.arange(len(truth)), rng.poisson(truth["visits_per_day"] * days))
    random = rng.integers(0, days * SECONDS, len(row))
    kept = happens(rng, _attention(random / SECONDS, left[row]), len(row))
    row = np.concatenate([orders.row[around], orders.row, row[kept]])
    visits = _events(truth, row, np.concatenate([ahead, just, random[kept]]), "visit", "web")
    visits["value"] = 1.0 + rng.poisson(3.0, len(visits))
    views = visits[happens(rng, 0.4, len(visits))].assign(kind="view", value=np.nan)
    views["occurred_at"] += rng.integers(10, 600, len(views))
    events = pd.concat([visits, views, _mails(truth, left, days, rng)])
    joined = truth.set_index("customer_id")["joined_day"].loc[events["customer_id"]].to_numpy()
    return events.loc[(events["occurred_at"] >= joined * SECONDS).to_numpy()]


def _attention(day: Floats | Integers, left: Integers) -> Floats:
    return np.asarray((left - day) / FADING).clip(0.08, 1.0)


def _mails(truth: pd.DataFrame, left: Integers, days: int, rng: np.random.Generator) -> pd.DataFrame:
    sent = np.repeat(np.arange(0, days, MAILING, dtype=np.int64), len(truth))
    row = np.tile(np.arange(len(truth)), -(-days // MAILING))
    share = truth["email_open_share"].to_numpy()[row] * _attention(sent, left[row])
    opened = happens(rng, share, len(row))
    second = sent[opened] * SECONDS + 9 * 3600 + rng.exponential(12 * 3600, opened.sum()).astype(np.int64)
    opens = _events(truth, row[opened], second, "email_open", "email")
    clicks = opens[happens(rng, 0.2, len(opens))].assign(kind="email_click")
    clicks["occurred_at"] += 30
    return pd.concat([opens, clicks])


def _events(truth: pd.DataFrame, row: Integers, second: Integers, kind: str, channel: str) -> pd.DataFrame:
    ids = truth["customer_id"].to_numpy()[row]
    return pd.DataFrame(
        {"customer_id": ids, "occurred_at": second, "kind": kind, "channel": channel, "value": np.nan}
    )


def feedback(
    orders: Orders, truth: pd.DataFrame, lives: Lives, *, days: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Record complaints (score 0 to 4), surveys after some orders (the restless score lower), inquiries."""
    row, first, resolved = np.array(lives.complaints_, dtype=np.int64).reshape(-1, 3).T
    hour = rng.integers(9 * 3600, 18 * 3600, len(row))
    complaints = _events(truth, row, first * SECONDS + hour, "complaint", "").assign(
        topic=rng.choice(["after_sales", "technical", "product", "price"], len(row)),
        score=rng.integers(0, 5, len(row)).astype(float),
        resolved_at=pd.Series(resolved * SECONDS).mask(resolved == NEVER),
    )
    asked = happens(rng, 0.1, len(orders.row))
    restless = truth["dropout_rate_per_day"] / truth["dropout_rate_per_day"].mean()
    mood = 9 - 3 * np.log1p(restless.to_numpy()[orders.row[asked]]) + rng.normal(0, 1, asked.sum())
    surveys = _events(truth, orders.row[asked], orders.second[asked] + 5 * SECONDS, "survey", "")
    surveys["score"] = mood.round().clip(0, 10)
    row = np.repeat(np.arange(len(truth)), rng.poisson(0.001 * days, len(truth)))
    second = rng.integers(0, days * SECONDS, len(row))
    here = (second >= truth["joined_day"].to_numpy()[row] * SECONDS) & (second < lives.left_[row] * SECONDS)
    inquiries = _events(truth, row[here], second[here], "inquiry", "")
    inquiries["topic"] = rng.choice(["product", "technical", "price"], len(inquiries))
    return pd.concat([complaints, surveys, inquiries]).drop(columns=["channel", "value"])


def treatments(truth: pd.DataFrame, lives: Lives) -> pd.DataFrame:
    """Record who was assigned to what, at 7 o'clock: by chance among those intended, with the propensity."""
    ids = truth["customer_id"].to_numpy()
    assigned = [
        pd.DataFrame(
            {
                "customer_id": ids[rows],
                "assigned_at": day * SECONDS + 7 * 3600,
                "treatment": treatment.name,
                "propensity": np.where(held, treatment.holdout, 1 - treatment.holdout),
                "is_holdout": held.astype(np.int64),
                "cost": np.where(held, 0.0, treatment.cost),
                "channel": treatment.channel,
            }
        )
        for treatment, day, rows, held in lives.treatments_
        if len(rows)
    ]
    return pd.concat(assigned)
