import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.contract import Kind
from features.errors import InputError
from features.tier_settings import Flow, Level, TierSettings
from models.conditions import Condition
from models.tiers import TierPolicy

KINDS = dict.fromkeys(("clv", "spend", "orders", "risk"), Kind.NUMBER) | {
    "country": Kind.TEXT,
    "vip": Kind.FLAG,
}


def check(*conditions: str | None, flow: str | None = None) -> None:
    """Read a policy whose tiers are named a, b, c ... in the order of their conditions."""
    levels = tuple(Level(name=name, when=when) for name, when in zip("abcdefgh", conditions, strict=False))
    flows = () if flow is None else (Flow(tier="a", when=flow, reason="so"),)
    TierPolicy.of(TierSettings(levels=levels, flows=flows), setting="transactional", columns=KINDS)


@pytest.mark.parametrize(
    "conditions",
    [
        pytest.param([None], id="one-for-all"),
        pytest.param(["clv > 5", None], id="the-rest"),
        pytest.param(["clv > 5", "clv > 3", "clv > 1", None], id="falling"),
        pytest.param(["clv > 5", "spend > 7", None], id="overlapping-in-part"),
        pytest.param(["clv > 5", "clv <= 5 or clv is null"], id="complete-without-a-rest"),
        pytest.param(["top(clv, 0.2)", "not top(clv, 0.2)"], id="complement"),
        pytest.param(["top(clv, 0.3)", "bottom(clv, 0.7) or clv is null"], id="top-and-bottom"),
        pytest.param(["brings(clv, 0.5)", "top(clv, 0.5)", None], id="a-few-bring-half"),
        pytest.param(["clv = 5", "clv between 4 and 6", None], id="a-point"),
        pytest.param(["country in ('FR', 'DE')", "country = 'UK'", "country is null", None], id="texts"),
        pytest.param(["vip", "not vip and clv > 3", None], id="flags"),
        pytest.param(["clv > spend", "clv = spend", "clv < spend", None], id="two-columns"),
        pytest.param(["spend / orders > 10", "spend > 10", None], id="formulas"),
    ],
)
def test_policies_that_share_out_everybody(conditions: list[str | None]) -> None:
    check(*conditions)


REACHED = "tier {!r} can never be reached: {}"
TAKEN = "{} before it takes every customer that it could; move it up or change it"
CONTRADICTS = "its condition contradicts itself; correct it"
LEFT = (
    "some customers would be in no tier, such as one with {}; leave 'when' of the last tier, {!r}, away, so "
    "that it takes all who are left"
)


@pytest.mark.parametrize(
    ("conditions", "covering"),
    [
        (["clv > 5", "clv > 7", None], "'a'"),
        ([None, "clv > 7"], "'a'"),
        (["clv > 9", "true", None], "'b'"),
        (["top(clv, 0.5)", "brings(clv, 0.4)", None], "'a'"),
        (["not vip", "vip = false", None], "'a'"),
        (["clv >= spend", "spend < clv", None], "'a'"),
    ],
)
def test_a_tier_that_one_before_it_covers(conditions: list[str | None], covering: str) -> None:
    number = 1 if covering == "'a'" else 2
    with pytest.raises(InputError) as told:
        check(*conditions)
    message = REACHED.format("abc"[number], TAKEN.format(covering))
    assert str(told.value) == f"tiers.levels.{number}: {message}"


def test_a_tier_that_those_before_it_cover_together() -> None:
    with pytest.raises(
        InputError, match="tier 'c' can never be reached: the tiers before it take every customer"
    ):
        check("vip", "not vip and clv > 1", "clv > 2", None)


@pytest.mark.parametrize(
    "contradictory",
    [
        "clv > 7 and clv < 6",
        "clv > 7 and clv is null",
        "top(clv, 0.2) and clv is null",
        "top(clv, 0.2) and not top(clv, 0.3)",
        "country = 'UK' and country in ('FR', 'DE')",
        "vip and not vip",
        "vip = 2",
        "false",
    ],
)
def test_a_condition_that_contradicts_itself(contradictory: str) -> None:
    with pytest.raises(InputError) as told:
        check("spend > 1", contradictory, None)
    assert str(told.value) == f"tiers.levels.1: {REACHED.format('b', CONTRADICTS)}"


