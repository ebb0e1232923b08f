"""What every test may ask for. Nothing heavy is imported here: unit tests must start at once."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from structlog.dev import ConsoleRenderer, plain_traceback

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tests.support.kafka import MakeTopic
    from tests.support.workers import ByLevel

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".penstock"
LIBRARIES = ("py4j", "httpx", "httpcore", "urllib3", "mlflow", "alembic", "uvicorn", "asyncio", "docker")
LEVELS = ("unit", "spark", "broker", "e2e")

# Examples that are the same each time, so that whoever runs the tests finds what we found, and none that is counted out
# by the clock on a busy machine. `make fuzz` draws others, and many more.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("fuzz", max_examples=2_000, deadline=None, print_blob=True)
settings.load_profile("fixed")


def pytest_configure() -> None:
    """Set up what is about the whole run."""
    # Most of the tests' JVMs live for seconds, in which optimising takes more of two cores than it ever gives back. The
    # shared session fills the little room that this leaves for code, and then throws away what it has just compiled.
    os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m")
    # Without a main module that has a file pyspark takes pytest-xdist's workers for doctests and exits.
    main = sys.modules["__main__"]
    if getattr(main, "__file__", None) is None:
        main.__file__ = __file__
    # structlog's own would have rich draw the locals of every frame, for seconds where these hold a model.
    ConsoleRenderer.get_active().exception_formatter = plain_traceback


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByLevel:
    """Say which worker runs what, where there are several."""
    from tests.support.workers import ByLevel

    return ByLevel(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test the marker of its folder; in unit tests a warning is an error."""
    tests = ROOT / "tests"
    for item in items:
        level = item.path.relative_to(tests).parts[0]
        if level in LEVELS:
            item.add_marker(level)
        if level == "unit":
            item.add_marker(pytest.mark.filterwarnings("error"), append=False)


@pytest.fixture(autouse=True)
def _no_secrets_left() -> Iterator[None]:
    """What one test configured as a secret must not be masked in another's text."""
    from streaming import redaction

    yield
    redaction.forget()


@pytest.fixture(autouse=True)
def _logging_restored() -> Iterator[None]:
    """A verb that runs in the tests' process configures logging; the next test has it as it was."""
    import structlog

    root, levels = logging.getLogger(), {name: logging.getLogger(name).level for name in LIBRARIES}
    handlers, level = root.handlers[:], root.level
    yield
    if not structlog.is_configured():
        return
    structlog.reset_defaults()
    logging.captureWarnings(False)
    root.handlers, root.level = handlers, level
    for name, value in levels.items():
        logging.getLogger(name).setLevel(value)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout's folder."""
    return ROOT


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The bootstrap servers of a real Kafka broker."""
    from tests.support.kafka import a_broker

    with a_broker(HOME, tmp_path_factory.mktemp("broker")) as address:
        yield address


@pytest.fixture(scope="session")
def make_topic(broker: str) -> MakeTopic:
    """Create a topic with a name of its own: ``make_topic("features", partitions=4, retention_ms=-1)``."""
    from tests.support.kafka import topic_maker

    return topic_maker(broker)


@pytest.fixture(scope="session")
def tracking_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a real MLflow tracking server with served artifacts."""
    from streaming.local.processes import free_port
    from streaming.local.tracking import start_tracking_server

    with start_tracking_server(tmp_path_factory.mktemp("mlflow"), free_port(), os.environ) as server:
        server.wait_ready()
        yield server.address


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The one Spark session of a test run, with the Kafka connector on its class path."""
    from tests.support.sparks import a_session

    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = a_session(HOME, tmp_path_factory.mktemp("spark"))
    yield session
    session.stop()
