"""The front door: the command line, one thin command per job."""

import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from features.configuration import Configuration
from features.errors import InputError
from features.faults import check_writable, sentence
from features.instants import parse_as_of

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
models_app = typer.Typer(help="The registered models.", no_args_is_help=True)
app.add_typer(models_app, name="models")
# Where no terminal says how wide it is, tables have room.
console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 140)
complaints = Console(stderr=True, soft_wrap=True, highlight=False)
logger = logging.getLogger("tierwise")

File = Annotated[Path, typer.Option("-c", "--configuration", help="The project's tierwise.toml.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a key: forecast.horizon_days=180.", metavar="KEY=VALUE"),
]
AsOf = Annotated[str | None, typer.Option("--as-of", help="The cutoff: a date or time, UTC.", metavar="D")]
HERE = Path("tierwise.toml")


@app.callback()
def door(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of what fails.")] = False,
) -> None:
    """Which customers will come back, what each is worth, and why: from your own order lines."""
    logger.setLevel(logging.DEBUG if debug else logging.INFO)


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="The folder for the shop and its workspace.")] = Path("demo"),
) -> None:
    """Simulate a shop, then check, train and score it, end to end."""
    from serving.scores_file import head
    from training.shop import simulate_shop

    shop = simulate_shop()
    shop.write(folder)
    file, out = folder / "tierwise.toml", folder / "scores.parquet"
    as_of = f"{shop.end:%Y-%m-%d}"
    console.rule(
        f"a simulated shop in {folder}: {len(shop.customers):,} customers, {len(shop.orders):,} order lines"
    )
    check(file)
    console.rule("train")
    train(file, as_of=as_of)
    console.rule("score")
    score(file, as_of=as_of, out=out)
    console.print(head(out))
    more = f"next: tierwise report, plan, effects or serve -c {file}\nor your own data:"
    console.print(f"data, configuration and workspace: {folder}\nscores: {out}\n{more}", highlight=False)
    jobs = ("check", "train", "score --out scores.parquet", "report", "plan", "effects", "serve")
    for command in ("init shop orders.csv", *(f"{job} -c shop/tierwise.toml" for job in jobs)):
        console.print(f"  tierwise {command}", highlight=False)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="The folder for the new tierwise.toml.")],
    files: Annotated[list[Path] | None, typer.Argument(help="Files of order lines.")] = None,
) -> None:
    """Write a commented tierwise.toml to start from, its columns guessed from the files given."""
    from features.template import write_template

    written = write_template(folder, files or [])
    typer.echo(f"wrote {written}; look it over, then: tierwise check -c {written}")


@app.command()
def check(c: File = HERE, overrides: Overrides = None, as_of: AsOf = None) -> None:
    """Read the sources, print the data-quality report and advise on the horizon."""
    from training.look import look

    seen = look(_configuration(c, overrides), as_of=parse_as_of(as_of) if as_of else None)
    for table in seen.tables:
        console.print(table)
    typer.echo("\n".join(seen.lines))


@app.command()
def train(c: File = HERE, overrides: Overrides = None, as_of: AsOf = None) -> None:
    """Take snapshots, judge all models on held-out periods, fit, register; the best becomes champion."""
    from serving.store import open_store
    from training.scoreboard import render
    from training.train import train as run_training

    configuration, instant = _configuration(c, overrides), parse_as_of(as_of) if as_of else None
    with open_store(configuration) as store:
        planned = store.plans.log()
    done = run_training(configuration, as_of=instant, planned=planned, progress=logger.info)
    if done.evaluation is not None:
        console.print(render(done.evaluation))
    typer.echo(
        f"version {done.version.version} ({done.facts['model']}, {done.facts['customers']:,} customers, "
        f"{done.facts['labelled_rows']:,} labelled rows) is {done.verdict.alias}: {done.verdict.reason}"
    )
    for remark in done.remarks():
        typer.echo(remark)


@app.command()
def backtest(c: File = HERE, overrides: Overrides = None, as_of: AsOf = None) -> None:
    """Judge the model and every baseline at rolling origins: a table, a page with plots, and MLflow."""
    from training.backtest import backtest as run
    from training.backtest_tables import shown

    report = run(
        _configuration(c, overrides), as_of=parse_as_of(as_of) if as_of else None, progress=logger.info
    )
    console.print(shown(report.done))
    typer.echo(f"the page: {report.page}")


@app.command()
def score(  # noqa: PLR0913, PLR0917 - an option each
    c: File = HERE,
    overrides: Overrides = None,
    as_of: AsOf = None,
    out: Annotated[Path | None, typer.Option(help="Also write the scores to this Parquet file.")] = None,
    curves: Annotated[
        Path | None, typer.Option(help="Forecasts by other days, to this Parquet file.")
    ] = None,
    lost: Annotated[Path | None, typer.Option(help="Who left, and why, to this Parquet file.")] = None,
    allow_stale: Annotated[bool, typer.Option("--allow-stale", help="Score though data look late.")] = False,
) -> None:
    """Score everybody known at one as_of (default: now) and publish the run."""
    from models.bundle import Bundle
    from serving.scoring import ScoringJob
    from serving.store import open_store
    from training.train import registry_of

    configuration = _configuration(c, overrides)
    instant = parse_as_of(as_of) if as_of else datetime.now(UTC)
    for option, file in (("--out", out), ("--curves", curves), ("--lost", lost)):
        check_writable(option, file)
    registry = registry_of(configuration)
    champion = registry.find("champion")
    bundle = Bundle.read(registry.fetch(champion.version))
    with open_store(configuration) as store:
        job = ScoringJob(configuration, bundle, str(champion.version), store)
        run = job.run(as_of=instant, out=out, curves=curves, lost=lost, allow_stale=allow_stale)
    typer.echo(f"run {run.run_id}: {run.customers:,} customers as of {run.as_of:%Y-%m-%d %H:%M} UTC")


