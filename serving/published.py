"""What was published last: its rows, and the customers that live requests are compared with."""

import logging
import threading
import time
from typing import Any

from features.errors import InputError
from models.wording import told, told_move
from serving.database import StoreError
from serving.peers import Peers
from serving.store import Store

logger = logging.getLogger(__name__)
WAIT_SECONDS = 5
POLL_SECONDS = 5


class Published:
    """The latest published run, followed while requests are answered.

    Parameters
    ----------
    where
        The store.
    peers
        With whom customers are compared before anything was published: those of the training.
    language
        Of the reasons.
    """

    def __init__(self, where: str, *, peers: Peers, language: str = "en") -> None:
        self.peers = peers
        self._where = where
        self._language = language
        self._store: Store | None = None
        self._run_id: str | None = None
        self._opening = threading.Lock()

    def customer(self, customer_id: str) -> dict[str, Any] | None:
        """Read a customer's row of the latest run; null when it has none.

        ``plan`` is the customer's row of the latest plan, null without one.

        Raises
        ------
        StoreError
            The store cannot be used.
        """
        store = self._opened()
        row = store.customer(customer_id)
        if row is None:
            return None
        if row["reasons"] is not None:
            row["reasons"] = told(row["reasons"], self._language)
        if row["transition_reason"] is not None:
            row["transition_reason"] = told_move(row["transition_reason"], self._language)
        return {**row, "plan": store.plans.customer(customer_id)}

    def periods(self, customer_id: str) -> list[dict[str, Any]]:
        """Read how long a customer was in each tier and stage, oldest first by kind; none of a stranger.

        Raises
        ------
        StoreError
            The store cannot be used.
        """
        periods = self._opened().customer_periods(customer_id).drop_columns("customer_id").to_pylist()
        for period in periods:
            reason = period["reason"]
            period["reason"] = None if reason is None else told_move(reason, self._language)
        return list(periods)

    def refresh(self) -> None:
        """Take up the customers of the latest run where there is a new one.

        Raises
        ------
        StoreError
            The store cannot be used; all stays as it was, as after a run that another version has made.
        """
        run = self._opened().latest()
        if run is None or run.run_id == self._run_id:
            return
        facts = self._opened().facts(run.run_id)
        if facts is not None:
            self._run_id = run.run_id
            try:
                self.peers = Peers.of(facts)
            except (InputError, LookupError, TypeError, ValueError) as error:
                why = f"{type(error).__name__}: {error}"
                logger.warning("run %s cannot be followed (%s); score with this version", run.run_id, why)
            else:
                logger.info("percentiles and standing follow run %s", run.run_id)

    def follow(self) -> None:
        """Refresh every few seconds, beside the requests, while the process lives."""
        threading.Thread(target=self._follow, name="published", daemon=True).start()

    def _follow(self) -> None:
        complaint = ""
        while True:
            try:
                self.refresh()
                complaint = ""
            except StoreError as error:
                if str(error) != complaint:
                    complaint = str(error)
                    logger.warning("%s", complaint)
            time.sleep(POLL_SECONDS)

    def _opened(self) -> Store:
        with self._opening:
            if self._store is None:
                self._store = Store.open(self._where, wait_seconds=WAIT_SECONDS)
            return self._store
