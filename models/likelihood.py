"""Maximum likelihood over positive parameters: several starts, checked convergence, always an answer."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logit
from threadpoolctl import ThreadpoolController

Vector = NDArray[np.float64]
Rows = tuple[Vector, ...]
Terms = Callable[[Vector, Rows], tuple[Vector, Vector]]
CERTAIN = 1e-6
"""Chances are kept so far from 0 and 1 before their log-odds are taken."""

# Standard deviations of the normal prior on each log parameter around its usual value. The weak one moves the
# fits to 2,357 CDNOW customers by less than a thousandth; the strong one decides where the data cannot.
WEAK = 30.0
STRONG = 1.0
FEW = 50  # informative customers: about where, on draws from CDNOW, the strong prior stops helping Pareto/NBD
REACH = 8.0  # how far, in logs, a parameter may go from its usual value
EDGE = 0.5  # nearer than this to the end of its reach, a parameter counts as having run away
FLAT = 1e-5  # the largest slope per customer at which a fit counts as converged
THINNED = 2_000  # rows on which the starts compete
STARTS = ((0.0, 0.0), (-1.5, 0.0), (0.0, -1.5), (1.0, 1.0))  # shifts of the first and the second half
THREADS = ThreadpoolController()  # looked up once: that takes as long as half a climb


def log_odds(probability: Vector) -> Vector:
    """Return the log-odds of probabilities, of the same shape."""
    return np.asarray(logit(np.minimum(np.maximum(probability, CERTAIN), 1 - CERTAIN)))


@dataclass(frozen=True)
class Maximum:
    """The most likely parameters, and a note where they had to be helped (empty otherwise)."""

    parameters: Vector
    note: str


@dataclass(frozen=True)
class _Climb:
    logs: Vector
    loss: float
    converged: bool
    inside: bool


def distinct(*columns: Vector) -> tuple[Rows, Vector]:
    """Sort rows, merge equal ones and count them.

    Parameters
    ----------
    columns
        Arrays of shape (n,), at least one.

    Returns
    -------
    The columns of the m distinct rows, each of shape (m,), and how often each row occurs, of shape (m,).
    """
    order = np.lexsort(columns[::-1])
    table = np.stack([np.asarray(column, dtype=np.float64)[order] for column in columns])
    changes = (np.diff(table, axis=1) != 0).any(axis=0)
    firsts = np.flatnonzero(np.concatenate([np.ones(min(order.size, 1), dtype=bool), changes]))
    counts = np.diff(np.append(firsts, order.size)).astype(np.float64)
    return tuple(table[:, firsts]), counts


def maximise(
    terms: Terms,
    rows: Rows,
    weights: Vector,
    *,
    usual: Vector,
    informative: float,
    near: Vector | None = None,
) -> Maximum:
    """Find the positive parameters that make weighted rows most likely.

    Several starts compete on at most 2,000 of the rows; the best one climbs on all of them. Where that does
    not converge, or a parameter runs away (as with customers who are all alike), or fewer than 50
    customers inform the fit, a prior pulls every parameter towards its usual value, and the note says so.

    Parameters
    ----------
    terms
        Gives, for k parameters and the columns of m rows, the log likelihood of each row, of shape (m,), and
        its slope in each parameter, of shape (k, m).
    rows
        Columns of shape (m,).
    weights
        How often each row occurs, of shape (m,).
    usual
        A usual value of each parameter, of shape (k,); scaled with the data, it makes the fit equivariant.
    informative
        Customers who say something about the parameters, such as those with a repeat order.
    near
        Parameters fitted to similar rows, of shape (k,): where a climb from there arrives, it is the answer.
    """
    if weights.size == 0:
        return Maximum(usual, "there is nothing to fit: the parameters are usual values")
    if near is not None and informative >= FEW:
        short = _climb(terms, rows, weights, usual, WEAK, np.log(near))
        if short.converged and short.inside:
            return Maximum(np.exp(short.logs), "")
    step = -(-weights.size // THINNED)
    thinned = tuple(column[::step] for column in rows)
    half = usual.size // 2
    for spread in (WEAK, STRONG) if informative >= FEW else (STRONG,):
        starts = [np.log(usual) + np.repeat(shift, (half, usual.size - half)) for shift in STARTS]
        races = [_climb(terms, thinned, weights[::step], usual, spread, start) for start in starts]
        best = min(races, key=lambda race: race.loss)
        if step > 1:
            best = _climb(terms, rows, weights, usual, spread, best.logs)
        if best.converged and best.inside:
            break
    return Maximum(np.exp(best.logs), _note(best, spread, informative))


def _climb(terms: Terms, rows: Rows, weights: Vector, usual: Vector, spread: float, start: Vector) -> _Climb:
    centre, total = np.log(usual), float(weights.sum())

    def loss(logs: Vector) -> tuple[float, Vector]:
        parameters = np.exp(logs)
        likelihood, slopes = terms(parameters, rows)
        pull = (logs - centre) / spread**2
        value = 0.5 * pull @ (logs - centre) - weights @ likelihood
        return float(value) / total, (pull - parameters * (slopes @ weights)) / total

    limits = list(zip(centre - REACH, centre + REACH, strict=True))
    with THREADS.limit(limits=1, user_api="blas"):  # its threads take longer to wake than these sums take
        found = minimize(
            loss,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=limits,
            options={"maxiter": 500, "ftol": 1e-13, "gtol": FLAT / 100},
        )
    return _Climb(
        logs=found.x,
        loss=float(found.fun),
        converged=bool(np.isfinite(found.fun) and np.abs(found.jac).max() < FLAT),
        inside=bool(np.abs(found.x - centre).max() < REACH - EDGE),
    )


def _note(climb: _Climb, spread: float, informative: float) -> str:
    if not (climb.converged and climb.inside):
        return "the likelihood has no clear maximum: the parameters are the best of several bounded attempts"
    if spread == WEAK:
        return ""
    if informative < FEW:
        return f"too few customers ({informative:.0f}) inform the fit: a prior pulls it to usual values"
    return "the data do not determine every parameter: a prior pulls them to usual values"
