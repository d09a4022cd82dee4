"""The start of the service: refuse what cannot be served, then hand over to BentoML."""

import ipaddress
import json
import os
import socket
import sys
from pathlib import Path
from typing import NoReturn

import sqlalchemy as sa

from features.errors import InputError
from models.bundle import Bundle
from serving.settings import SERVED, TOKEN
from serving.store import Store
from serving.trial import SOURCES, try_in_child

SERVICE = "serving.service:CustomerService"


def serve(  # noqa: PLR0913 - what is served and where stand side by side
    bundle: Path,
    *,
    model_version: str,
    store: Path | str,
    workspace: Path,
    host: str = "127.0.0.1",
    port: int = 3000,
    insecure: bool = False,
    language: str = "en",
) -> NoReturn:
    """Serve a bundle until SIGTERM or SIGINT; this process becomes the service.

    Where ``TIERWISE_TOKEN`` is set, every request below ``/v1`` must bring it.

    Parameters
    ----------
    bundle
        The folder of the model.
    model_version
        As registered.
    store
        Where runs are published: a SQLite file or a url.
    workspace
        Where the service may keep files of its own.
    insecure
        Whether other machines may ask without a token.
    language
        Of the reasons.

    Raises
    ------
    InputError
        The bundle is not what was trained, the store cannot be used, or the host or port cannot be taken.
    """
    address = _address(host, insecure=insecure)
    Bundle.read(bundle)
    Store.open(store).close()
    try_in_child(bundle)
    _check_free(address, port)
    url = store if isinstance(store, str) else sa.URL.create("sqlite", database=str(store.absolute()))
    served = {"bundle": str(bundle.absolute()), "model_version": model_version, "language": language}
    served["store"] = url if isinstance(url, str) else url.render_as_string(hide_password=False)
    home = workspace.absolute() / "service" / str(port)
    home.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        SERVED: json.dumps(served),
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
        "OTEL_SDK_DISABLED": "true",  # traces that nobody collects cost half a millisecond
        "OMP_NUM_THREADS": "1",  # a row is forecast sooner than threads are woken
    }
    options = ["--host", address, "--port", str(port), "--api-workers", "1"]
    command = [sys.executable, "-m", "bentoml", "serve", SERVICE, "--working-dir", str(SOURCES), *options]
    os.execve(sys.executable, command, environment)  # noqa: S606 - our own service


def _address(host: str, *, insecure: bool) -> str:
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise InputError(f"host '{host}' is no IP address; give one, such as 127.0.0.1 or 0.0.0.0") from None
    if not (address.is_loopback or insecure or os.environ.get(TOKEN)):
        raise InputError(
            f"other machines could ask at {host} without a token; set the environment variable {TOKEN}, "
            "or pass --insecure"
        )
    return str(address)


def _check_free(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
        except (OSError, OverflowError) as error:
            raise InputError(
                f"{address}:{port} cannot be served ({error}); give another --host or --port"
            ) from None