@pytest.mark.parametrize(
    ("conditions", "example"),
    [
        (["clv > 5", "clv <= 5"], "no clv"),
        (["country = 'UK'", "country in ('FR') or country is null"], "another country"),
        (["clv < 5 or clv is null", "clv > 5"], "clv = 5"),
        (["vip", "not vip and clv > 1"], "no vip and no clv"),
        (
            ["top(clv, 0.2)", "clv is null or spend > 5"],
            "a clv that 60% of the customers reach and no spend",
        ),
    ],
)
def test_customers_whom_no_tier_takes(conditions: list[str | None], example: str) -> None:
    with pytest.raises(InputError) as told:
        check(*conditions)
    assert str(told.value) == f"tiers.levels.1: {LEFT.format(example, 'b')}"


NUMBERS = ("clv > 5", "clv <= 7", "clv = 6", "clv is null", "clv - spend > 0", "clv > spend", "spend = clv")
OTHERS = (
    "top(clv, 0.2)",
    "vip",
    "vip = false",
    "country = 'UK'",
    "country in ('UK', 'FR')",
    "country is null",
)
CONDITIONS = st.recursive(
    st.sampled_from(NUMBERS + OTHERS),
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=4,
)
ROWS = st.fixed_dictionaries(
    {
        "clv": st.sampled_from([None, 1.0, 5.0, 6.0, 6.5, 7.0, 80.0]),
        "spend": st.sampled_from([None, 1.0, 6.0, 90.0]),
        "vip": st.sampled_from([None, 0, 1]),
        "country": st.sampled_from([None, "UK", "FR", "DE"]),
    }
)


@given(conditions=st.lists(CONDITIONS, min_size=2, max_size=3), rows=st.lists(ROWS, min_size=20, max_size=20))
def test_no_customer_contradicts_what_was_found(conditions: list[str], rows: list[dict[str, object]]) -> None:
    cuts = {"top(clv, 0.2)": 50.0}
    read = [Condition.read(text, columns=KINDS, where="x") for text in conditions]
    reached = {next((at for at, each in enumerate(read) if each.holds(row, cuts)), len(read)) for row in rows}
    try:
        check(*conditions)
    except InputError as error:
        unreachable = re.match(r"tiers\.levels\.(\d): tier '.' can never be reached", str(error))
        assert unreachable is None or int(unreachable[1]) not in reached
    else:
        assert len(read) not in reached


def test_a_name_stands_once() -> None:
    levels = (Level(name="gold", when="clv > 5"), Level(name="gold"))
    with pytest.raises(
        InputError, match=r"^tiers\.levels\.1\.name = 'gold' stands twice; give each tier its own"
    ):
        TierPolicy.of(TierSettings(levels=levels), setting="transactional", columns=KINDS)


@pytest.mark.parametrize(
    ("flow", "message"),
    [
        (
            "clv > 5 and clv < 3",
            "tiers.flows.0.when: this flow can never hold: its condition contradicts itself",
        ),
        (
            "clv > 5 or not clv > 5",
            "tiers.flows.0.when: this flow holds for every customer, so that all would be 'a'",
        ),
        ("clvv > 5", r"tiers.flows.0.when = 'clvv > 5': there is no column 'clvv'; did you mean 'clv'?"),
    ],
)
def test_a_flow_holds_for_some(flow: str, message: str) -> None:
    with pytest.raises(InputError) as told:
        check("clv > 9", None, flow=flow)
    assert str(told.value).startswith(message)


def test_what_cannot_be_told_is_said_soon() -> None:
    many = " or ".join(f"(clv + {number} > 1 and spend + {number} > 2)" for number in range(12))
    start = time.process_time()
    with pytest.raises(
        InputError, match=r"^tiers\.levels compare too many values \(clv \+ 0, .* at most 4,000,000\)"
    ):
        check(many, None)
    assert time.process_time() - start < 5
