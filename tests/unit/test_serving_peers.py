"""Processes that share a port speak as one server."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streaming.models.served import ServedModel
from streaming.operations.http import HttpServer, Listening
from streaming.serving.app import serving_app
from streaming.serving.peer_routes import peer_app
from streaming.serving.peers import Peers, merged_metrics
from tests.support.servers import ServerBench, a_bench, event, flight_package, loaded


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[ServedModel]:
    folder = tmp_path_factory.mktemp("models")
    return [loaded(flight_package(folder / str(version), version)) for version in (1, 2)]


@contextmanager
def joined(*models: ServedModel | None) -> Iterator[list[ServerBench]]:
    """Servers that know of each other, each with its own socket."""
    with ExitStack() as stack:
        # A socket's path may have a hundred characters.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="peers-")))
        benches = [stack.enter_context(a_bench(model)) for model in models]
        for number, bench in enumerate(benches):
            bench.service = replace(bench.service, peers=Peers(folder, number))
            bench.app = serving_app(bench.service)
            stack.enter_context(answering(bench, folder / f"{number}.sock"))
        yield benches


@contextmanager
def answering(bench: ServerBench, socket: Path) -> Iterator[HttpServer]:
    server = HttpServer(peer_app(bench.service), "", 0, Listening(unix_socket=socket))
    server.start()
    try:
        yield server
    finally:
        server.stop()


def test_whichever_process_is_asked_shows_the_metrics_of_all(models: list[ServedModel]) -> None:
    with joined(models[0], models[0]) as (first, second):
        first.score([event(), event()])
        second.score(event())
        texts = [bench.ask("GET", "/metrics").text for bench in (first, second)]
    for text in texts:
        counts = {
            sample.labels["process"]: sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "penstock_served_events_total" and sample.labels["outcome"] == "prediction"
        }
        assert counts == {"0": 2.0, "1": 1.0}


def test_the_version_of_each_process_is_named_also_before_it_has_one(models: list[ServedModel]) -> None:
    with joined(models[0], models[1], None) as (first, second, _):
        described = [bench.ask("GET", "/v1/model").json() for bench in (first, second)]
    assert [answer["version"] for answer in described] == [1, 2]
    assert [answer["processes"] for answer in described] == [{"0": 1, "1": 2, "2": None}] * 2


def test_a_request_to_look_at_the_registry_reaches_all(models: list[ServedModel]) -> None:
    with joined(*models) as (first, second):
        assert first.ask("POST", "/model/reload").status_code == 202
        assert (first.woken, second.woken) == ([True], [True])


def test_a_process_that_died_is_left_out_and_its_successor_takes_its_socket(models: list[ServedModel]) -> None:
    with joined(*models) as (first, second):
        assert first.service.peers is not None
        path = first.service.peers.folder / "7.sock"
        with answering(second, path):
            pass
        assert path.exists()
        assert first.ask("GET", "/v1/model").json()["processes"] == {"0": 1, "1": 2}
        with answering(second, path):
            assert first.ask("GET", "/v1/model").json()["processes"] == {"0": 1, "1": 2, "7": 2}


def test_series_of_one_family_stay_together_and_keep_their_labels() -> None:
    text = b"""# HELP a_total As.
# TYPE a_total counter
a_total{x="1"} 2.0
# HELP b Bs.
# TYPE b gauge
b 1.0
"""
    assert merged_metrics({1: text, 0: text}).decode().splitlines() == [
        "# HELP a_total As.",
        "# TYPE a_total counter",
        'a_total{process="0",x="1"} 2.0',
        'a_total{process="1",x="1"} 2.0',
        "# HELP b Bs.",
        "# TYPE b gauge",
        'b{process="0"} 1.0',
        'b{process="1"} 1.0',
    ]
