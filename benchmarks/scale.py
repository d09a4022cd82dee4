"""Speed and memory on a large simulated shop, beside DuckDB, Polars and pandas on the same files.

Each job runs in a process of its own, two threads each; its peak memory is that of the process. Prints
a Markdown table.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

THREADS = 2
DAYS = 1_096
AGGREGATE = "30 columns by customer"
WINDOWS = [7, 14, 30, 60, 90, 180, 365, 545, 730, 1_095]
AS_OF = datetime(2024, 9, 1, tzinfo=UTC)
ORIGIN = f"TIMESTAMP '{AS_OF:%Y-%m-%d}'"
CONFIGURATION = """
[project]
currency = "EUR"
[sources.orders]
path = "orders/*.parquet"
"""
ORDERS = """
COPY (
  WITH customers AS MATERIALIZED (
    SELECT c, exp(1.3 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())) AS rate,
      floor(random() * 0.8 * {days})::INT AS joined, exp(random() + random() - 1) AS level
    FROM range({customers}) t(c)
  ),
  repeats AS MATERIALIZED (
    SELECT *, floor(random() + ({lines} / 3.06 - {customers}) * rate / sum(rate) OVER ())::INT AS times
    FROM customers
  ),
  orders AS MATERIALIZED (
    SELECT *, row_number() OVER () AS number, 1 + floor(5 * random())::INT AS size, timestamp '2022-01-01'
      + to_days(joined + if(k = 0, 0, floor(random() * ({days} - joined))::INT))
      + to_seconds(floor(random() * 86400)) AS placed
    FROM (SELECT c, joined, level, unnest(range(1 + least(times, 500))) AS k FROM repeats)
  ),
  lines AS MATERIALIZED (
    SELECT *, floor(5000 * random() * random())::INT AS product,
      1 + floor(5 * random() * random())::INT AS pieces, random() AS luck
    FROM (SELECT c, level, number, placed, unnest(range(size)) FROM orders)
  ),
  bought AS (SELECT *, round(level * pieces * (3 + product * 7919 % 5000 / 100), 2) AS worth FROM lines),
  signed AS (
    SELECT *, 1 AS sign FROM bought
    UNION ALL
    SELECT * REPLACE (placed + to_days(1 + floor(luck * 1000)::INT) AS placed), -1 AS sign
    FROM bought WHERE luck < 0.02
  )
  SELECT 'c' || lpad(c::VARCHAR, 8, '0') AS customer_id, placed AS ordered_at,
    (sign * worth)::DECIMAL(12, 2) AS amount, sign * pieces AS quantity,
    if(sign < 0, 'C', '') || number AS order_id, 'p' || product AS product_id,
    'category ' || product % 12 AS category, if(luck > 0.7, worth * 0.1, 0)::DECIMAL(12, 2) AS discount
  FROM signed ORDER BY placed
) TO '{target}' (FORMAT parquet, ROW_GROUP_SIZE 200000)
"""


def generate(folder: Path, customers: int, lines: int) -> None:
    """Write the shop's order lines.

    Customers' rates are lognormal and their first days spread out; about three lines an order, 5,000
    products of unlike popularity in 12 categories; 2% of the lines are taken back within three weeks.
    """
    (folder / "orders").mkdir()
    (folder / "tierwise.toml").write_text(CONFIGURATION, encoding="utf-8")
    target = folder / "orders" / "orders.parquet"
    script = f"SET threads = 1; SELECT setseed(0.7); {ORDERS}"
    query = script.format(customers=customers, lines=lines, days=DAYS, target=target)
    # In a process of its own: a child's peak memory is at least its parent's.
    run([sys.executable, "-c", f"import duckdb; duckdb.execute({query!r})"])


def with_duckdb(folder: Path) -> None:
    """Aggregate by customer: sum, count and last time of ten windows."""
    connection = duckdb.connect()
    connection.execute(f"SET threads = {THREADS}")
    columns = ", ".join(
        f"{call} FILTER (ordered_at >= {ORIGIN} - to_days({days})) AS {name}_{days}"
        for days in WINDOWS
        for name, call in [("spend", "sum(amount)"), ("lines", "count(*)"), ("last", "max(ordered_at)")]
    )
    files = folder / "orders" / "*.parquet"
    with timed(AGGREGATE):
        connection.execute(
            f"CREATE TABLE result AS SELECT customer_id, {columns} FROM '{files}' "
            f"WHERE ordered_at < {ORIGIN} GROUP BY customer_id"
        )


def with_polars(folder: Path) -> None:
    """Do the same with Polars, lazily."""
    import polars as pl  # noqa: PLC0415 - each job imports only its own

    at, amount = pl.col("ordered_at"), pl.col("amount")
    origin = AS_OF.replace(tzinfo=None)
    seen = {days: at >= pl.lit(origin) - pl.duration(days=days) for days in WINDOWS}
    columns = [
        column
        for days, inside in seen.items()
        for column in (
            amount.filter(inside).sum().alias(f"spend_{days}"),
            inside.sum().alias(f"lines_{days}"),
            at.filter(inside).max().alias(f"last_{days}"),
        )
    ]
    orders = pl.scan_parquet(folder / "orders" / "*.parquet").filter(at < origin)
    with timed(AGGREGATE):
        orders.group_by("customer_id").agg(columns).collect(engine="streaming")


def with_pandas(folder: Path) -> None:
    """Do the same with pandas, window after window."""
    import pandas as pd  # noqa: PLC0415

    origin = pd.Timestamp(AS_OF.replace(tzinfo=None))
    with timed(AGGREGATE):
        orders = pd.read_parquet(folder / "orders", columns=["customer_id", "ordered_at", "amount"])
        orders["amount"] = orders["amount"].astype(float)
        orders = orders[orders["ordered_at"] < origin]
        orders["customer_id"] = orders["customer_id"].astype("category")
        parts = []
        for days in WINDOWS:
            inside = orders[orders["ordered_at"] >= origin - pd.Timedelta(days=days)]
            groups = inside.groupby("customer_id", observed=True)
            part = groups.agg(spend=("amount", "sum"), lines=("amount", "size"), last=("ordered_at", "max"))
            parts.append(part.add_suffix(f"_{days}"))
        pd.concat(parts, axis=1)


def with_tierwise(folder: Path) -> None:
    """Stage the files, match refunds and make every feature at one as_of, each timed."""
    from features.batch import match_refunds, put_everybody_on_spine, workplace  # noqa: PLC0415
    from features.configuration import Configuration  # noqa: PLC0415
    from features.instants import Cutoff  # noqa: PLC0415
    from features.sources import read_sources  # noqa: PLC0415
    from features.staging import stage  # noqa: PLC0415
    from features.survey import plan_features  # noqa: PLC0415

    configuration = Configuration.read(folder / "tierwise.toml", environ={})
    cutoff = Cutoff.at(AS_OF, "UTC")
    with workplace(configuration.project.workspace) as connection:
        connection.execute(f"SET threads = {THREADS}")
        with timed("staging"):
            stage(configuration, connection)
        with timed("planning"):
            plan = plan_features(connection, read_sources(configuration), horizon_days=90, cutoff=cutoff)
            steps = plan.sql()["duckdb"]
        with timed("matching refunds"):
            match_refunds(connection, steps)
        put_everybody_on_spine(connection, cutoff)
        with timed(f"{len(plan.names())} features"):
            connection.execute(f"CREATE TABLE result AS {steps['features']}")


def with_standing(folder: Path) -> None:
    """Score twice, a week apart, and tell how much of the second run the standing took."""
    from features.configuration import Configuration  # noqa: PLC0415
    from models.bundle import Bundle  # noqa: PLC0415
    from serving import scoring, standings  # noqa: PLC0415
    from serving.scoring import ScoringJob  # noqa: PLC0415
    from serving.standing import StandingJob  # noqa: PLC0415
    from serving.store import Store  # noqa: PLC0415
    from training.train import registry_of  # noqa: PLC0415

    configuration = Configuration.read(folder / "tierwise.toml", environ={})
    registry = registry_of(configuration)
    version = registry.find("champion").version
    bundle = Bundle.read(registry.fetch(version))
    parts = (StandingJob, "stand"), (standings, "move"), (scoring, "expected_transitions")
    with Store.open(folder / "standing.db") as store:
        job = ScoringJob(configuration, bundle, str(version), store)
        job.run(as_of=AS_OF - timedelta(days=7))
        taken = [summed(owner, name) for owner, name in parts]
        start = time.perf_counter()
        job.run(as_of=AS_OF)
        whole, standing = time.perf_counter() - start, sum(map(sum, taken))
    print(f"a second run without its standing\t{whole - standing}\nits standing\t{standing}", flush=True)


def summed(owner: object, name: str) -> list[float]:
    """Let a function note how long each of its calls takes."""
    taken: list[float] = []
    plain = getattr(owner, name)

    def noting(*given: object, **named: object) -> object:
        start = time.perf_counter()
        try:
            return plain(*given, **named)
        finally:
            taken.append(time.perf_counter() - start)

    setattr(owner, name, noting)
    return taken


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long it took, for the process that asked."""
    start = time.perf_counter()
    yield
    print(f"{what}\t{time.perf_counter() - start}", flush=True)


