"""Whom an e-mail moves, on Hillstrom's test (2008), beside what people use instead.

Every learner stands on the same 20 random halves, with default settings, and is judged on the other half by
inverse propensity; the outcome is a visit, and figures are visits per 1,000 customers. Then tests whose truth
is known: how often a difference is found, and the truth covered. Prints Markdown tables.
"""

import time
from collections.abc import Callable
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd
from public_data import data_folder
from scipy.stats import t as student
from threadpoolctl import threadpool_limits

from models.policy_value import RandomisedLog
from models.uplift import UpliftLearner

SPLITS = 20
ARMS = ("No E-Mail", "Mens E-Mail", "Womens E-Mail")
TIE = 0.045
"""The cost of an e-mail, in visits, at which mailing the women's to all and to none come to the same."""
COSTS = np.arange(2, 11) / 100
TESTS, ROWS, CHANCE = 200, 2_000, 0.8
"""Tests whose truth is known, the customers of each, and the chance of being treated."""
TREES = {"num_leaves": 6, "learning_rate": 0.03, "n_estimators": 120, "min_child_samples": 100, "n_jobs": 1}
Effects = Callable[[pd.DataFrame], np.ndarray]
Learn = Callable[[pd.DataFrame, np.ndarray, np.ndarray], Effects]


