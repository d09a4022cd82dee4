"""What the documents show of tiers is what the code does."""

import re
from pathlib import Path

import pytest

from features.configuration import Configuration
from features.contract import Kind
from features.errors import InputError
from features.tier_settings import TierSettings, default_levels
from models.placement import CLASS_KINDS
from models.tiers import TierPolicy

ROOT = Path(__file__).parents[1]
COLUMNS = dict.fromkeys(("clv", "potential_score", "spend_30d", "spend_365d"), Kind.NUMBER) | CLASS_KINDS
LOW = '[[tiers.levels]]\nname = "low"\n'


def settings_of(text: str, folder: Path) -> TierSettings:
    (folder / "tierwise.toml").write_text(text, "utf-8")
    return Configuration.read(folder / "tierwise.toml", environ={}).section("tiers", TierSettings)


def policy_of(text: str, folder: Path) -> TierPolicy:
    return TierPolicy.of(settings_of(text, folder), setting="transactional", columns=COLUMNS)


def blocks(document: str) -> list[str]:
    found = re.findall(r"```toml\n(.*?)```", (ROOT / document).read_text("utf-8"), re.DOTALL)
    return [block for block in found if "tiers" in block]


@pytest.mark.parametrize(
    "block",
    [pytest.param(each, id=name) for name in ("README.md", "docs/standing.md") for each in blocks(name)],
)
def test_every_policy_in_the_documents_is_one(block: str, tmp_path: Path) -> None:
    assert policy_of(block, tmp_path).names


def test_the_defaults_are_those_of_a_company_that_names_none(tmp_path: Path) -> None:
    told = settings_of(blocks("docs/standing.md")[0], tmp_path)
    levels = default_levels("transactional", None, tuple(COLUMNS))
    assert told == TierSettings(levels=levels)


@pytest.mark.parametrize(
    "levels",
    [
        pytest.param({"high": "clv > 1000", "middle": "clv > 2000"}, id="unreachable"),
        pytest.param({"high": "clv > 1000", "low": "clv <= 1000"}, id="nobody's"),
        pytest.param({"high": "clvv > 1000"}, id="unknown-column"),
        pytest.param({"high": "lifecycle_stage = 'etablished'"}, id="unknown-stage"),
    ],
)
def test_every_error_in_the_documents_is_said_so(levels: dict[str, str], tmp_path: Path) -> None:
    text = "".join(f'[[tiers.levels]]\nname = "{name}"\nwhen = "{when}"\n' for name, when in levels.items())
    with pytest.raises(InputError) as raised:
        policy_of(text if "low" in levels else text + LOW, tmp_path)
    assert str(raised.value) in (ROOT / "docs/standing.md").read_text("utf-8").splitlines()
