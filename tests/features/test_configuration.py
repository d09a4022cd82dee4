from pathlib import Path

import pytest
from pydantic import Field

from features.configuration import Configuration, Section, nearest
from features.errors import InputError


class Forecast(Section):
    horizon_days: int = Field(default=90, ge=1)
    discount_rate: float = 0.1
    label: str = ""
    extra: dict[str, str] = Field(default_factory=dict)


def read(tmp_path: Path, text: str, *overrides: str, **environ: str) -> Configuration:
    file = tmp_path / "tierwise.toml"
    file.write_text(text, "utf-8")
    return Configuration.read(file, overrides, environ)


def test_what_is_not_written_has_its_default(tmp_path: Path) -> None:
    configuration = read(tmp_path, "")
    assert configuration.section("forecast", Forecast) == Forecast()
    assert (configuration.project.setting, configuration.project.time_zone) == ("transactional", "UTC")


def test_the_workspace_is_relative_to_the_file(tmp_path: Path) -> None:
    assert read(tmp_path, '[project]\nworkspace = "../w"').project.workspace == tmp_path.parent / "w"


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    text = "[forecast]\nhorizon_days = 30\ndiscount_rate = 0.3\nlabel = 'a'"
    environ = {
        "tierwise_Forecast__Horizon_Days": "60",
        "TIERWISE_FORECAST__LABEL": "b",
        "TIERWISE_HOME": "/x",
    }
    configuration = read(tmp_path, text, "forecast.horizon_days=180", **environ)
    assert configuration.section("forecast", Forecast) == Forecast(
        horizon_days=180, discount_rate=0.3, label="b"
    )


def test_an_override_of_text_may_look_like_a_number(tmp_path: Path) -> None:
    configuration = read(tmp_path, "", "forecast.label=007", "forecast.extra.a=1", TIERWISE_PROJECT__NAME="7")
    assert configuration.section("forecast", Forecast) == Forecast(label="007", extra={"a": "1"})
    assert configuration.project.name == "7"


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    assert read(tmp_path, '\ufeff[project]\nname = "店"').project.name == "店"


@pytest.mark.parametrize(
    ("text", "override", "message"),
    [
        ("[forecats]", "forecast.label=a", r"no table \[forecats\]; did you mean 'forecast'\?"),
        (
            "[forecast]\nhorizon = 3",
            "forecast.label=a",
            r"no key forecast.horizon; did you mean 'horizon_days'\?",
        ),
        (
            "[forecast]\nhorizon_days = '3'",
            "forecast.label=a",
            "forecast.horizon_days = '3' should be a valid integer",
        ),
        ("[forecast]\nhorizon_days = true", "forecast.label=a", "forecast.horizon_days = True"),
        ("", "forecast.horizon_days=0", "forecast.horizon_days = 0 should be greater than or equal to 1"),
        ("", "horizon=0", "--set 'horizon=0' is not table.key=value"),
        ("", "forecast.horizon_days", "is not table.key=value"),
        ("[forecast]\nlabel = 'a'", "forecast.label.b=1", "'label' is a value, not a table"),
        ("[forecast\n", "forecast.label=a", "is not TOML: .*line 1"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_its_remedy(
    tmp_path: Path, text: str, override: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, text, override).section("forecast", Forecast)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("time_zone", "Mars/Olympus", "time_zone = 'Mars/Olympus' is not a time zone"),
        ("setting", "casual", "project.setting = 'casual'"),
        ("currency", "euro", "project.currency = 'euro'"),
    ],
)
def test_a_wrong_project_setting_is_named(tmp_path: Path, key: str, value: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        _ = read(tmp_path, f"[project]\n{key} = '{value}'").project


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no configuration file .*nothing\.toml; name one with -c"):
        Configuration.read(tmp_path / "nothing.toml")


def test_of_many_known_names_none_of_them_near_some_are_listed() -> None:
    assert nearest("spend", ["spent", "orders"]) == "did you mean 'spent'?"
    assert nearest("xyz", ["b", "a"]) == "known are a, b"
    told = nearest("xyz", [f"spend_{number:02d}" for number in range(40)])
    assert told.endswith("spend_19 and 20 more")
