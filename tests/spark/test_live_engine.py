"""What the live engine does when its queries do not even start."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, cast

import pytest
from pyspark.errors import PySparkException

from streaming.clock import system_clock
from streaming.delivery.marks import Writer
from streaming.engines.failures import Failures, Restarts
from streaming.engines.generation import Generation
from streaming.engines.live import LiveEngine
from streaming.engines.live_ports import LivePorts
from tests.support.engine import NEVER
from tests.unit.test_engines_failures import Told


class NeverStarts:
    """Starts no query, whatever it is asked."""

    def start(self, starting: Mapping[int, int]) -> Generation:
        raise PySparkException("no plan")


def test_a_query_that_fails_without_a_record_is_given_up_and_not_tried_for_ever() -> None:
    told = Told()
    marks = {0: 7, 1: 7}
    unused = cast(Any, None)
    ports = LivePorts(
        cast(Any, NeverStarts()), unused, unused, unused, lambda: marks, lambda: marks, unused,
        lambda: cast(Any, object()), cast(Any, told), NEVER, system_clock,
    )  # fmt: skip
    engine = LiveEngine(
        ports, Writer("app", "features", "id", 1), Failures(Restarts(0.01, 3), told, _never()), _never()
    )
    with pytest.raises(PySparkException, match="no plan"):  # and not exit code 4: no service is to blame
        engine.run()
    assert told.pauses == [0.01, 0.02, 0.04]


def _never() -> threading.Event:
    return threading.Event()
