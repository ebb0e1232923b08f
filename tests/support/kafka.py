"""A real broker for every test that needs one: the first of three ways that is there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streaming.local.broker import answers, start_broker
from streaming.local.jars import ensure_jars
from streaming.local.processes import LOOPBACK, free_port
from tests.support.eventually import SLOWEST, eventually

IMAGE = "apache/kafka:4.3.0"
ADDRESS_VARIABLE = "PENSTOCK_TEST_BROKER"

MakeTopic = Callable[..., str]


@contextmanager
def a_broker(home: Path, scratch: Path) -> Iterator[str]:
    """Yield the address of a broker: one from the environment, else a container, else an embedded one.

    Args:
        home: The folder with the jars (``.penstock``).
        scratch: Where an embedded broker keeps its data.
    """
    given = os.environ.get(ADDRESS_VARIABLE)
    if given:
        yield given
    elif docker_has_image():
        with _container() as address:
            yield address
    else:
        with start_broker(scratch, ensure_jars(home, os.environ).broker, free_port(), os.environ) as broker:
            broker.wait_ready()
            yield broker.address


def docker_has_image() -> bool:
    """Whether a Docker daemon answers and has the image already; nothing is pulled during a test."""
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=5)
        try:
            client.images.get(IMAGE)
        finally:
            client.close()
    except (DockerException, OSError):
        return False
    return True


@contextmanager
def _container() -> Iterator[str]:
    from testcontainers.core.container import DockerContainer

    port = free_port()
    settings = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        # The broker calls itself for transaction markers, and cannot reach the host's port from inside.
        "KAFKA_LISTENERS": "HOST://:9092,SELF://:9094,CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"HOST://{LOOPBACK}:{port},SELF://localhost:9094",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "SELF",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "HOST:PLAINTEXT,SELF:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    }
    container = DockerContainer(IMAGE).with_bind_ports(9092, port)
    for name, value in settings.items():
        container = container.with_env(name, value)
    with container:
        eventually(lambda: answers(port), timeout=SLOWEST)
        yield f"{LOOPBACK}:{port}"


def topic_maker(bootstrap_servers: str) -> MakeTopic:
    """Return ``make_topic(prefix="t", partitions=2, **config)``, which creates a topic and returns its unique name.

    Underscores in the names of ``config`` become dots: ``retention_ms=-1``.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})

    def make_topic(prefix: str = "t", partitions: int = 2, **config: object) -> str:
        name = f"{prefix}-{uuid4().hex[:12]}"
        settings = {key.replace("_", "."): str(value) for key, value in config.items()}
        topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config=settings)
        admin.create_topics([topic])[name].result(30)
        # Creation is answered by the controller, a moment before the broker itself knows the leaders.
        eventually(lambda: _is_led(admin, name, partitions), every=0.02)
        return name

    return make_topic


def _is_led(admin: AdminClient, name: str, partitions: int) -> bool:
    result = admin.list_topics(name, timeout=10).topics[name].partitions
    return len(result) == partitions and all(partition.leader >= 0 for partition in result.values())
