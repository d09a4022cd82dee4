"""Why each customer gets a treatment, or nothing, in words."""

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.planning import Proposal
from models.relaxation import NO_ARM
from models.wording import TABLE

CLOSES = (
    *("automated_opt_out", "opted_out", "open_complaint", "channel_opt_out", "frequency_cap", "cadence"),
    *("cooldown", "quiet"),
)
"""The rules that close treatments; of those that close some to a customer the first is told."""
NOBODY = "nobody"
"""The rule of those whom no treatment is meant for."""
MOSTLY = 0.99
"""The weight of what was measured from which no word is lost on what was assumed."""


class PlanReasons:
    """The sentences of one plan.

    Parameters
    ----------
    closed
        By customer_id the first rule of `CLOSES` that closes treatments, and the names of these.
    language
        One of `models.wording.LANGUAGES`.
    """

    def __init__(self, proposal: Proposal, closed: Mapping[str, tuple[str, str]], *, language: str) -> None:
        self._closed = closed
        self._words: Mapping[str, str] = TABLE["plans"][language]
        self._arms, self._playbooks = proposal.arms, proposal.playbooks
        self._expected, self._decisions = proposal.expected, proposal.decisions
        self._gain = self._expected.gain
        losing = self._expected.losing
        self._is_losing = np.array([playbook.name in losing for playbook in self._playbooks])
        self._sources = [self._source(self._expected.trust[playbook.name]) for playbook in self._playbooks]

    def told(self) -> NDArray[np.object_]:
        """Say why of everybody: one sentence per customer, of shape (n,)."""
        sentences = np.empty(len(self._arms.customer_ids), dtype=object)
        sentences[:] = [
            self._words[rule].format(**self._figures(row, arm))
            for row, (arm, rule) in enumerate(zip(self._decisions.arm.tolist(), self.rules, strict=True))
        ]
        return sentences

    @cached_property
    def rules(self) -> NDArray[np.object_]:
        """What decided about everybody: the key of their sentence, of shape (n,)."""
        decisions, worth = self._decisions, self._decisions.worth
        is_treated, is_open = decisions.arm != NO_ARM, self._arms.is_open
        decided = {
            "duty": decisions.is_duty,
            "explored": decisions.is_explored,
            "held_out": decisions.is_holdout,
            "chosen": is_treated,
            "beaten": worth > 0,
            "not_worth": worth <= 0,
            "losing": (is_open & self._is_losing).any(axis=1),
            "unknown": is_open.any(axis=1),
        }
        first = np.select(list(decided.values()), range(len(decided)), len(decided))
        rules: NDArray[np.object_] = np.array([*decided, NOBODY], dtype=object)[first]
        for row in np.flatnonzero(first == len(decided)):
            rules[row], _ = self._closed.get(self._arms.customer_ids[row], (NOBODY, ""))
        return rules

    def _source(self, trust: float) -> str:
        if trust == 0:
            return self._words["assumed"]
        return self._words["measured"] if trust > MOSTLY else self._words["mixed"].format(trust=trust)

    def _figures(self, row: int, arm: int) -> dict[str, object]:
        """Return what a sentence may tell of a customer."""
        if arm == NO_ARM:
            worth = float(self._decisions.worth[row])
            _, treatments = self._closed.get(self._arms.customer_ids[row], (NOBODY, ""))
            return {"worth": worth, "loss": abs(worth), "treatments": treatments}
        gain = self._gain[row, arm]
        return {"why": self._playbooks[arm].occasion, "gain": gain, "source": self._sources[arm]}
