import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from features.errors import InputError
from models.bundle import Bundle
from serving.server import serve
from serving.trial import try_golden_histories, try_in_child

Start = Callable[..., None]


class HandedOverError(Exception):
    """What the process would have become."""


@pytest.fixture
def start(served_shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Start the service of the shop up to the point where BentoML takes over."""

    def hand_over(_: str, command: list[str], environment: dict[str, str]) -> NoReturn:
        raise HandedOverError(command, environment)

    monkeypatch.setattr(os, "execve", hand_over)
    monkeypatch.delenv("TIERWISE_TOKEN", raising=False)

    def begin(**changes: Any) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        given = {"bundle": served_shop.folder / "bundle", "store": tmp_path / "store.db", "port": port}
        serve(**(given | {"model_version": "7", "workspace": tmp_path} | changes))

    return begin


@pytest.fixture
def _trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try no bundle: it takes seconds, and others try it."""
    monkeypatch.setattr("serving.server.try_in_child", lambda _: None)


@pytest.fixture
def bundle_folder(served_shop: Any, tmp_path: Path) -> Path:
    """A copy of the shop's bundle that may be damaged."""
    return Path(shutil.copytree(served_shop.folder / "bundle", tmp_path / "bundle"))


def test_a_sound_bundle_is_handed_over_without_telemetry(start: Start) -> None:
    with pytest.raises(HandedOverError) as handed:
        start()
    command, environment = handed.value.args
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert environment["BENTOML_DO_NOT_TRACK"] == "True"


def test_a_flipped_byte_in_the_bundle_refuses_the_start(start: Start, bundle_folder: Path) -> None:
    trees = bundle_folder / "trees" / "no_order.txt"
    content = bytearray(trees.read_bytes())
    content[len(content) // 2] ^= 1
    trees.write_bytes(content)
    with pytest.raises(InputError, match=r"no_order\.txt is not what was written .* promote another version"):
        start(bundle=bundle_folder)


def test_a_bundle_that_forecasts_otherwise_refuses_the_start(bundle_folder: Path) -> None:
    bundle = Bundle.read(bundle_folder)
    histories = bundle.golden()
    histories[3]["forecast"]["churn_risk"] *= 1 + 1e-8
    bundle.with_document("golden.json", {"histories": histories}).write(bundle_folder)
    with pytest.raises(InputError, match="forecasts golden-3 otherwise than where it was trained"):
        try_in_child(bundle_folder)


def test_a_bundle_that_crashes_refuses_the_start(bundle_folder: Path) -> None:
    bundle = Bundle.read(bundle_folder)
    trees = bundle.documents["trees/no_order.txt"]
    Bundle({**bundle.documents, "trees/no_order.txt": trees[: len(trees) // 2]}).write(bundle_folder)
    with pytest.raises(InputError, match=r"breaks when it is tried .* promote another version"):
        try_in_child(bundle_folder)


def test_a_bundle_without_golden_histories_is_not_trusted(served_shop: Any) -> None:
    bundle = Bundle.read(served_shop.folder / "bundle")
    documents = {name: text for name, text in bundle.documents.items() if name != "golden.json"}
    with pytest.raises(InputError, match="has no golden histories"):
        try_golden_histories(Bundle(documents), served_shop.folder)


@pytest.mark.parametrize("host", ["::", "192.0.2.1"])
def test_other_machines_need_a_token(start: Start, host: str) -> None:
    with pytest.raises(InputError, match=r"TIERWISE_TOKEN, or pass --insecure"):
        start(host=host)


@pytest.mark.usefixtures("_trusted")
def test_a_token_or_a_plain_wish_opens_the_service(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HandedOverError):
        start(host="::", insecure=True)
    monkeypatch.setenv("TIERWISE_TOKEN", "secret")
    with pytest.raises(HandedOverError):
        start(host="::")


def test_a_host_is_an_address(start: Start) -> None:
    with pytest.raises(InputError, match="host 'shop' is no IP address"):
        start(host="shop")


@pytest.mark.usefixtures("_trusted")
def test_a_taken_port_refuses_the_start(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match=r"cannot be served .* --port"):
            start(port=taken.getsockname()[1])


def test_an_unreadable_store_refuses_the_start(start: Start, tmp_path: Path) -> None:
    (tmp_path / "other.db").write_text("no database at all, only words")
    with pytest.raises(InputError, match="is no SQLite database"):
        start(store=tmp_path / "other.db")
