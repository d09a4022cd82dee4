import json

import numpy as np
import pytest

from models.skill import Skill

ORDERS = np.repeat([1.0, 2.0, 4.0, 9.0], [60, 60, 60, 10])
CAME = np.tile([1.0, 0.0], 95)


def test_who_is_told_the_rate_of_the_shop_has_no_skill_and_who_is_told_the_truth_has_all() -> None:
    risk = np.where(ORDERS == 1, 0.5, np.where(ORDERS == 2, CAME, 1 - CAME))
    skill = Skill().fit(ORDERS, risk, CAME)
    told = skill.at(np.array([1, 2, 3, 5, 9, np.nan]))
    assert told[:2] == pytest.approx([0, 1], abs=1e-4)
    assert (told[2:4] < -10).all()
    assert np.isnan(told[4:]).all()


def test_where_all_came_or_nobody_there_is_no_skill_to_know() -> None:
    for came in (0.0, 1.0):
        skill = Skill().fit(ORDERS, np.full(190, 0.5), np.full(190, came))
        assert np.isnan(skill.at(ORDERS)).all()
    assert np.isnan(Skill().fit(np.empty(0), np.empty(0), np.empty(0)).at(ORDERS)).all()


def test_a_restored_skill_is_the_same() -> None:
    skill = Skill().fit(ORDERS, np.full(190, 0.4), CAME)
    restored = Skill.restore(json.loads(json.dumps(skill.state())))
    np.testing.assert_array_equal(restored.at(ORDERS), skill.at(ORDERS))
