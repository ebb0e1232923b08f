"""What MLflow refuses, or does not take, is the operator's matter: exit code 2, and MLflow's own remedy."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from jobs.command import main as cli
from streaming.adapters.mlflow.registry import MlflowRegistry
from streaming.adapters.mlflow.tracking import MlflowTracker
from streaming.errors import ConfigurationError, ModelNotFoundError, RegistryUnavailableError
from streaming.models.ref import ModelSelector

CHAMPION = ModelSelector("shop", "alias", "champion")


class Answer(BaseHTTPRequestHandler):
    """Says the status that the path begins with, in MLflow's JSON or, as a proxy would, in plain text."""

    def do_GET(self) -> None:
        _, status, form, *_ = self.path.split("/")
        codes = {"403": "PERMISSION_DENIED", "404": "RESOURCE_DOES_NOT_EXIST", "500": "INTERNAL_ERROR"}
        body = json.dumps({"error_code": codes.get(status, "UNAUTHENTICATED"), "message": "no"})
        self.send_response(int(status))
        self.end_headers()
        self.wfile.write(body.encode() if form == "json" else b"You are not authenticated.")

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def _as_rita(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "rita")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "not to be shown")


@pytest.mark.usefixtures("_as_rita")
@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        pytest.param("401/text", ConfigurationError, "not accept the credentials of rita; set MLFLOW_TR", id="401"),
        pytest.param("401/json", ConfigurationError, "does not accept the credentials of rita", id="401 in JSON"),
        pytest.param("403/json", ConfigurationError, "READ on the registered model of shop@champion to rita", id="403"),
        pytest.param("403/text", ConfigurationError, "to rita", id="403 in text"),
        pytest.param("404/json", ModelNotFoundError, "is not in the registry", id="not there"),
        pytest.param("500/json", RegistryUnavailableError, "gave no answer", id="the server's fault"),
    ],
)
def test_a_refusal_is_told_from_silence(answer: str, kind: type[Exception], message: str, address: str) -> None:
    with pytest.raises(kind) as caught:
        MlflowRegistry(f"{address}/{answer}", 5.0).resolve(CHAMPION)
    assert type(caught.value) is kind
    assert message in str(caught.value)
    assert "not to be shown" not in str(caught.value)


@pytest.mark.usefixtures("_as_rita")
def test_so_it_is_where_a_run_is_recorded(address: str) -> None:
    with (
        pytest.raises(ConfigurationError, match=r"grant EDIT on the experiment .* to rita"),
        MlflowTracker(f"{address}/403/json").run("experiment", "name"),
    ):
        pass


@pytest.mark.parametrize(
    ("uri", "remedy"),
    [
        pytest.param("./mlruns", "mlflow migrate-filestore", id="a file store"),
        pytest.param("file:///somewhere/mlruns", "mlflow migrate-filestore", id="a file store's URI"),
        pytest.param("ftp://somewhere/mlflow", "Supported URI schemes", id="a scheme that there is not"),
        pytest.param("sqlite:////dev/null/x.db", "/dev/null", id="a database that cannot be"),
    ],
)
def test_an_address_that_mlflow_does_not_take_is_one_message(
    uri: str, remedy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text('{"x": 1}\n')
    settings = ["--set", f"model.tracking_uri={uri}", "--set", "model.name=shop", "--set", "model.alias=champion"]
    monkeypatch.setattr(sys, "argv", ["penstock", "batch", "--in", "rows.jsonl", "--out", "out", *settings])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    output = capsys.readouterr().err
    assert ended.value.code == 2, output
    assert "Traceback" not in output
    assert f"MLflow does not take {uri} as the tracking server" in output
    assert remedy in output
