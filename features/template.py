"""A commented tierwise.toml to start from."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from features.contract import ORDERS
from features.errors import InputError
from features.guesses import Guesses, guess

NAME = "tierwise.toml"
LOOK = "  # ? look whether this is right"

PROJECT = """\
# What Tierwise reads and forecasts. Lines with "# ?" want a look; lines that begin with "# " and a key show
# what else can be set. Any key can be overridden: --set forecast.horizon_days=180.

[project]
name = {name}  # how the shop is called in reports and models
currency = "EUR"  # ? three letters; every amount is in it
setting = "transactional"  # or "contractual": customers have contracts; "labelled": they have a known outcome
workspace = ".tierwise"  # registry, store, runs and reports; relative to this file
time_zone = "UTC"  # whose calendar days make an order, such as "Europe/London"

[sources.orders]  # order lines; required
"""
SOURCES = """
# [sources.orders.exclude]  # lines that are no purchases; * stands for any characters
# product_id = ["POST", "FEE*"]

# [sources.customers]  # one row per customer: customer_id, joined_at and any attributes
# path = "customers.csv"
# fixed = ["country"]  # attributes that never change, and so may be features
# left_out = ["call_seconds"]  # columns that are no features, such as what is known only after the outcome
# label = "Churn"  # in the labelled setting the column with the known outcome, which is forecast
# label_positive = "Yes"  # the value of it whose chance is told
# label_means = "churn"  # or "conversion"

# [sources.interactions]  # events: customer_id, occurred_at, kind (visit, email_open, ...), channel, value
# path = "interactions.parquet"

# [sources.feedback]  # customer_id, occurred_at, kind (complaint, review, ...), topic, score, resolved_at
# path = "feedback.csv"

# [sources.contracts]  # customer_id, started_at, ended_at, renews_at, fee, plan
# path = "contracts.csv"
# fee_per = "month"  # the time that a fee is for: week, month, quarter or year

# [sources.treatments]  # customer_id, assigned_at, treatment, propensity, is_holdout, cost, channel
# path = "treatments.csv"

[forecast]
horizon_days = 90  # the days after as_of that a forecast is about; tierwise check advises on it
clv_days = 365  # the days after as_of that the customer lifetime value is about
discount_rate = 0.10  # by which that value discounts, per year
# value = "margin"  # what an order is worth: its net revenue, or that less the costs of its lines
# rounds = 100  # boosted trees of each of the two models; with the next two, how much they may learn
# leaves = 8  # of each tree
# learning_rate = 0.06  # the part of each tree that is taken
# tuning_minutes = 0  # how long training looks for better values of these three
# allow_features = ["customer_rank"]  # features that may tell the outcome nearly alone; others stop training

# [features]  # features of your own: see docs/features.md
# module = "my_features.py"  # each of its functions is a feature, made of days (orders) or lines
# [features.sql]
# weekend_orders = "select count(*) from days where weekday >= 5"

# [tiers]  # how customers are graded, for service; see docs/standing.md
# purpose = "service"  # what tiers are for; "pricing" is refused
# hysteresis = 0.1  # the share by which a condition is eased for who is in its tier already, 0 to 0.5
# minimum_stay_days = 28  # how long a customer stays in a tier after a move
# lapsing_days = 60  # the silence from which a customer is lapsing; without it the shop's own rhythm tells
# lost_days = 180  # the silence from which a customer is lost; likewise
# established_orders = 3  # from how many orders a customer is established
# frequency_bands = [4, 12]  # orders in 365 days from which a frequency is medium, and high; else quantiles
# monetary_bands = [100, 1000]  # spend in 365 days from which it is medium, and high; else quantiles

# [[tiers.levels]]  # best first: a customer is in the first tier whose condition holds; names are yours
# name = "high"
# when = "top(clv, 0.2)"  # among the fifth with the highest value; also bottom(x, share), brings(x, share)
# [[tiers.levels]]
# name = "potential"
# when = "top(potential_score, 0.25) and not churn_risk > 0.9"  # and, or, not, in, between, is null, + - * /
# [[tiers.levels]]
# name = "low"  # the last takes everybody who is left

# [[tiers.flows]]  # puts a customer into a tier at once
# tier = "high"
# when = "spend_30d > 5000"
# reason = "spent over 5,000 in 30 days"

# [tiers.fairness]
# attributes = ["gender"]  # columns of customers: between their groups the tiers are compared
# may_be_features = false  # whether the forecast may use them

# [[treatments]]  # what can be done for a customer; without any, the defaults of docs/treatments.md
# name = "winback_coupon"  # yours
# purpose = "win_back"  # retain, win_back, grow (which an open complaint blocks), welcome, thank or care
# channels = ["email", "phone"]  # the usual one first; where the customer answers another, that one
# when = "lifecycle_stage = 'lost' and historic_value > 100"  # for whom; a condition as of tiers
# why = "lost, and worth a coupon"  # the same in plain words, for the reasons of a plan; else the condition
# cost = 0.5  # of treating one customer, in the project's currency
# cost_share = 0.1  # of the customer's expected value with the treatment: what a coupon takes off
# effect = "0.02 * spend_mean_order"  # the value that it is assumed to add within the horizon; or a number
# capacity = 500  # how many customers a plan treats at most
# cooldown_days = 180  # for how long a customer is not assigned it again
# priority = 3  # 1 comes first in the hand-outs
# duty = false  # whether it is done for all for whom it is open, before anything else
# needs_product = false  # whether it offers a product
# text = "One message with the coupon, one reminder."  # for the people who carry it out