def main() -> None:
    """Judge every learner on one arm against none, and the policy of all three."""
    folder = data_folder(__doc__, holds="hillstrom")
    with threadpool_limits(1):
        features, visit, arm = read(folder / "hillstrom" / "hillstrom_data.csv")
        pair = arm != 1
        one_arm(features[pair], visit[pair], arm[pair] // 2)
        all_arms(features, visit, arm)
        known_truth()


def read(path: Path) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Read the customers' features as numbers, texts as flags; whether each visited; and the arm."""
    raw = pd.read_csv(path)
    arm = raw["segment"].map({name: number for number, name in enumerate(ARMS)}).to_numpy()
    features = raw.drop(columns=["segment", "visit", "conversion", "spend", "history_segment"])
    return pd.get_dummies(features).astype(float), raw["visit"].to_numpy(dtype=float), arm


def halves(rows: int) -> list[np.ndarray]:
    """Draw for every split which rows teach."""
    return [
        np.isin(np.arange(rows), np.random.default_rng(seed).permutation(rows)[: rows // 2])
        for seed in range(SPLITS)
    ]


def one_arm(features: pd.DataFrame, visit: np.ndarray, arm: np.ndarray) -> None:
    """Print how learners rank customers by the women's e-mail's effect, and what mailing by them gains."""
    print(f"### The women's e-mail against none\n\n{len(visit):,} customers.\n")
    print(
        f"| learner | Qini | gain over all at {TIE} | gain over none at {TIE} | seconds |\n"
        "| --- | ---: | ---: | ---: | ---: |"
    )
    for name, learn in LEARNERS.items():
        start, rows = time.process_time(), []
        for taught in halves(len(visit)):
            effect = learn(features[taught], visit[taught], arm[taught])(features[~taught])[:, 0]
            rows.append(judged(effect, visit[~taught], arm[~taught]))
        cells = [interval(column) for column in np.array(rows).T]
        print(f"| {name} | {' | '.join(cells)} | {(time.process_time() - start) / SPLITS:.1f} |", flush=True)
    print()


def judged(effect: np.ndarray, visit: np.ndarray, arm: np.ndarray) -> tuple[float, float, float]:
    """Return the Qini of a ranking, and what mailing those with an effect above the cost gains."""
    log = randomised(visit, arm, cost=TIE)
    mailed = effect > TIE
    increment = np.where(arm == 1, visit, -visit)
    return (
        qini(effect, increment),
        log.gain(arm == mailed, over=arm == 1).value,
        log.gain(arm == mailed, over=arm == 0).value,
    )


def randomised(visit: np.ndarray, arm: np.ndarray, *, cost: float) -> RandomisedLog:
    """Return the log of a test that gave every arm the same chance."""
    chance = np.full(len(arm), 1.0 / (arm.max() + 1))
    return RandomisedLog(visit - cost * (arm > 0), chance, np.arange(len(arm)))


def qini(effect: np.ndarray, increment: np.ndarray) -> float:
    """Return the mean of the cumulated increment per customer down a ranking, less half of its end.

    The increment is that of those mailed, a half of all, as in Radcliffe (2007): by what mailing everybody
    would bring, it were twice as much. Among customers whose effects are equal no order counts.
    """
    ranked = pd.Series(increment).groupby(effect).transform("mean").to_numpy()[np.argsort(-effect)]
    cumulated = np.cumsum(ranked) / len(ranked)
    return float(cumulated.mean() - cumulated[-1] / 2.0)


def all_arms(features: pd.DataFrame, visit: np.ndarray, arm: np.ndarray) -> None:
    """Print by cost how a policy over all arms compares with the arm that is best for everybody."""
    means = np.array([visit[arm == number].mean() for number in range(len(ARMS))])
    gains: dict[str, list[list[float]]] = {name: [] for name in LEARNERS if name != VISIT}
    for taught in halves(len(visit)):
        for name, rows in gains.items():
            effect = LEARNERS[name](features[taught], visit[taught], arm[taught])(features[~taught])
            rows.append([over_fixed(effect, means, cost, visit[~taught], arm[~taught]) for cost in COSTS])
    print(f"### All three arms\n\n{len(visit):,} customers.\n")
    print(
        f"| cost | best for all | {' | '.join(gains)} |\n| ---: | --- | {' | '.join('---:' for _ in gains)} |"
    )
    for number, cost in enumerate(COSTS):
        cells = [interval(np.array(rows)[:, number]) for rows in gains.values()]
        print(f"| {cost:.2f} | {ARMS[best(means, cost)]} | {' | '.join(cells)} |", flush=True)


def best(means: np.ndarray, cost: float) -> int:
    """Return the arm that is best for everybody, by the means of the whole test."""
    return int(np.argmax(means - cost * (np.arange(len(means)) > 0)))


def over_fixed(
    effect: np.ndarray, means: np.ndarray, cost: float, visit: np.ndarray, arm: np.ndarray
) -> float:
    """Return what the policy that takes the highest effect less cost gains over the best fixed arm."""
    chosen = np.argmax(np.column_stack([np.zeros(len(effect)), effect - cost]), axis=1)
    return randomised(visit, arm, cost=cost).gain(arm == chosen, over=arm == best(means, cost)).value


def interval(over_splits: np.ndarray) -> str:
    """Return the mean over splits per 1,000 customers and its 95% interval."""
    half = 1_000 * student.ppf(0.975, SPLITS - 1) * over_splits.std(ddof=1) / np.sqrt(SPLITS)
    mean = 1_000 * over_splits.mean()
    return f"{mean:.2f} ({mean - half:.2f} to {mean + half:.2f})"


def known_truth() -> None:
    """Print of tests whose truth is known how often a difference was found and the truth covered."""
    print(f"\n### Tests whose truth is known\n\n{TESTS} tests of {ROWS:,} customers, {CHANCE:.0%} treated.\n")
    print("| outcome | effect | difference found | average covered | value of the policy covered |")
    print("| --- | --- | ---: | ---: | ---: |")
    for outcome in ("binary", "money"):
        for effect, differs in (("the same for all", 0.0), ("twofold for one half, none for the other", 1.0)):
            told = np.mean(
                [drawn(seed, is_money=outcome == "money", differs=differs) for seed in range(TESTS)], 0
            )
            print(f"| {outcome} | {effect} | {' | '.join(f'{share:.1%}' for share in told)} |", flush=True)


def drawn(seed: int, *, is_money: bool, differs: float) -> tuple[bool, bool, bool]:
    """Draw a test; tell whether a difference was found, and whether two intervals cover the truth."""
    rng = np.random.default_rng(seed)
    features = pd.DataFrame(rng.normal(size=(2 * ROWS, 8)))
    half = features[0].to_numpy() > 0
    effect = 0.1 * (1.0 + differs * np.where(half, 1.0, -1.0))
    arm = (rng.random(2 * ROWS) < CHANCE).astype(int)
    came = rng.random(2 * ROWS) < 0.1 + 0.1 * (features[1].to_numpy() > 0) + effect * arm
    size = rng.gamma(1.0, 20.0, 2 * ROWS) if is_money else np.ones(2 * ROWS)
    outcome, unit = came * size, 20.0 if is_money else 1.0
    taught, chances = np.arange(2 * ROWS) < ROWS, np.tile([1.0 - CHANCE, CHANCE], (2 * ROWS, 1))
    learner = UpliftLearner().fit(features[taught], outcome[taught], arm[taught], chances[taught])
    done, chosen = arm[~taught], half[~taught]
    log = RandomisedLog(outcome[~taught], np.where(done == 1, CHANCE, 1.0 - CHANCE), np.arange(ROWS))
    gain = log.gain(done == chosen, over=done == 0)
    truth = unit * float((effect[~taught] * chosen).mean())
    off = abs(learner.average_[0] - unit * effect[taught].mean())
    return (
        learner.differs_[0].is_worth_acting_on,
        bool(off < 1.96 * learner.average_se_[0]),
        gain.low <= truth <= gain.high,
    )


def tierwise(features: pd.DataFrame, visit: np.ndarray, arm: np.ndarray) -> Effects:
    """Learn as Tierwise does."""
    arms = int(arm.max()) + 1
    learner = UpliftLearner().fit(features, visit, arm, np.full((len(arm), arms), 1.0 / arms))
    return lambda asked: learner.told(asked).effect


def together(features: pd.DataFrame, visit: np.ndarray, arm: np.ndarray) -> Effects:
    """Learn one model with the arm among the features (S-learner)."""
    arms = int(arm.max()) + 1
    model = lgb.LGBMClassifier(**TREES, verbose=-1).fit(flagged(features, arm, arms), visit)

    def effect(asked: pd.DataFrame) -> np.ndarray:
        told = [
            model.predict_proba(flagged(asked, np.full(len(asked), number), arms))[:, 1]
            for number in range(arms)
        ]
        return np.stack(told[1:], axis=1) - told[0][:, None]

    return effect


def flagged(features: pd.DataFrame, arm: np.ndarray, arms: int) -> pd.DataFrame:
    """Return features with a flag for every arm but none."""
    return features.assign(**{f"arm_{number}": (arm == number) * 1.0 for number in range(1, arms)})


def apart(features: pd.DataFrame, visit: np.ndarray, arm: np.ndarray) -> Effects:
    """Learn one model for each arm (T-learner)."""
    models = [
        lgb.LGBMClassifier(**TREES, verbose=-1).fit(features[arm == number], visit[arm == number])
        for number in range(int(arm.max()) + 1)
    ]

    def effect(asked: pd.DataFrame) -> np.ndarray:
        told = [model.predict_proba(asked)[:, 1] for model in models]
        return np.stack(told[1:], axis=1) - told[0][:, None]

    return effect


def likeliest(features: pd.DataFrame, visit: np.ndarray, arm: np.ndarray) -> Effects:
    """Rank by who visits, whatever was done, and take a visit for the effect."""
    del arm
    model = lgb.LGBMClassifier(**TREES, verbose=-1).fit(features, visit)
    return lambda asked: np.asarray(model.predict_proba(asked)[:, 1:])


VISIT = "ranking by predicted visit"
LEARNERS: dict[str, Learn] = {
    "Tierwise": tierwise,
    "S-learner": together,
    "T-learner": apart,
    VISIT: likeliest,
}

if __name__ == "__main__":
    main()
