"""Whether a bundle answers what a configuration asks."""

from features.configuration import Configuration
from features.forecast_settings import ForecastSettings
from features.protected import protected_attributes
from models.bundle import Bundle

ASKED = ("setting", "currency", "time_zone")


def disagreement(bundle: Bundle, configuration: Configuration) -> str | None:
    """Tell the first setting that is another than the bundle was trained with; null when none is."""
    project, forecast = configuration.project, configuration.section("forecast", ForecastSettings)
    wanted = {f"project.{key}": getattr(project, key) for key in ASKED}
    wanted |= {f"forecast.{key}": value for key, value in forecast.question.items()}
    if "value" in bundle.training:
        wanted["forecast.value"] = forecast.value
    for key, value in wanted.items():
        trained = bundle.training[key.partition(".")[2]]
        if trained != value:
            return f"was trained with {key} = {trained!r}, and the configuration says {value!r}"
    for name in protected_attributes(configuration):
        if name in bundle.plan().attribute_names:
            return f"forecasts from {name!r}, which is protected by tiers.fairness.attributes"
    return None