# [plan]  # within which limits customers are treated
# budget = 2000.0  # of a plan, in the project's currency
# holdout = 0.1  # the share of customers from whom their treatment is withheld, so that its effect shows
# explore = 0.05  # the share of customers who get a random one of the treatments open to them
# due_days = 14  # within how many days a plan is carried out
# most_contacts = 2  # of a customer within contact_days, over all treatments
# contact_days = 30  # over which they are counted
# quiet_days = ["2026-12-25"]  # no contact begins on them
# seed = "spring"  # the key of the draws; without it the project's name
# [plan.capacity]  # how many customers a plan contacts, by channel
# phone = 200
# [plan.allowed]  # conditions of consent: for any contact, for automated decisions, and by channel
# any = "not opted_out"
# email = "email_consent"  # of 0 and 1: "email_consent = 1"
# [[plan.cadence]]  # how a tier is contacted
# tier = "low"  # its name
# every_days = 30  # within so many days one contact at most
# channels = ["email"]  # the only ones used: this tier is left to automation

# [serving]
# store = "postgresql://USER@HOST/DATABASE"  # where runs are kept; without it, in the workspace
# keep_runs = 30  # how many of the latest runs keep their scores
# language = "en"  # of reasons, texts and the report: en or zh
"""


def write_template(folder: Path, files: Sequence[Path]) -> Path:
    """Write a configuration whose orders are the files given; return where it lies.

    What was guessed without being sure ends in ``# ?``.

    Parameters
    ----------
    folder
        Where the configuration goes; made when it is missing.
    files
        Order lines, all with the same columns; without any, a path to fill in is written.

    Raises
    ------
    InputError
        There is such a file already, or the files cannot be read or not named by one path.
    """
    file = folder / NAME
    if file.exists():
        raise InputError(f"{file} exists already; edit it, or name another folder")
    guesses = guess(files) if files else Guesses({}, None, (), ".")
    path = _path(folder, files) if files else "orders/*.csv"
    name = json.dumps(folder.resolve().name or "shop", ensure_ascii=False)
    text = PROJECT.format(name=name) + "\n".join(_orders(path, guesses, is_read=bool(files))) + "\n" + SOURCES
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")
    return file


def _path(folder: Path, files: Sequence[Path]) -> str:
    """Name the files by one path, relative to the folder."""
    found = sorted({file.resolve() for file in files})
    home = Path(os.path.relpath(found[0].parent, folder.resolve()))
    if len(found) == 1:
        return (home / found[0].name).as_posix()
    common = os.path.commonprefix([file.name for file in found])  # noqa: RUF071 -- of one name, letter by letter
    for pattern in (f"*{found[0].suffix}", f"{common}*{found[0].suffix}"):
        if sorted(found[0].parent.glob(pattern)) == found:
            return (home / pattern).as_posix()
    raise InputError(
        f"{', '.join(map(str, files))}: no pattern names just these files; give them a folder of their own"
    )


def _orders(path: str, guesses: Guesses, *, is_read: bool) -> Iterator[str]:
    look = "" if is_read else LOOK
    yield f"path = {_text(path)}{look}  # a file or glob (csv, parquet), relative to this file"
    yield '# url = "postgresql://USER@HOST/DATABASE"  # or a database, with table = "order_lines"'
    yield "# query = \"select ... from read_csv('...')\"  # or DuckDB SQL"
    yield from _readings(guesses)
    yield '# cancellation_prefix = "C"  # a cancelled order has the number of the order with this before it'
    yield ""
    yield "[sources.orders.columns]  # canonical = source; names that are not mapped are taken as they are"
    yield from _mapped(guesses, is_read=is_read)


def _readings(guesses: Guesses) -> Iterator[str]:
    encoding = guesses.encoding or "utf-8"
    yield _key("encoding", encoding, "of text files", default="utf-8")
    form = guesses.time_formats[0] if guesses.time_formats else "%d/%m/%Y %H:%M"
    look = LOOK if len(guesses.time_formats) > 1 else ""
    prefix = "" if guesses.time_formats else "# "
    yield f"{prefix}time_format = {_text(form)}{look}  # of times given as text; ISO 8601 without it"
    yield '# time_zone = "UTC"  # of times without an offset, such as "Asia/Shanghai"'
    yield _key("decimal", guesses.decimal, "the decimal mark of numbers given as text", default=".")
    yield '# delimiter = ";"  # of text files; found by itself without it'


def _key(name: str, value: str, meaning: str, *, default: str) -> str:
    return f"{'# ' if value == default else ''}{name} = {_text(value)}  # {meaning}"


def _mapped(guesses: Guesses, *, is_read: bool) -> Iterator[str]:
    required = {"customer_id", "ordered_at", "amount"}
    if {"quantity", "unit_price"} <= guesses.columns.keys():
        required.remove("amount")
    for canonical in ORDERS.columns:
        if found := guesses.columns.get(canonical):
            yield f"{canonical} = {_text(found.column)}{'' if found.sure else LOOK}"
        elif canonical in required:
            what = "which column is this" if is_read else "required"
            also = ", unless quantity and unit_price are given" if canonical == "amount" else ""
            yield f'# {canonical} = "..."  # ? {what}{also}'
        else:
            yield f'# {canonical} = "..."'


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
