import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.cut_point import cut_query
from features.errors import InputError
from features.plan import FeaturePlan
from models.bundle import KINDS, MANIFEST, Bundle
from models.estimator import columns_of
from models.potential import Potential

PLAN = FeaturePlan(horizon_days=60, order_columns=("quantity",), exclude={"product_id": ("POST",)})
TRAINING = {"as_of": "2024-06-01T00:00:00+00:00", "currency": "£"}

HISTORIC = ["trees", "purchase_process", "own_rate", "recency_rule"]
"""Those that learn from orders."""

Lesson = tuple[pd.DataFrame, pd.DataFrame]


def bundle_of(kind: str, lesson: Lesson) -> Bundle:
    return Bundle.of(KINDS[kind](horizon_days=60).fit(*lesson), PLAN, training=TRAINING)


@pytest.fixture(scope="module")
def bundle(lesson: Lesson) -> Bundle:
    return bundle_of("recency_rule", lesson)


@pytest.fixture
def folder(bundle: Bundle, tmp_path: Path) -> Path:
    return bundle.write(tmp_path / "bundle")


@pytest.mark.parametrize("kind", HISTORIC)
def test_a_bundle_read_again_is_the_same_and_forecasts_the_same(
    kind: str, lesson: Lesson, tmp_path: Path
) -> None:
    written = bundle_of(kind, lesson)
    read = Bundle.read(written.write(tmp_path / kind))
    assert read.digest == written.digest
    assert read.plan() == PLAN
    assert read.training == TRAINING
    assert read.steps("sqlite") == PLAN.sql()["sqlite"]
    assert read.profile("sqlite") == PLAN.profile("sqlite")
    frame = lesson[0]
    pd.testing.assert_frame_equal(
        read.estimator().predict(frame), written.estimator().predict(frame), check_exact=True
    )


def test_a_bundle_keeps_the_potential_apart_from_the_forecaster(lesson: Lesson, tmp_path: Path) -> None:
    forecaster = KINDS["trees"](horizon_days=60).fit(*lesson)
    potential = Potential().fit(forecaster, dict.fromkeys(lesson[0]["as_of_day"].unique(), 20.0))
    read = Bundle.read(
        Bundle.of(forecaster, PLAN, training=TRAINING, potential=potential).write(tmp_path / "bundle")
    )
    assert {name for name in read.documents if name.startswith("trees/")} == {
        "trees/no_order.txt",
        "trees/value.txt",
        "trees/potential.txt",
    }
    assert read.cut_query == cut_query(PLAN)
    told, columns = read.potential(), columns_of(lesson[0])
    assert told is not None
    np.testing.assert_array_equal(
        told.score(columns, read.estimator().forecast(columns)),
        potential.score(columns, forecaster.forecast(columns)),
    )


def test_a_bundle_without_a_potential_has_none(bundle: Bundle) -> None:
    assert bundle.potential() is None


@pytest.mark.parametrize("kind", HISTORIC)
def test_what_is_taught_the_same_has_the_same_digest(kind: str, lesson: Lesson) -> None:
    assert bundle_of(kind, lesson).digest == bundle_of(kind, lesson).digest


def test_another_document_makes_another_digest(bundle: Bundle) -> None:
    assert bundle.with_document("golden.json", {"histories": []}).digest != bundle.digest


def test_every_flipped_byte_is_noticed(bundle: Bundle, folder: Path) -> None:
    for name in bundle.documents:
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:])
        with pytest.raises(InputError, match=rf"{name} is not what was written .* train again"):
            Bundle.read(folder)
        (folder / name).write_bytes(whole)
    assert Bundle.read(folder).digest == bundle.digest


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("forecaster.json", r"forecaster\.json cannot be read \(No such file or directory\)"),
        (MANIFEST, r"is no bundle: its manifest\.json cannot be read \(FileNotFoundError\)"),
    ],
)
def test_a_missing_file_is_named(folder: Path, name: str, message: str) -> None:
    (folder / name).unlink()
    with pytest.raises(InputError, match=message):
        Bundle.read(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format_version": 4, "files": 3}'])
def test_a_manifest_that_is_none_is_refused(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text)
    with pytest.raises(InputError, match="is no bundle"):
        Bundle.read(folder)


def test_another_format_is_refused(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text()) | {"format_version": 5}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="has format_version 5, and this version reads 4"):
        Bundle.read(folder)
