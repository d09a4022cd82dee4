"""What customers said: complaints, inquiries, surveys, reviews, and how far they would recommend."""

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

from features.contract import FEEDBACK, slug
from features.days import SUBJECT

WINDOWS = (90, 365)
COMPLAINT = "complaint"
RECOMMEND = ("recommend", "recommendation", "nps")
"""Topics whose score says how willing the customer is to recommend."""


def unbound_feedback() -> ir.Table:
    """Return the canonical ``feedback`` as an expression: one row per event."""
    return ibis.table({name: kind.ibis_type for name, kind in FEEDBACK.staged.items()}, name="feedback")


def summary(feedback: ir.Table, *, kinds: Sequence[str], topics: Sequence[str]) -> ir.Table:
    """Aggregate known feedback by kind and topic: one row per subject with any."""
    marked = _last_marked(feedback, topics)
    age = marked.as_of_day - marked.day
    measures: dict[str, ir.Value] = {
        "_scores": marked.score.count(),
        "_score_sum": marked.score.sum(),
        "_score_last": (marked.last_scored == 1).ifelse(marked.score, None).max(),
    }
    if _recommending(topics):
        measures["_recommend_last"] = (marked.last_recommending == 1).ifelse(marked.score, None).max()
    for kind in kinds:
        name, of_kind = _of_kind(kind), marked.kind == kind
        measures |= _counts(name, of_kind, age)
        measures[f"{name}_days_since"] = of_kind.ifelse(age, ibis.null("int64")).min()
    for topic in topics:
        measures |= _counts(_on_topic(topic), (marked.topic == topic).fill_null(False), age)
    if COMPLAINT in kinds:
        solved = (marked.resolved_at < marked.as_of).fill_null(False)
        measures["complaints_open"] = ((marked.kind == COMPLAINT) & ~solved).ifelse(1, 0).sum()
    return marked.group_by(SUBJECT).aggregate(**measures)


def features(t: ir.Table, *, kinds: Sequence[str], topics: Sequence[str]) -> dict[str, ir.Value]:
    """Derive the features of feedback.

    Returns
    -------
    Per customer and `as_of`: counts ``feedback_{kind}_{w}d`` and ``feedback_{kind}_all``, the same by
    ``topic_{topic}`` (0 without any), ``feedback_{kind}_days_since`` the last (null without any),
    ``complaints_open`` (not resolved before `as_of`), ``feedback_score_mean`` and ``feedback_score_last``
    (0 to 10; null without a score), and, where a topic of `RECOMMEND` is named, ``recommend_score_last``,
    the last score on it.
    """
    names = [_of_kind(kind) for kind in kinds] + [_on_topic(topic) for topic in topics]
    counts = [f"{name}_{window}" for name in names for window in (*(f"{w}d" for w in WINDOWS), "all")]
    counts += ["complaints_open"] if COMPLAINT in kinds else []
    derived = {count: t[count].fill_null(0) for count in counts}
    derived |= {f"{_of_kind(kind)}_days_since": t[f"{_of_kind(kind)}_days_since"] for kind in kinds}
    derived["feedback_score_mean"] = t._score_sum / t._scores.nullif(0)
    derived["feedback_score_last"] = t._score_last
    if _recommending(topics):
        derived["recommend_score_last"] = t._recommend_last
    return derived


def _last_marked(feedback: ir.Table, topics: Sequence[str]) -> ir.Table:
    """Mark the last row with a score, and the last of these on recommending; of equal times the best."""
    scored = feedback.score.notnull()
    parts = {"scored": scored.ifelse(1, 0)}
    if _recommending(topics):
        on_it = feedback.topic.isin(_recommending(topics)).fill_null(False)
        parts["recommending"] = (scored & on_it).ifelse(1, 0)
    marked = feedback.mutate(**parts)
    for name in parts:
        in_turn = ibis.window(group_by=[SUBJECT, name], order_by=["occurred_at", "score"])
        is_last = marked.occurred_at.lead().over(in_turn).isnull() & (marked[name] == 1)
        marked = marked.mutate(**{f"last_{name}": is_last.ifelse(1, 0)})
    return marked


def _recommending(topics: Sequence[str]) -> list[str]:
    return [topic for topic in topics if slug(topic) in RECOMMEND]


def _counts(name: str, hit: ir.BooleanValue, age: ir.IntegerValue) -> dict[str, ir.Value]:
    windows = {f"{name}_{window}d": (hit & (age <= window)).ifelse(1, 0).sum() for window in WINDOWS}
    return windows | {f"{name}_all": hit.ifelse(1, 0).sum()}


def _of_kind(kind: str) -> str:
    return f"feedback_{slug(kind)}"


def _on_topic(topic: str) -> str:
    return f"topic_{slug(topic)}"
