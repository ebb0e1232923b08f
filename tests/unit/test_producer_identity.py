"""What the writer's producers are configured with."""

from __future__ import annotations

import pytest

from streaming.delivery.marks import Writer
from streaming.delivery.producers import Identity
from streaming.delivery.write_order import Limits

WRITER = Writer("app", "features", "id", 1)


@pytest.mark.parametrize(
    ("client", "compression"),
    [
        pytest.param({}, {"compression.type": "lz4"}, id="nothing is said"),
        pytest.param({"compression.type": "none"}, {"compression.type": "none"}, id="by Kafka's name"),
        pytest.param({"compression.codec": "zstd"}, {"compression.codec": "zstd"}, id="by librdkafka's name"),
    ],
)
def test_records_are_compressed_by_lz4_unless_the_job_says_otherwise(
    client: dict[str, str], compression: dict[str, str]
) -> None:
    settings = dict(Identity.of(client, WRITER, Limits(1, 60_000), 0).settings)

    assert {name: value for name, value in settings.items() if name.startswith("compression")} == compression


def test_what_exactly_once_depends_on_cannot_be_set_otherwise() -> None:
    client = {"acks": "1", "enable.idempotence": "false"}

    settings = dict(Identity.of(client, WRITER, Limits(1, 60_000), 0).settings)

    assert settings["acks"] == "all"
    assert settings["enable.idempotence"] == "true"
