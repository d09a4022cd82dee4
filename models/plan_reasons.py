"""Why each customer gets a treatment, or nothing, in words."""

from collections.abc import Mapping

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
MOSTLY = 0.99
"""The weight of what was measured from which no word is lost on what was assumed."""


class PlanReasons:
    """The sentences of one plan.

    Parameters
    ----------
    language
        One of `models.wording.LANGUAGES`.
    """

    def __init__(self, proposal: Proposal, *, language: str) -> None:
        self._words: Mapping[str, str] = TABLE["plans"][language]
        self._arms, self._playbooks = proposal.arms, proposal.playbooks
        self._expected, self._decisions = proposal.expected, proposal.decisions
        losing = self._expected.losing
        self._is_losing = np.array([playbook.name in losing for playbook in self._playbooks])
        self._sources = [self._source(self._expected.trust[playbook.name]) for playbook in self._playbooks]

    def told(self, closed: Mapping[str, tuple[str, str]]) -> NDArray[np.object_]:
        """Say why of everybody.

        Parameters
        ----------
        closed
            By customer_id the first rule of `CLOSES` that closes treatments, and the names of these.

        Returns
        -------
        One sentence per customer, of shape (n,).
        """
        sentences = np.empty(len(self._arms.customer_ids), dtype=object)
        sentences[:] = [
            self._treated(row, arm) if arm != NO_ARM else self._left(row, closed)
            for row, arm in enumerate(self._decisions.arm.tolist())
        ]
        return sentences

    def _source(self, trust: float) -> str:
        if trust == 0:
            return self._words["assumed"]
        return self._words["measured"] if trust > MOSTLY else self._words["mixed"].format(trust=trust)

    def _treated(self, row: int, arm: int) -> str:
        return self._words[self._rule(row)].format(
            why=self._playbooks[arm].occasion, gain=self._expected.gain[row, arm], source=self._sources[arm]
        )

    def _rule(self, row: int) -> str:
        decisions = self._decisions
        if decisions.is_duty[row]:
            return "duty"
        if decisions.is_explored[row]:
            return "explored"
        return "held_out" if decisions.is_holdout[row] else "chosen"

    def _left(self, row: int, closed: Mapping[str, tuple[str, str]]) -> str:
        worth = float(self._decisions.worth[row])
        if worth > 0:
            return self._words["beaten"].format(worth=worth)
        if worth > -np.inf:
            return self._words["not_worth"].format(loss=abs(worth))
        if (is_open := self._arms.is_open[row]).any():
            return self._words["losing" if (is_open & self._is_losing).any() else "unknown"]
        rule, treatments = closed.get(self._arms.customer_ids[row], ("nobody", ""))
        return self._words[rule].format(treatments=treatments)
