"""Hand-outs: what those need who carry a published plan out, as a CSV per channel."""

import json
from collections import Counter
from collections.abc import Collection
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from features.contract import slug
from features.faults import LONGEST
from features.scratch import in_turn, whole_file
from features.treatment_settings import PERSON
from serving.database import StoreError
from serving.plan_file import with_texts, write_plan
from serving.plans import Plan, Plans

COLUMNS = ("customer_id", "treatment", "product_id", "due_from", "due_to", "text")
FOLDER = "plans"
LISTING = ".files.json"
"""Which files of a folder are ours, and of which plan; what others put there stays."""
FORMULA = "^[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
"""How a text begins that spreadsheets take for a formula, in broad letters too (OWASP, "CSV Injection")."""
NUMBER = r"^[+-]?\d+([.,]\d+)?$"


def hand_out(plans: Plans, plan: Plan, *, out: Path | None, workspace: Path) -> dict[str, int]:
    """Write the files of a published plan, one process at a time.

    Parameters
    ----------
    plans
        Where it is published.
    out
        Where the whole plan goes as Parquet; nowhere without.

    Returns
    -------
    How many customers each file lists, as of `write_hand_outs`.

    Raises
    ------
    StoreError
        Another plan of the run was published meanwhile; nothing is written.
    """
    with in_turn(workspace / FOLDER):
        rows = plans.rows(plan.plan_id)
        if rows.num_rows != plan.customers:
            raise StoreError(
                f"plan '{plan.plan_id}' was replaced by another one of its run before it was handed out, so "
                "that one stands; plan again if it should not"
            )
        if out is not None:
            write_plan(plan, rows, out)
        return write_hand_outs(plan, rows, workspace)


def write_hand_outs(plan: Plan, rows: pa.Table, workspace: Path) -> dict[str, int]:
    """Write a CSV per channel: whom to treat how, the most urgent treatments first.

    Those held out are in none. Customers about whom a person decides are in ``person.csv``, with the reason.
    Files of another plan for the same `as_of` go; those of this plan stay as they are.

    Returns
    -------
    By file, below the workspace, how many customers it lists.
    """
    folder = workspace / FOLDER / _folder_name(plan)
    folder.mkdir(parents=True, exist_ok=True)
    listed = rows.filter(pc.and_(pc.is_valid(rows["channel"]), pc.invert(rows["is_holdout"])))
    channels = sorted(pc.unique(listed["channel"]).to_pylist())
    names = file_names({*plan.facts.get("channels", ()), *channels})
    _clear(folder, plan, [names[channel] for channel in channels])
    written = {}
    for channel in channels:
        part, file = listed.filter(pc.equal(listed["channel"], channel)), folder / names[channel]
        if not file.exists():
            with whole_file(file) as unfinished:
                csv.write_csv(_defused(_hand_out(part, plan, channel)), unfinished)
        written[str(file.relative_to(workspace))] = part.num_rows
    return written


def file_names(channels: Collection[str]) -> dict[str, str]:
    """Return by channel the name of its file: no two share one, however alike they are written."""
    slugs = {channel: slug(channel) for channel in (*channels, PERSON)}
    alike = Counter(slugs.values())
    return {
        channel: f"{plain}.csv"
        if channel == PERSON or (alike[plain] == 1 and plain and len(f"{plain}.csv".encode()) <= LONGEST)
        else f"{plain[: LONGEST // 8]}_{sha256(channel.encode()).hexdigest()[:8]}.csv"
        for channel, plain in slugs.items()
    }


def _folder_name(plan: Plan) -> str:
    """Name a plan's folder by its `as_of`: the date, and the time where it is not midnight (UTC)."""
    return f"{plan.as_of:%Y-%m-%d}" if f"{plan.as_of:%H%M%S}" == "000000" else f"{plan.as_of:%Y-%m-%dT%H%M%S}"


def _clear(folder: Path, plan: Plan, names: list[str]) -> None:
    """Remove the files of another plan, and list those that come."""
    listing = folder / LISTING
    try:
        before = json.loads(listing.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        before = {}
    if before.get("plan_id") != plan.plan_id:
        for outdated in before.get("files", names):
            (folder / outdated).unlink(missing_ok=True)
        with whole_file(listing) as unfinished:
            unfinished.write_text(
                json.dumps({"plan_id": plan.plan_id, "files": names}, ensure_ascii=False), "utf-8"
            )


def _hand_out(rows: pa.Table, plan: Plan, channel: str) -> pa.Table:
    if channel == PERSON:
        return rows.select(["customer_id", "reason"])
    treatments = plan.facts["treatments"]
    order = pa.array([treatments[name]["priority"] for name in rows["treatment"].to_pylist()], pa.int64())
    rows = with_texts(rows, plan).append_column("order", order)
    rows = rows.sort_by(
        [("order", "ascending"), ("expected_gain", "descending"), ("customer_id", "ascending")]
    )
    has_products = rows["product_id"].null_count < rows.num_rows
    return rows.select([name for name in COLUMNS if name != "product_id" or has_products])


def _defused(table: pa.Table) -> pa.Table:
    """Put an apostrophe before what a spreadsheet would take for a formula; plain numbers are none."""
    for place, field in enumerate(table.schema):
        if field.type == pa.string():
            texts = table[field.name]
            is_formula = pc.and_not(
                pc.match_substring_regex(texts, FORMULA), pc.match_substring_regex(texts, NUMBER)
            )
            told = pc.if_else(is_formula, pc.binary_join_element_wise("'", texts, ""), texts)
            table = table.set_column(place, field.name, told)
    return table
