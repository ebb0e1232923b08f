"""A broker and a tracking server together, as ``penstock up``, the demonstration and the tests run them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from streaming.local.broker import start_broker
from streaming.local.processes import ManagedProcess, free_port
from streaming.local.tracking import start_tracking_server


@dataclass(frozen=True)
class Services:
    """Two running services.

    Attributes:
        bootstrap_servers: The broker's address, for ``kafka.bootstrap.servers``.
        tracking_uri: The tracking server's address, for ``MLFLOW_TRACKING_URI``.
        processes: The processes behind them, to see whether they still run.
    """

    bootstrap_servers: str
    tracking_uri: str
    processes: tuple[ManagedProcess, ...]


@contextmanager
def services(
    data_dir: Path,
    broker_jars: Path,
    environment: Mapping[str, str],
    *,
    kafka_port: int | None = None,
    mlflow_port: int | None = None,
) -> Iterator[Services]:
    """Start both services at once, yield their addresses when both answer, stop both at the end.

    Args:
        data_dir: Their data, kept; ``kafka`` and ``mlflow`` below it.
        broker_jars: The folder of the broker's jars (``ensure_jars(...).broker``).
        environment: The environment variables both inherit.
        kafka_port: The broker's port; ``None`` takes a free one.
        mlflow_port: The tracking server's port; ``None`` takes a free one.

    Raises:
        SetupError: No usable Java, or one of them does not come up; the message has the end of its log.
    """
    with ExitStack() as stack:
        # The slower one first: it comes up while the broker's data folder is being prepared.
        tracking = stack.enter_context(
            start_tracking_server(data_dir / "mlflow", mlflow_port or free_port(), environment)
        )
        broker = stack.enter_context(
            start_broker(data_dir / "kafka", broker_jars, kafka_port or free_port(), environment)
        )
        broker.wait_ready()
        tracking.wait_ready()
        yield Services(broker.address, tracking.address, (broker.process, tracking.process))
