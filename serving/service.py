"""The service as BentoML runs it: one worker process, one event loop, one bundle."""

import gc
import json
import os
from pathlib import Path

import bentoml

from serving.api import Desk, customer_api
from serving.settings import SERVED, TOKEN

YOUNG_OBJECTS = 50_000

API = customer_api(token=os.environ.get(TOKEN))


@bentoml.service(
    name="tierwise",
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},  # they go by path, which would hold customers' ids
    tracing={"excluded_urls": ["/"]},  # even switched off, traces cost a tenth of a request
)
@bentoml.asgi_app(API, path="/")
class CustomerService:
    """Answers the customer API from one bundle and one store."""

    def __init__(self) -> None:
        # The process that supervises the workers reads this module too, and needs none of these.
        from models.bundle import Bundle  # noqa: PLC0415
        from serving.peers import Peers  # noqa: PLC0415
        from serving.prediction import Predictor  # noqa: PLC0415
        from serving.published import Published  # noqa: PLC0415

        served = json.loads(os.environ[SERVED])
        bundle, language = Bundle.read(Path(served["bundle"])), served["language"]
        predictor = Predictor(bundle, model_version=served["model_version"], language=language)
        predictor.rehearse(bundle.golden()[0])
        published = Published(served["store"], peers=Peers.of(bundle.training), language=language)
        published.follow()
        API.state.desk = Desk(predictor, published)
        gc.collect()
        gc.freeze()  # what is loaded stays; without this, collections cost some requests 100 ms
        gc.set_threshold(YOUNG_OBJECTS, 20, 100)
