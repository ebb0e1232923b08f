"""The load of `make bench-serve` is open: what is late counts from when it was due, and nothing is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.peers import environments
from benchmarks.serve.__main__ import MLSERVER, measure_peer
from benchmarks.serve.load import LoadFigures, LoadOrder, measure, sustained
from benchmarks.serve.servers import Exhibit, _with_outputs
from streaming.operations.http import HttpServer


async def answer(request: Request) -> Response:
    body = await request.body()
    status, _, seconds = body.partition(b" ")
    await asyncio.sleep(float(seconds or b"0"))
    return Response(b"x" * 5_000, int(status), {"penstock-model-version": str(int(status) % 7)})


@pytest.mark.parametrize(
    ("bodies", "errors", "versions"),
    [
        pytest.param([b"200"], 0, {"4": 40}, id="all is well"),
        pytest.param([b"200", b"503"], 20, {"4": 20, "6": 20}, id="every second fails"),
    ],
)
def test_every_request_is_answered_and_counted(
    tmp_path: Path, bodies: list[bytes], errors: int, versions: dict[str, int]
) -> None:
    measured = sent(tmp_path, bodies, rate=200, connections=4)
    assert (measured.requests, measured.errors, measured.versions) == (40, errors, versions)
    assert 0 < measured.p50_ms <= measured.p99_ms <= measured.max_ms


def test_a_request_that_waits_behind_slow_ones_is_slow(tmp_path: Path) -> None:
    """Twenty a second of 0.1 s each, one at a time, take twice as long as there is."""
    measured = sent(tmp_path, [b"200 0.1"], rate=20, connections=1)
    assert measured.errors == 0
    assert measured.max_ms > 700


def sent(folder: Path, bodies: list[bytes], rate: float, connections: int) -> LoadFigures:
    path = folder / "bodies"
    path.write_bytes(b"\n".join(bodies))
    server = HttpServer(Starlette(routes=[Route("/score", answer, methods=["POST"])]), "127.0.0.1", 0)
    server.start()
    try:
        order = LoadOrder(server.port, "/score", str(path), rate, 40 / rate if rate > 40 else 0.8, connections)
        return asyncio.run(measure(order))
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("p99_ms", "errors", "expected"), [(4.9, 0, True), (5.0, 0, False), (1.0, 1, False), (float("inf"), 3, False)]
)
def test_a_rate_is_sustained_without_errors_and_below_five_milliseconds(
    p99_ms: float, errors: int, expected: bool
) -> None:
    measured = LoadFigures(requests=10, rps=1.0, p50_ms=0.5, p99_ms=p99_ms, max_ms=9.0, errors=errors)
    assert sustained(measured) is expected


def test_a_server_that_is_not_installed_is_left_out_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "HOME", tmp_path)
    result = measure_peer(MLSERVER, Exhibit(tmp_path, "http://127.0.0.1:1", "flights"), Console(quiet=True))
    assert list(result) == ["left_out"]
    assert "make bench-serve" in result["left_out"]


def test_mlserver_gets_a_copy_whose_signature_has_outputs(tmp_path: Path) -> None:
    tree = tmp_path / "model"
    tree.mkdir()
    (tree / "MLmodel").write_text(yaml.safe_dump({"signature": {"inputs": "[]", "outputs": None}}))
    copy = _with_outputs(tree, tmp_path / "copy")
    assert "prediction" in yaml.safe_load((copy / "MLmodel").read_text())["signature"]["outputs"]
    assert yaml.safe_load((tree / "MLmodel").read_text())["signature"]["outputs"] is None
