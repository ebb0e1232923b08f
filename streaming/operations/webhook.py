"""MLflow's webhooks: check that MLflow sent it, just now and for the first time, then wake the follower.

Nothing in a webhook is believed beyond that: the follower asks the registry itself. MLflow sends none for a stage's
transition, loses them when it restarts, and keeps no order, so polling goes on all the same.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog

from streaming.clock import Clock
from streaming.signing import is_signed

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

ID_HEADER = "x-mlflow-delivery-id"
TIMESTAMP_HEADER = "x-mlflow-timestamp"
SIGNATURE_HEADER = "x-mlflow-signature"

MAX_SKEW = timedelta(minutes=5)
MAX_BODY_BYTES = 256 * 1024
_REMEMBERED = 10_000
_OF_INTEREST = ("model_version", "model_version_alias", "model_version_tag")


@dataclass(frozen=True)
class Reply:
    """The answer to the sender. MLflow tries again on 429 and 5xx only, so nothing here asks for that."""

    status: int
    detail: str


class WebhookReceiver:
    """Takes deliveries about the models of one job; safe from every thread."""

    def __init__(self, secret: str, is_ours: Callable[[str], bool], wake: Callable[[], None], clock: Clock) -> None:
        self._secret = secret
        self._is_ours = is_ours
        self._wake = wake
        self._clock = clock
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._guard = threading.Lock()

    def receive(self, headers: Mapping[str, str], body: bytes) -> Reply:
        """Check one delivery and wake the follower if it is about one of our models.

        Args:
            headers: By lower-case name.
            body: The bytes as they came, before any decoding.
        """
        delivery, timestamp = headers.get(ID_HEADER, ""), headers.get(TIMESTAMP_HEADER, "")
        if not is_signed(headers.get(SIGNATURE_HEADER, ""), self._secret, delivery, timestamp, body):
            _log.warning("webhook refused", problem="wrong or missing signature")
            return Reply(401, "wrong or missing signature")
        if not self._is_fresh(timestamp):
            _log.warning("webhook refused", problem="timestamp too far from now", timestamp=timestamp)
            return Reply(401, f"timestamp is more than {MAX_SKEW.seconds} s from now")
        # A delivery may come twice, from MLflow or from somebody who recorded it.
        if not self._is_first(delivery):
            return Reply(200, "seen before")
        return self._act(body)

    def _is_fresh(self, timestamp: str) -> bool:
        # int() alone would also take blanks, signs, underscores and the digits of other scripts.
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
            return False
        return abs(self._clock().timestamp() - int(timestamp)) <= MAX_SKEW.total_seconds()

    def _is_first(self, delivery: str) -> bool:
        """Note a signed delivery and return whether it is new. Strangers cannot get here and fill the memory."""
        with self._guard:
            if delivery in self._seen:
                return False
            self._seen[delivery] = None
            if len(self._seen) > _REMEMBERED:
                # Bounded, or a registry that sends without end would fill the memory.
                self._seen.popitem(last=False)
            return True

    def _act(self, body: bytes) -> Reply:
        try:
            event = json.loads(body)
            entity, name = event["entity"], event["data"]["name"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return Reply(200, "ignored: not a registry event")
        if entity not in _OF_INTEREST or not isinstance(name, str) or not self._is_ours(name):
            return Reply(200, "ignored: about something else")
        self._wake()
        return Reply(200, "the registry is asked now")
