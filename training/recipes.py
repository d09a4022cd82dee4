"""The forecasters that a training tries, each by the name that tables show."""

from features.forecast_settings import ForecastSettings
from models.baselines import OwnRate, RecencyRule
from models.estimator import ForecastEstimator
from models.plain_trees import PlainTrees
from models.purchase_forecaster import PurchaseForecaster
from models.tree_forecaster import TreeForecaster

TREES = "trees + process"


def recipes(settings: ForecastSettings, *, seed: int) -> dict[str, ForecastEstimator]:
    """Return unfitted forecasters by name, the most capable first."""
    about = settings.question
    return {
        TREES: TreeForecaster(**about, **settings.capacity, seed=seed),
        "Pareto/NBD": PurchaseForecaster(**about, process="pareto_nbd"),
        "BG/NBD": PurchaseForecaster(**about, process="bg_nbd"),
        "own past rate": OwnRate(**about),
        "recency rule": RecencyRule(**about),
    }


def contestants(settings: ForecastSettings, *, seed: int) -> dict[str, ForecastEstimator]:
    """Return the recipes, and what is only compared with them."""
    return recipes(settings, seed=seed) | {"LightGBM on RFM": PlainTrees(**settings.question)}
