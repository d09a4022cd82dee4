"""Whether a bundle answers what a configuration asks."""

from features.configuration import Configuration
from features.forecast_settings import ForecastSettings
from models.bundle import Bundle

ASKED = ("setting", "currency", "time_zone")


def disagreement(bundle: Bundle, configuration: Configuration) -> str | None:
    """Tell the first setting that a bundle was trained with and that is another now; null when none is."""
    project, forecast = configuration.project, configuration.section("forecast", ForecastSettings)
    wanted = {f"project.{key}": getattr(project, key) for key in ASKED}
    wanted |= {f"forecast.{key}": value for key, value in forecast.question.items()}
    if "value" in bundle.training:
        wanted["forecast.value"] = forecast.value
    for key, value in wanted.items():
        trained = bundle.training[key.partition(".")[2]]
        if trained != value:
            return f"was trained with {key} = {trained!r}, and the configuration says {value!r}"
    return None
