"""Reasons for a client's failed calls, which by themselves only see a missing answer.

A client whose password is wrong hears of it in a thread of its own; a record that may not be written is refused in its
delivery report. So clients note what they are told, and whoever gives up a call looks there for the reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException

from streaming.adapters.kafka.patience import settled
from streaming.delivery.refusals import CREDENTIALS, Rights, refusal
from streaming.delivery.transaction import FENCED
from streaming.errors import BrokerUnavailableError, ConfigurationError, FencedError, PenstockError

C = TypeVar("C")
T = TypeVar("T")

_TURN = 1.0
_TELLING = (*CREDENTIALS, "_RESOLVE", "_SSL")


class Complaints:
    """What the threads of one client reported last; give :meth:`settings` to the client."""

    def __init__(self, kafka: Mapping[str, str]) -> None:
        """Take Kafka's settings, of which only the servers and the user's name are ever shown."""
        self._kafka = kafka
        self._latest: KafkaError | None = None

    def settings(self, config: Mapping[str, str]) -> dict[str, Any]:
        """Return a client's configuration by which it reports here."""
        return {**config, "error_cb": self._note}

    def _note(self, error: KafkaError) -> None:
        if error.name() in _TELLING:
            self._latest = error

    @property
    def reason(self) -> str:
        """Why there is no connection, after a comma; empty if that is not known."""
        return f", {self._latest.str()}" if self._latest is not None else ""

    def check(self) -> None:
        """Raise ``ConfigurationError`` if the broker does not accept who we say we are."""
        if self._latest is not None and (refused := refusal(self._latest, self._kafka, Rights())):
            raise refused


class Deliveries:
    """The first record that was refused of those that were produced with this as ``on_delivery``."""

    def __init__(self) -> None:
        self.first: KafkaError | None = None

    def __call__(self, error: KafkaError | None, _message: object) -> None:
        """Take a delivery report."""
        if error is not None and not error.name().startswith("_PURGE"):  # purged after another was refused
            self.first = self.first or error

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Raise a record's error in place of the commit's, which only says that there was one."""
        try:
            yield
        except KafkaException as problem:
            raise KafkaException(self.first or problem.args[0]) from problem


def in_turns(ask: Callable[[float], T], hear: Callable[[], None], seconds: float) -> T:
    """Return what ``ask`` returns when it is given a second or so, again and again for up to ``seconds``.

    Args:
        ask: asks the broker, with a time limit in seconds.
        hear: is called after each turn without an answer, and may raise what the client has heard.
        seconds: after so many the last turn's ``KafkaException`` is raised.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return settled(lambda: ask(min(_TURN, seconds)))
        except KafkaException:
            hear()
            if time.monotonic() >= deadline:
                raise


def opened(kind: Callable[[dict[str, Any]], C], config: Mapping[str, Any]) -> C:
    """Return a client.

    Raises:
        ConfigurationError: it does not take the settings: a key or a value is unknown, or a certificate not there.
    """
    try:
        return kind(dict(config))
    except KafkaException as problem:
        raise ConfigurationError(
            f"Kafka's client does not take the section kafka: {problem.args[0].str()}. Correct it"
        ) from problem


def trouble(problem: KafkaException, kafka: Mapping[str, str], rights: Rights, otherwise: str) -> Exception:
    """Return what to raise for a call that failed: a refusal, or ``BrokerUnavailableError`` with ``otherwise``."""
    error = problem.args[0]
    return refusal(error, kafka, rights) or BrokerUnavailableError(f"{otherwise}: {error.str()}")


@contextmanager
def sending(kafka: Mapping[str, str], rights: Rights, verb: str) -> Iterator[None]:
    """Send in transactions; what the broker answers in anger becomes an error that says what to do.

    Args:
        kafka: Kafka's settings.
        rights: what is needed.
        verb: the command that sends; another run of it fences this one.
    """
    try:
        yield
    except KafkaException as problem:
        error = problem.args[0]
        if refused := refusal(error, kafka, rights):
            raise refused from problem
        if error.code() in FENCED:
            raise FencedError(f"another {verb} has begun to send; let one of them finish") from problem
        if error.retriable() or error.code() in (KafkaError._TIMED_OUT, KafkaError._TRANSPORT):
            raise BrokerUnavailableError(f"Kafka does not answer: {error.str()}") from problem
        raise PenstockError(f"Kafka refused: {error.str()}. What was under way was not sent.") from problem
