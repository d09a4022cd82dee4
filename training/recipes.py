"""The forecasters that a training tries, each by the name that tables show."""

from features.forecast_settings import ForecastSettings
from models.baselines import OwnRate, RecencyRule
from models.estimator import ForecastEstimator
from models.purchase_forecaster import PurchaseForecaster
from models.tree_forecaster import TreeForecaster

TREES = "trees + process"
PROCESS_ALONE = "Pareto/NBD"
"""What is used where the history is too short for snapshots."""


def recipes(settings: ForecastSettings, *, seed: int) -> dict[str, ForecastEstimator]:
    """Return unfitted forecasters by name, the most capable first."""
    about = settings.model_dump()
    return {
        TREES: TreeForecaster(**about, seed=seed),
        PROCESS_ALONE: PurchaseForecaster(**about, process="pareto_nbd"),
        "BG/NBD": PurchaseForecaster(**about, process="bg_nbd"),
        "own past rate": OwnRate(**about),
        "recency rule": RecencyRule(**about),
    }
