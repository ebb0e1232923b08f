"""A real broker that asks who one is, and grants what was granted: SASL/PLAIN and access control lists."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from streaming.local.broker import start_broker
from streaming.local.jars import ensure_jars
from streaming.local.processes import LOOPBACK, free_port

USER, PASSWORD = "penstock", "right-password"
_MODULE = "org.apache.kafka.common.security.plain.PlainLoginModule"


@dataclass(frozen=True)
class GuardedBroker:
    """A broker with an administrator, who may do everything, and a user, who may do what was granted."""

    address: str

    def settings(self, user: str = USER, password: str = PASSWORD) -> dict[str, str]:
        """Return the ``kafka`` section with which ``user`` connects."""
        return {
            "bootstrap.servers": self.address,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": user,
            "sasl.password": password,
        }

    def admin(self) -> AdminClient:
        """Return the administrator's client."""
        return AdminClient({**self.settings("admin", "admin-password")})

    def grant(self, resource: ResourceType, name: str, *operations: AclOperation) -> None:
        """Grant the user ``operations`` on one resource, whose name may be ``*``."""
        self._rule(AclPermissionType.ALLOW, resource, name, operations)

    def deny(self, resource: ResourceType, name: str, *operations: AclOperation) -> None:
        """Take ``operations`` on one resource from the user, whatever was granted."""
        self._rule(AclPermissionType.DENY, resource, name, operations)

    def _rule(
        self, kind: AclPermissionType, resource: ResourceType, name: str, operations: Iterable[AclOperation]
    ) -> None:
        for operation in operations:
            rule = AclBinding(resource, name, ResourcePatternType.LITERAL, f"User:{USER}", "*", operation, kind)
            admin = self.admin()  # named, or it would be closed while it is asked
            admin.create_acls([rule])[rule].result(30)


@contextmanager
def a_guarded_broker(home: Path, scratch: Path) -> Iterator[GuardedBroker]:
    """Yield a broker from the jars below ``home``; ``scratch`` takes its data."""
    port, inner = free_port(), free_port()
    users = f'user_admin="admin-password" user_{USER}="{PASSWORD}"'
    listeners = f"CLIENT://{LOOPBACK}:{port},INNER://{LOOPBACK}:{inner}"
    controller = free_port()
    settings = {
        "listeners": f"{listeners},CONTROLLER://{LOOPBACK}:{controller}",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
        "advertised.listeners": listeners,
        "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,INNER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "INNER",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.client.plain.sasl.jaas.config": f"{_MODULE} required {users};",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:admin;User:ANONYMOUS",
    }
    with start_broker(scratch, ensure_jars(home, os.environ).broker, port, os.environ, settings) as broker:
        broker.wait_ready()
        yield GuardedBroker(broker.address)
