"""The plan: who gets which treatment, what chance decides, and what it is expected to cost and gain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from features.treatment_settings import PlanSettings
from models.allocation import allocate
from models.arms import Arms
from models.beliefs import Belief, Past, believed, carried
from models.draws import APART, Draws, unit, untied
from models.effects import Effect
from models.likelihood import Vector
from models.playbooks import Playbook
from models.relaxation import NO_ARM, Limit
from models.uplift import Uplift

BUDGET = "budget"
LOSS = float(norm.ppf(0.975))
"""Standard errors: a treatment whose net gain lies below zero by so many is planned no more."""


@dataclass(frozen=True)
class Expectations:
    """What each treatment is expected to cost and to add, for n customers and k treatments.

    Parameters
    ----------
    cost, effect, sd
        In the project's currency, of shape (n, k); NaN where closed. ``sd`` is that of the effect; both are
        NaN where nothing is known of it, and the cost is then that of an effect of 0.
    kept
        The share of an added value that is left after the playbook's share of costs, of shape (k,).
    trust
        By treatment the weight of what was measured, from 0 (all is assumed) to 1.
    losing
        The treatments that were measured not to pay.
    """

    cost: Vector
    effect: Vector
    sd: Vector
    kept: Vector
    trust: Mapping[str, float]
    losing: tuple[str, ...]

    @property
    def gain(self) -> Vector:
        """The effect less the cost, of shape (n, k)."""
        return self.effect - self.cost


@dataclass(frozen=True)
class LimitUse:
    """How much of a limit is `used`, the `most` that there is, in its own unit, and the `price`.

    The price is what one more unit of it would gain; 0 where there is enough.
    """

    used: float
    most: float
    price: float


@dataclass(frozen=True)
class Decisions:
    """What is decided about n customers.

    Parameters
    ----------
    arm
        The intended treatment, of shape (n,), -1 for nothing: what is done, or withheld from those held out.
    is_duty, is_holdout, is_explored
        Why it is as it is, each of shape (n,): explored is who got another treatment by chance than would
        have been chosen.
    propensity
        The probability of what is done, of shape (n,).
    is_candidate
        The treatments that had a chance to be done where chance decided, of shape (n, k).
    worth
        The best gain that any open treatment would bring, of shape (n,); NaN where none is known.
    limits
        How far each limit is used, by its name.
    bound, achieved
        The most that any plan for those left to choose for could gain, and what this one does.
    """

    arm: NDArray[np.int64]
    is_duty: NDArray[np.bool_]
    is_holdout: NDArray[np.bool_]
    is_explored: NDArray[np.bool_]
    propensity: Vector
    is_candidate: NDArray[np.bool_]
    worth: Vector
    limits: Mapping[str, LimitUse]
    bound: float
    achieved: float


@dataclass(frozen=True)
class Proposal:
    """A plan for n customers and k treatments, and what it follows from."""

    playbooks: Sequence[Playbook]
    arms: Arms
    expected: Expectations
    decisions: Decisions

    def assumed(self, at: int) -> float | None:
        """Return the mean of what is assumed of whom a treatment is meant for; null where nothing is.

        Whom chance gave it is left out.
        """
        assumed = self.arms.effect[:, at]
        is_meant = (self.decisions.arm == at) & ~self.decisions.is_explored & np.isfinite(assumed)
        return float(assumed[is_meant].mean()) if is_meant.any() else None


def expect(
    arms: Arms,
    playbooks: Sequence[Playbook],
    effects: Mapping[str, Effect],
    uplifts: Mapping[str, Uplift],
    pasts: Mapping[str, Past],
) -> Expectations:
    """Say what each open treatment is expected to cost and to add.

    Parameters
    ----------
    effects
        What was measured, by treatment.
    uplifts
        By treatment what was learnt of every customer, where its effect differs beyond noise.
    pasts
        By treatment what was assumed of those that it was measured on, as far as that is known.
    """
    cost, effect, sd = (np.full(arms.effect.shape, np.nan) for _ in range(3))
    trust, losing = {}, []
    for at, playbook in enumerate(playbooks):
        rows = np.flatnonzero(arms.is_open[:, at])
        uplift = uplifts.get(playbook.name)
        measured = effects.get(playbook.name)
        belief = _believed(
            arms.effect[rows, at],
            arms.value[rows],
            measured,
            None if uplift is None else uplift.of(rows),
            past=pasts.get(playbook.name),
        )
        effect[rows, at], sd[rows, at] = belief.mean, belief.sd
        with_it = arms.value[rows] + np.nan_to_num(belief.mean)
        cost[rows, at] = playbook.cost + playbook.cost_share * with_it.clip(0)
        trust[playbook.name] = belief.trust
        if len(rows) and measured and measured.value + LOSS * measured.value_se < cost[rows, at].mean():
            losing.append(playbook.name)
    kept = np.array([1 - playbook.cost_share for playbook in playbooks])
    return Expectations(cost, effect, sd, kept, trust, tuple(losing))


def _believed(
    assumed: Vector, value: Vector, measured: Effect | None, uplift: Uplift | None, *, past: Past | None
) -> Belief:
    """Correct what is assumed of customers, NaN where nothing is, by what was measured.

    Of whom nothing is assumed the average of the others is. What was measured is carried over to these
    customers; where effects were measured to differ, each one's own, from what customers alike brought.
    """
    if measured is None or measured.reason is not None or not len(assumed):
        return believed(assumed)
    known = np.isfinite(assumed)
    assumed = np.where(known, assumed, assumed[known].mean() if known.any() else 0.0)
    if uplift is None:
        times = carried(assumed, value, past=past, held=measured.value_held)
        return believed(assumed, average=times * measured.value, error=times * measured.value_se)
    times = carried(assumed, value, past=None, held=float(uplift.untreated.mean()))
    effect = times * uplift.effect[:, 0]
    return believed(assumed, average=float(effect.mean()), error=times * measured.value_se, uplift=effect)


def decide(
    arms: Arms, playbooks: Sequence[Playbook], expected: Expectations, settings: PlanSettings, *, key: str
) -> Decisions:
    """Decide for everybody: duties first, then what chance gives, then what gains most within the limits.

    Parameters
    ----------
    key
        Of the draws: the plan's own.
    """
    limits = _limits(arms, playbooks, expected, settings)
    duties, after_duties = _duties(arms, playbooks, limits)
    is_duty = duties != NO_ARM
    is_open = _left_to_choose(arms, playbooks, expected) & ~is_duty[:, None]
    units = unit(arms.customer_ids, key)
    draws = Draws.of(units, is_open, after_duties, holdout=settings.holdout, explore=settings.explore)
    gain = np.where(is_open, expected.gain, -np.inf)
    parted = untied(gain * _precedence(playbooks), arms.customer_ids, key)
    allocation = allocate(parted, draws.left(after_duties), free=draws.free | is_duty)
    chosen = np.where(is_duty, duties, allocation.chosen)
    by_chance = draws.explored != NO_ARM
    arm = np.where(by_chance, draws.explored, chosen)
    is_holdout = draws.held & (arm != NO_ARM)
    return Decisions(
        arm=arm,
        is_duty=is_duty,
        is_holdout=is_holdout,
        is_explored=by_chance & (arm != chosen),
        propensity=draws.propensity(chosen),
        is_candidate=is_open & ((draws.shares > 0) | (chosen[:, None] == np.arange(len(playbooks)))),
        worth=np.where(np.isfinite(gain).any(axis=1), np.fmax.reduce(gain, axis=1), np.nan),
        limits=_used(limits, np.where(is_holdout, NO_ARM, arm), arms.channel.shape, allocation.prices),
        bound=allocation.bound,
        achieved=allocation.achieved,
    )


def _left_to_choose(arms: Arms, playbooks: Sequence[Playbook], expected: Expectations) -> NDArray[np.bool_]:
    """Tell which open treatments are chosen among: no duty, and none that loses."""
    left = [not playbook.duty and playbook.name not in expected.losing for playbook in playbooks]
    return np.asarray(arms.is_open & np.array(left, dtype=bool))


def _precedence(playbooks: Sequence[Playbook]) -> Vector:
    """Return factors of next to 1, higher for treatments that come first, so that of equal gains they win."""
    order = sorted({playbook.priority for playbook in playbooks})
    return np.array([1 - 2 * APART * order.index(playbook.priority) for playbook in playbooks])


def _limits(
    arms: Arms, playbooks: Sequence[Playbook], expected: Expectations, settings: PlanSettings
) -> list[Limit]:
    """List what there is not enough of: money, the channels' and the treatments' places."""
    limits = []
    if settings.budget is not None:
        limits.append(Limit(BUDGET, np.nan_to_num(expected.cost), settings.budget))
    for channel, most in settings.capacity.items():
        limits.append(Limit(f"channel {channel}", arms.channel == arms.channels.index(channel), most))
    for at, playbook in enumerate(playbooks):
        if playbook.capacity is not None:
            use = np.zeros((1, len(playbooks)), dtype=bool)
            use[0, at] = True
            limits.append(Limit(f"treatment {playbook.name}", use, playbook.capacity))
    return limits


def _used(
    limits: Sequence[Limit], done: NDArray[np.int64], shape: tuple[int, ...], prices: Vector
) -> dict[str, LimitUse]:
    """Tell how far what is done uses each limit."""
    rows = np.flatnonzero(done != NO_ARM)
    return {
        limit.name: LimitUse(
            float(np.broadcast_to(limit.use, shape)[rows, done[rows]].sum()), float(limit.most), float(price)
        )
        for limit, price in zip(limits, prices, strict=True)
    }


def _duties(
    arms: Arms, playbooks: Sequence[Playbook], limits: list[Limit]
) -> tuple[NDArray[np.int64], list[Limit]]:
    """Give everybody the first duty open to them, the most valuable customers first, as far as limits allow.

    Returns
    -------
    The arm of each customer, -1 for none, and the limits less what duties use.
    """
    chosen = np.full(len(arms.value), NO_ARM, dtype=np.int64)
    by_value = np.argsort(-arms.value, kind="stable")
    for at in sorted(range(len(playbooks)), key=lambda at: playbooks[at].priority):
        if not playbooks[at].duty:
            continue
        rows = by_value[arms.is_open[by_value, at] & (chosen[by_value] == NO_ARM)]
        uses = [np.broadcast_to(limit.use, arms.channel.shape)[rows, at].astype(float) for limit in limits]
        is_in = np.ones(len(rows), dtype=bool)
        for limit, use in zip(limits, uses, strict=True):
            is_in &= (use == 0) | (np.cumsum(use) <= limit.most)
        chosen[rows[is_in]] = at
        limits = [
            replace(limit, most=limit.most - float(use[is_in].sum()))
            for limit, use in zip(limits, uses, strict=True)
        ]
    return chosen, limits
