"""The levels and flows of a tier policy, and what must be true of them together."""

from collections.abc import Sequence
from dataclasses import dataclass

from features.configuration import nearest
from features.errors import InputError
from models.clauses import Fixed
from models.conditions import Condition
from models.tier_coverage import Tier, check_flow, check_tiers


@dataclass(frozen=True)
class TierLevel:
    """A tier and its condition, null for the one that takes everybody who is left."""

    name: str
    when: Condition | None


@dataclass(frozen=True)
class TierFlow:
    """A rule that puts a customer into a tier at once."""

    tier: str
    when: Condition
    reason: str


def check_policy(levels: Sequence[TierLevel], flows: Sequence[TierFlow]) -> None:
    """Check that names differ, each tier can be reached, nobody is left and each flow leads to a tier.

    Parameters
    ----------
    levels
        Best first.

    Raises
    ------
    InputError
        One of these is not so.
    """
    names = [level.name for level in levels]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise InputError(
                f"tiers.levels.{number}.name = {name!r} stands twice; give each tier its own name"
            )
    everybody = Fixed(is_true=True)
    check_tiers(
        [
            Tier(level.name, f"tiers.levels.{number}", level.when.clause if level.when else everybody)
            for number, level in enumerate(levels)
        ]
    )
    for number, flow in enumerate(flows):
        if flow.tier not in names:
            raise InputError(
                f"tiers.flows.{number}.tier: there is no tier {flow.tier!r}; {nearest(flow.tier, names)}"
            )
        check_flow(Tier(flow.tier, f"tiers.flows.{number}.when", flow.when.clause))
