"""The endpoint before slow, odd and hostile clients: it answers, bounds what it waits for, and is never at fault."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from http.client import HTTPConnection

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.models.slot import Slot
from streaming.operations import bounds
from streaming.operations.admin import Access, Controls
from streaming.operations.health import Health
from streaming.operations.http import HttpServer, Operations, create_app
from streaming.operations.metrics import Metrics
from streaming.operations.webhook import WebhookReceiver
from streaming.signing import sign
from streaming.testing import ManualClock

SECRET = "a shared secret"
PROBES = ("/metrics", "/livez", "/readyz", "/v1/model")
ORDERS = ("/v1/stop", "/v1/resume", "/v1/hold", "/webhooks/mlflow")
BOUND = 0.5


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    clock, slot = ManualClock(), Slot()
    controls = Controls("flights", lambda: None, lambda: True, lambda key, reason: "", lambda: True)
    receiver = WebhookReceiver(SECRET, "flights".__eq__, lambda: None, clock)
    operations = Operations(
        Metrics(clock, (1.0,)), Health(slot, clock), slot, receiver, (controls, Access("127.0.0.1"))
    )
    server = HttpServer(create_app(operations), "127.0.0.1", 0)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def client(server: HttpServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=10, trust_env=False) as client:
        yield client


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "REQUEST_SECONDS", BOUND)
    monkeypatch.setattr(bounds, "BODY_SECONDS", BOUND / 2)


@pytest.mark.parametrize("path", PROBES)
def test_a_probe_by_head_has_the_status_of_one_by_get_and_no_body(client: httpx.Client, path: str) -> None:
    by_get, by_head = client.get(path), client.head(path)
    assert by_head.status_code == by_get.status_code in (200, 503)
    assert by_head.content == b""
    assert by_head.headers["content-type"] == by_get.headers["content-type"]


def slowly(server: HttpServer, start: bytes, rest: bytes) -> bytes:
    """Send ``start``, then ``rest`` over and over, until the server ends it; return what it said."""
    began = time.monotonic()
    with closing(socket.create_connection(("127.0.0.1", server.port), timeout=BOUND / 10)) as line:
        line.sendall(start)
        output = b""
        while time.monotonic() - began < 20 * BOUND:
            try:
                if rest:
                    line.sendall(rest)
                actual = line.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                break
            output += actual
            if not actual:
                break
        else:
            pytest.fail("the server waits for ever")
    return output


@pytest.mark.parametrize(
    ("start", "rest", "answer"),
    [
        pytest.param(b"", b"", b"", id="a connection that says nothing"),
        pytest.param(b"GET /livez HT", b"", b"", id="half a line"),
        pytest.param(b"GET /livez HTTP/1.1\r\n", b"x: y\r\n", b"", id="headers without end"),
        pytest.param(
            b"POST /v1/hold HTTP/1.1\r\nhost: x\r\ncontent-length: 9999\r\n\r\n",
            b" ",
            b"408",
            id="a body that trickles",
        ),
        pytest.param(
            b"POST /webhooks/mlflow HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n",
            b"1\r\n \r\n",
            b"408",
            id="chunks without end",
        ),
        pytest.param(
            b"GET /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 9999\r\n\r\n", b"x", b"200", id="a body nobody reads"
        ),
        pytest.param(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\nGET /li", b"v", b"200", id="a second request"),
        pytest.param(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n", b"\r\n", b"200", id="blank lines after a request"),
        pytest.param(b"GET /livez HTTP/1.1\r\n", b"x: " + b"y" * 9_999 + b"\r\n", b"400", id="headers without bound"),
    ],
)
def test_a_request_that_never_ends_is_ended(
    server: HttpServer, quick: None, start: bytes, rest: bytes, answer: bytes
) -> None:
    output = slowly(server, start, rest)
    assert output.partition(b"\r\n")[0].startswith(b"HTTP/1.1 " + answer if answer else b"")


def test_a_request_may_come_byte_by_byte_and_two_at_once(server: HttpServer) -> None:
    request = b"POST /v1/resume HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"
    with closing(socket.create_connection(("127.0.0.1", server.port), timeout=5)) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for position in range(len(request)):
            line.sendall(request[position : position + 1])
        line.sendall(request * 2)
        line.sendall(request.replace(b"host: x", b"connection: close"))
        answers = b"".join(iter(lambda: line.recv(65_536), b""))
    assert answers.count(b"HTTP/1.1 200") == answers.count(b'{"detail":"resumed"}') == 4


def test_a_connection_that_is_used_for_longer_than_a_request_may_take_stays(server: HttpServer, quick: None) -> None:
    until = time.monotonic() + 2 * BOUND
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=5)) as line:
        line.connect()
        line.auto_open = 0  # a connection that was closed is not opened again
        while time.monotonic() < until:
            line.request("POST", "/v1/resume", b"{}")
            assert line.getresponse().read() == b'{"detail":"resumed"}'


DEEP = st.integers(1, 3_000).map(lambda depth: "[" * depth)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["version", "reason", "x"]), inner),
    max_leaves=6,
).map(json.dumps)
HOLDS = st.fixed_dictionaries(
    {"version": st.one_of(st.integers(), st.booleans(), st.floats(), st.text(max_size=3)), "reason": st.text()}
).map(json.dumps)
EVENTS = st.fixed_dictionaries(
    {"entity": st.sampled_from(["model_version", "model_version_alias", []]), "data": st.just({"name": "flights"})}
).map(json.dumps)
BODIES = st.one_of(st.binary(max_size=200), *(text.map(str.encode) for text in (DEEP, JSON, HOLDS, EVENTS)))
HEADERS = st.dictionaries(
    st.sampled_from(
        ["authorization", "origin", "content-type", "x-mlflow-timestamp", "x-mlflow-delivery-id", "expect"]
    ),
    st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=20).map(str.strip),
)


@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"]),
    st.sampled_from([*PROBES, *ORDERS, "/", "/v1", "/docs", "/openapi.json"]),
    st.text(max_size=10),
    HEADERS,
    BODIES,
    st.booleans(),
)
def test_no_request_is_answered_by_an_error_of_ours(
    client: httpx.Client, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes, signed: bool
) -> None:
    sent = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
    if signed:
        timestamp = str(int(ManualClock()().timestamp()))
        given = {"delivery-id": query.encode().hex() or "0", "timestamp": timestamp}
        signature = sign(SECRET, given["delivery-id"], timestamp, body)
        sent |= {
            f"x-mlflow-{name}".encode(): value.encode() for name, value in {**given, "signature": signature}.items()
        }
    reply = client.request(method, path, params={"q": query}, headers=list(sent.items()), content=body)
    documented = path in ("/readyz", "/v1/model") and method in ("GET", "HEAD")
    assert reply.status_code < 500 or (reply.status_code == 503 and documented)


@given(st.binary(min_size=1, max_size=300))
def test_bytes_that_are_no_request_harm_nobody(server: HttpServer, client: httpx.Client, junk: bytes) -> None:
    with closing(socket.create_connection(("127.0.0.1", server.port), timeout=5)) as line:
        line.sendall(junk)
    assert client.get("/livez").status_code == 200