JOBS: dict[str, Callable[[Path], None]] = {
    "DuckDB": with_duckdb,
    "Polars": with_polars,
    "pandas": with_pandas,
    "Tierwise": with_tierwise,
    "two runs": with_standing,
}
AFTER_TRAINING = ("two runs",)
COMMAND = [str(Path(sys.executable).with_name("tierwise"))]


def run(command: list[str]) -> tuple[float, float, str]:
    """Run a process; return its seconds, its peak memory in GB, and what it printed."""
    limits = dict.fromkeys(("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "OPENBLAS_NUM_THREADS"), str(THREADS))
    start = time.perf_counter()
    with subprocess.Popen(
        command, env=os.environ | limits, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        printed = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {process.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss / 1e6, printed


def main() -> None:
    """Generate the shop, run every job and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--job", choices=JOBS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        JOBS[options.job](options.folder)
        return
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        generate(folder, options.customers, options.lines)
        lines = duckdb.execute(f"SELECT count(*) FROM '{folder}/orders/*.parquet'").fetchall()[0][0]
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
        cores = os.cpu_count()
        print(f"{options.customers:,} customers, {lines:,} order lines; {cores} cores, {memory:.0f} GB.\n")
        print("| job | seconds | of the bare aggregate | peak GB |\n| --- | ---: | ---: | ---: |", flush=True)
        bare = 0.0
        for seconds, name, peak in measured(folder):
            bare = bare or seconds
            print(f"| {name} | {seconds:.1f} | {seconds / bare:.1f} x | {peak} |", flush=True)


def measured(folder: Path) -> Iterator[tuple[float, str, str]]:
    """Run the jobs one after another; yield seconds, name and peak memory of each and of its parts."""
    for job in JOBS:
        if job not in AFTER_TRAINING:
            yield from of_job(job, folder)
    configuration = ["-c", str(folder / "tierwise.toml"), "--as-of", f"{AS_OF:%Y-%m-%d}"]
    for command in (["train"], ["score", "--out", str(folder / "scores.parquet")], ["plan"]):
        seconds, peak, _ = run([*COMMAND, *command, *configuration])
        yield seconds, f"tierwise {command[0]}", f"{peak:.1f}"
    for job in AFTER_TRAINING:
        yield from of_job(job, folder)


def of_job(job: str, folder: Path) -> Iterator[tuple[float, str, str]]:
    """Run a job; yield its seconds, name and peak memory, then those of its parts."""
    _, peak, printed = run([sys.executable, __file__, "--job", job, "--folder", str(folder)])
    parts = {what: float(seconds) for what, seconds in (line.split("\t") for line in printed.splitlines())}
    yield sum(parts.values()), job if len(parts) > 1 else f"{job}, {next(iter(parts))}", f"{peak:.1f}"
    if len(parts) > 1:
        yield from ((seconds, f"— {what}", "") for what, seconds in parts.items())


if __name__ == "__main__":
    main()
