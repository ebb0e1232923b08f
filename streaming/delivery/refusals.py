"""What a broker refuses, told from what it does not answer: who one is, and what one may do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from streaming.errors import ConfigurationError

CREDENTIALS = (
    "_AUTHENTICATION",
    "SASL_AUTHENTICATION_FAILED",
    "UNSUPPORTED_SASL_MECHANISM",
    "ILLEGAL_SASL_STATE",
)
_RESOURCES = {
    "TOPIC_AUTHORIZATION_FAILED": "topic",
    "GROUP_AUTHORIZATION_FAILED": "group",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED": "transactional id",
    "CLUSTER_AUTHORIZATION_FAILED": "cluster",
}
_JAAS_USER = re.compile(r'username="((?:[^"\\]|\\.)*)"')


class ClientError(Protocol):
    """A client's error: a name as in Kafka's protocol, and words."""

    def name(self) -> str:
        """Return ``TOPIC_AUTHORIZATION_FAILED`` and the like."""
        ...

    def str(self) -> str:
        """Return a sentence."""
        ...


@dataclass(frozen=True)
class Rights:
    """What a call needs, in the words of Kafka's access control lists: ``READ on topic features``.

    A call that touches only one kind of resource leaves the others out.
    """

    topic: str = ""
    group: str = ""
    transactional_id: str = ""

    def of(self, resource: str) -> str:
        """Return the right on one kind of resource."""
        names = {"topic": self.topic, "group": self.group, "transactional id": self.transactional_id}
        return names.get(resource) or f"the right on the {resource}"


def refusal(error: ClientError, kafka: Mapping[str, str], rights: Rights) -> ConfigurationError | None:
    """Return the error for what the broker refuses; ``None`` for anything else.

    Args:
        error: what the client met.
        kafka: Kafka's settings, which say who we are.
        rights: what the call needs.
    """
    servers, user = kafka.get("bootstrap.servers", ""), principal(kafka)
    if error.name() in CREDENTIALS:
        return ConfigurationError(
            f"Kafka at {servers} does not accept {user} ({error.str()}); correct kafka.sasl.username,"
            " kafka.sasl.password, kafka.sasl.mechanism or kafka.security.protocol"
        )
    resource = _RESOURCES.get(error.name())
    if resource is None:
        return None
    return ConfigurationError(f"Kafka at {servers} refuses: grant {rights.of(resource)} to {user} ({error.str()})")


def require_granted(
    needs: Mapping[str, Sequence[str]], granted: Mapping[str, frozenset[str] | None], kafka: Mapping[str, str]
) -> None:
    """See that what the broker grants on topics is what a job needs.

    Args:
        needs: topic to operations, in Kafka's words: ``WRITE``.
        granted: topic to operations; a topic that is absent is not looked at, nor one whose rights the broker keeps to
            itself (``None``).
        kafka: Kafka's settings, which say who we are.

    Raises:
        ConfigurationError: some are missing; the message names them all.
    """
    lacking = {
        topic: [op for op in needs[topic] if op not in held] for topic, held in granted.items() if held is not None
    }
    rights = [f"{' and '.join(operations)} on topic {topic}" for topic, operations in lacking.items() if operations]
    if rights:
        servers = kafka.get("bootstrap.servers", "")
        raise ConfigurationError(f"Kafka at {servers} refuses: grant {', '.join(rights)} to {principal(kafka)}")


def principal(kafka: Mapping[str, str]) -> str:
    """Return who we are to the broker, as far as the settings tell.

    >>> principal({"sasl.username": "penstock"}), principal({"security.protocol": "SSL"}), principal({})
    ('User:penstock', "the principal of this client's certificate", 'User:ANONYMOUS')
    """
    jaas = _JAAS_USER.search(kafka.get("sasl.jaas.config", ""))
    user = kafka.get("sasl.username") or (jaas and re.sub(r"\\(.)", r"\1", jaas[1]))
    if user:
        return f"User:{user}"
    protocol = kafka.get("security.protocol", "PLAINTEXT").upper()
    if protocol == "PLAINTEXT":
        return "User:ANONYMOUS"
    return "the principal of this client's certificate" if protocol == "SSL" else "the principal of these credentials"
