import resource
import signal
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from serving.store import Store

Run = Callable[..., Any]
BEFORE = "2024-01-25"
KILLED = """
import os, signal
import serving.bulk
insert = serving.bulk._insert
def killed(*args):
    insert(*args)
    os.kill(os.getpid(), signal.SIGKILL)
serving.bulk._insert = killed
"""


def test_a_locked_store_is_named_and_keeps_its_run(
    shop: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "open", partial(Store.open, wait_seconds=0.1))
    before = shop.published()
    writer = sqlite3.connect(shop.workspace / "store.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    done = run("score", "-c", shop.file, "--as-of", BEFORE)
    writer.close()
    done.assert_refused("is locked by another process")
    assert shop.published() == before


def test_a_full_disk_while_publishing_is_named_and_the_run_stays(
    shop: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = Store.publish

    def publish_on_a_small_disk(*args: Any, **given: Any) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
        try:
            publish(*args, **given)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    before = shop.published()
    monkeypatch.setattr(Store, "publish", publish_on_a_small_disk)
    run("score", "-c", shop.file, "--as-of", BEFORE).assert_refused("store.db' cannot be read or written")
    assert shop.published() == before


def test_a_killed_run_leaves_the_last_one_and_the_next_completes_it(
    shop: Any, run: Run, run_apart: Run
) -> None:
    before, command = shop.published(), ("score", "-c", shop.file, "--as-of", BEFORE)
    files = set(shop.workspace.iterdir())
    assert run_apart(*command, before=KILLED).code == -signal.SIGKILL
    assert shop.published() == before
    assert set(shop.workspace.iterdir()) > files
    assert run(*command).code == 0
    assert len(shop.published()) > len(before)
    assert set(shop.workspace.iterdir()) == files