@app.command()
def plan(
    c: File = HERE,
    overrides: Overrides = None,
    as_of: AsOf = None,
    out: Annotated[Path | None, typer.Option(help="Also write the plan to this Parquet file.")] = None,
) -> None:
    """Choose what is done for each customer of the latest run, or of the one at D, within the budget."""
    from models.bundle import Bundle
    from serving.hand_outs import hand_out
    from serving.plan import PlanJob, planned_run
    from serving.plan_file import remarks, shown
    from serving.store import open_store
    from training.effects import measure
    from training.train import registry_of

    configuration = _configuration(c, overrides)
    check_writable("--out", out)
    with open_store(configuration) as store:
        run = planned_run(store, parse_as_of(as_of) if as_of else None)
        bundle = Bundle.read(registry_of(configuration).fetch(int(run.model_version)))
        done = PlanJob(configuration, bundle, store, run, measure).make(progress=logger.info)
        workspace = configuration.project.workspace
        totals = store.plans.totals(done.plan_id)
        handed = hand_out(store.plans, done, out=out, workspace=workspace)
    for table in shown(done, totals, currency=configuration.project.currency):
        console.print(table)
    for line in (*remarks(done), *(f"{n:,} customers: {workspace / name}" for name, n in handed.items())):
        typer.echo(line)


@app.command()
def effects(c: File = HERE, overrides: Overrides = None) -> None:
    """Tell what the treatments achieved, by treatment, tier and stage, and whether they paid."""
    from serving.report import on_treatments
    from serving.store import open_store
    from training.effects import effects as measured
    from training.effects_tables import render

    configuration = _configuration(c, overrides)
    with open_store(configuration) as store:
        done = on_treatments(store)
    console.print(render(measured(configuration, **done, progress=logger.info)))


@app.command()
def serve(
    c: File = HERE,
    overrides: Overrides = None,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen at.")] = 3000,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Serve other machines without a token.")
    ] = False,
) -> None:
    """Serve the champion and the published scores over HTTP."""
    from serving.server import serve as start
    from serving.settings import ServingSettings, store_of
    from training.train import registry_of

    configuration = _configuration(c, overrides)
    registry = registry_of(configuration)
    champion = registry.find("champion")
    start(
        registry.fetch(champion.version),
        model_version=str(champion.version),
        store=store_of(configuration),
        language=configuration.section("serving", ServingSettings).language,
        workspace=configuration.project.workspace,
        host=host,
        port=port,
        insecure=insecure,
    )


@app.command()
def report(c: File = HERE, overrides: Overrides = None) -> None:
    """Write the page about the latest run: tiers, moves, whom to save, whom to win back, data and model."""
    from serving.report import on_record
    from serving.settings import ServingSettings
    from serving.store import open_store
    from training.gathering import Record, write_report

    configuration = _configuration(c, overrides)
    with open_store(configuration) as store:
        record = Record(**on_record(store))
    language = configuration.section("serving", ServingSettings).language
    typer.echo(f"the page: {write_report(configuration, record, language=language, progress=logger.info)}")


@models_app.command("list")
def list_models(c: File = HERE, overrides: Overrides = None) -> None:
    """List the registered versions."""
    from training.train import registry_of
    from training.versions import render as render_versions

    console.print(render_versions(registry_of(_configuration(c, overrides)).versions()))


@models_app.command()
def promote(version: int, c: File = HERE, overrides: Overrides = None) -> None:
    """Make a version the champion."""
    from training.train import registry_of

    registry_of(_configuration(c, overrides)).promote(version)
    typer.echo(f"version {version} is champion")


@models_app.command()
def rollback(c: File = HERE, overrides: Overrides = None) -> None:
    """Bring the previous champion back."""
    from training.train import registry_of

    champion = registry_of(_configuration(c, overrides)).rollback()
    typer.echo(f"version {champion.version} is champion again")


def main() -> None:
    """Run the command line: exit code 0 when done, 1 when it failed, 2 when the input is wrong."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logger.setLevel(logging.INFO)
    try:
        app()
    except Exception as error:
        logger.debug("it failed", exc_info=True)
        complaints.print(f"tierwise: {sentence(error)}", markup=False)
        sys.exit(2 if isinstance(error, InputError) else 1)


def _configuration(file: Path, overrides: list[str] | None) -> Configuration:
    from serving.project_file import read_configuration

    return read_configuration(file, overrides or ())


if __name__ == "__main__":
    main()
