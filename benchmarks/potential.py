"""How well those below the top fifth who will spend like it are told, beside the next highest spenders.

The potential is taught on what was known at the `as_of`, with default settings, and judged by what the
customers then did. Prints a Markdown table.
"""

from accuracy import CASES, TRUTH, Case, shop
from public_data import data_folder

from features.forecast_settings import ForecastSettings
from training.history import History
from training.potential import IMPLIED, SPENDERS, TAUGHT, PotentialTrial, measured
from training.recipes import TREES, recipes

TITLES = {"auc": "AUC", "log_loss": "log loss", "calibration_error": "calibration error", "lift": "lift"}
NET = "net of refunds"


def main() -> None:
    """Judge every shop."""
    data = data_folder(__doc__, holds="online_retail_ii and cdnow")
    print(f"| shop | customers | reached it | model | {' | '.join(TITLES.values())} |")
    print(f"| --- | ---: | ---: | --- | {' | '.join(['---:'] * len(TITLES))} |")
    for case in CASES:
        if NET not in case.title:
            with shop(case, data) as history:
                report(case, history)


def report(case: Case, history: History) -> None:
    """Print the rows of one shop."""
    trial = PotentialTrial(history, TRUTH, 0)
    forecaster = recipes(ForecastSettings(horizon_days=case.horizon_days), seed=0)[TREES]
    forecaster.fit(*history.lesson(case.as_of, share=history.share(case.as_of)))
    trial.watch(case.as_of, TREES, forecaster)
    evaluation = trial.evaluation()
    assert evaluation is not None  # noqa: S101 - some reach it
    about = f"{case.title.split(',')[0]}, {case.as_of:%Y-%m-%d}, {case.horizon_days} days"
    rows = f"{about} | {evaluation.customers:,} | {trial.reached:.1%}"
    for model in (TAUGHT, IMPLIED, SPENDERS):
        told = measured(evaluation, model)
        cells = [f"{told[name]:.3f}" if name in told else "" for name in TITLES]
        print(f"| {rows} | {model} | {' | '.join(cells)} |", flush=True)
        rows = " | | "


if __name__ == "__main__":
    main()
