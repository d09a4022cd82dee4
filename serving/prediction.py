"""Answers to stateless requests: rows of the output table, from a bundle and one customer's history."""

import sqlite3
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from operator import itemgetter
from typing import Any

from features.attributes import Attribute
from features.contract import CUSTOMERS, TABLES, Kind
from features.instants import EPOCH, Cutoff
from features.records import READERS, Row, canonical_rows, rows_of
from models.bundle import Bundle
from models.likelihood import Vector
from models.live_forecaster import LiveForecaster
from models.wording import told
from serving.contracts import contract_standing
from serving.customer_history import ROWS, CustomerHistory
from serving.labelled import labelled_standing
from serving.peers import Peers
from serving.placer import Placer
from serving.problems import Problem, shown
from serving.purchases import purchase_standing
from serving.tables import LAST, SCHEMA

_FORECAST = tuple(name for name in SCHEMA.names if name not in {"customer_id", *LAST})
_FIELDS = {name: tuple(part.model_fields) for name, part in ROWS.items()}
_JSON_TYPES: Mapping[Kind, tuple[type, ...]] = {
    Kind.TEXT: (str,),
    Kind.NUMBER: (int, float),
    Kind.FLAG: (bool,),
}


class Predictor:
    """A bundle that answers one request at a time.

    Parameters
    ----------
    bundle
        The model.
    model_version
        As registered.
    language
        Of the reasons.
    """

    def __init__(self, bundle: Bundle, *, model_version: str, language: str = "en") -> None:
        training = bundle.training
        self._live = LiveForecaster(bundle)
        self._language = language
        self._time_zone: str = training["time_zone"]
        self._horizon_days: int = training["horizon_days"]
        self._was_judged: bool = training["was_judged"]
        self._value_basis = None if training["setting"] == "labelled" else training.get("value", "revenue")
        self._common = {
            "run_id": None,
            "model_version": model_version,
            "bundle_digest": bundle.digest,
            "setting": training["setting"],
            "horizon_days": self._horizon_days,
            "currency": training["currency"],
        }

    def rehearse(self, golden: Mapping[str, Any]) -> None:
        """Forecast a golden history, so that statements are prepared, and trees laid out, before requests."""
        cutoff = Cutoff(*golden["cutoff"])
        self._live.forecast(golden["rows"], customer_id=golden["customer_id"], cutoff=cutoff)

    def row(
        self, history: CustomerHistory, *, now: datetime, peers: Peers, reasons: bool = False
    ) -> dict[str, Any]:
        """Answer with a row of the output table; all forecasts are null without a known order, or contract.

        The tier is that of a customer whose tiers so far are not known: without hysteresis.

        Parameters
        ----------
        now
            The `as_of` of a history without one.
        peers
            With whom the customer is compared.
        reasons
            Whether to tell what moved the forecasts; null without.

        Raises
        ------
        Problem
            An attribute that the model or a tier knows is of another kind, or amounts add up beyond 64 bits.
        """
        as_of = (history.as_of or now).astimezone(UTC)
        customer_id = history.customer.customer_id.strip(" ")
        cutoff = Cutoff.at(as_of, self._time_zone)
        columns, profile = self._described(history, customer_id, cutoff, peers.placer)
        forecast = self._live.forecast_of(columns, reasons=reasons, cut=peers.cut)
        known = {} if forecast is None else forecast | self._standing(forecast, peers.grid)
        if peers.placer is not None:
            known |= profile
            numbers = {name: values.item() for name, values in columns.items()}
            attributes = self._attributes(history, peers.placer, numbers)
            known |= peers.placer.place({**attributes, **numbers, **known})
        row = {"customer_id": customer_id, "as_of": as_of} | self._common
        row |= {name: known.get(name) for name in _FORECAST}
        row["next_order_date"] = _date(cutoff, known.get("next_order_days"))
        told_reasons = told(known["reasons"], self._language) if "reasons" in known else None
        row |= {"value_basis": self._value_basis, "confidence": known.get("confidence")}
        return row | {"reasons": told_reasons}

    def _described(
        self, history: CustomerHistory, customer_id: str, cutoff: Cutoff, placer: Placer | None
    ) -> tuple[dict[str, Vector], dict[str, Any]]:
        """Return the features, and the profile where somebody is to be placed by it."""
        rows = self._rows(history, customer_id)
        whose: dict[str, Any] = {"customer_id": customer_id, "cutoff": cutoff}
        try:
            if placer is None:
                return self._live.features(rows, **whose), {}
            return self._live.described(rows, **whose, lost_days=placer.lost_days)
        except sqlite3.OperationalError as error:
            if "integer overflow" not in str(error):
                raise
            raise Problem(
                422, "the amounts in orders add up to more than can be counted; correct them"
            ) from None

    def _standing(self, forecast: Mapping[str, float | None], grid: Vector) -> dict[str, Any]:
        if "known_share" in forecast:
            return labelled_standing(forecast, grid, was_judged=self._was_judged)
        if "churn_risk" not in forecast:  # of a prospect
            return {}
        standing = contract_standing if "runs" in forecast else purchase_standing
        return standing(forecast, grid, horizon_days=self._horizon_days, was_judged=self._was_judged)

    def _attributes(
        self, history: CustomerHistory, placer: Placer, features: Collection[str]
    ) -> dict[str, object]:
        """Return the attributes that the conditions of tiers name, as they would be staged."""
        forecasts = () if self._common["setting"] == "labelled" else SCHEMA.names
        told = history.customer.model_extra or {}
        return {
            name: READERS[kind](_checked(Attribute(name, kind), told[name]))
            for name, kind in placer.kinds.items()
            if told.get(name) is not None and name not in features and name not in forecasts
        }

    def _rows(self, history: CustomerHistory, customer_id: str) -> dict[str, list[Row]]:
        rows = {}
        for name, fields in _FIELDS.items():
            if lines := getattr(history, name):
                values = zip(*(itemgetter(*fields)(line.__dict__) for line in lines), strict=True)
                given = {"customer_id": [customer_id] * len(lines), **dict(zip(fields, values, strict=True))}
                rows[name] = rows_of(TABLES[name], given, self._time_zone)
        customer, wanted = history.customer, self._live.attributes
        told = customer.model_extra or {}
        record = customer.__dict__ | {each.name: _checked(each, told.get(each.name)) for each in wanted}
        rows["customers"] = canonical_rows(CUSTOMERS, [record], self._time_zone, attributes=wanted)
        return rows


def _date(cutoff: Cutoff, days: float | None) -> date | None:
    return None if days is None else (EPOCH + timedelta(days=cutoff.day + int(days))).date()


def _checked(attribute: Attribute, value: Any) -> Any:  # noqa: ANN401 - whatever the request says
    right = isinstance(value, _JSON_TYPES[attribute.kind])
    if value is None or (right and not (attribute.kind is Kind.NUMBER and isinstance(value, bool))):
        return value
    raise Problem(
        422,
        f"customer.{attribute.name} = {shown(value)} is no {attribute.kind}, as the model or a tier reads "
        "it; correct it, or leave it out",
    )
