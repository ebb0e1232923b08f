"""Cases of configuration, errors and secrets, and of the library's parts that need no service."""

from __future__ import annotations

import subprocess
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.field.rig import HOME, Cases, Result, Rig, run_python
from tests.support.commands import command, environment

CASES = Cases()

LEAK = """
kafka:
  sasl.oauthbearer.config: 'principal=x secret=Shown-1'
  sasl.oauthbearer.assertion.private.key.passphrase: Shown-2
model: {tracking_uri: "http://user:Shown-3@127.0.0.1:5000"}
hooks: {webhook_url: "https://hooks.example.com/services/T0/B0/Shown-4?token=Shown-5"}
spark:
  conf:
    spark.hadoop.fs.azure.account.key.x.dfs.core.windows.net: Shown-6
    spark.driver.extraJavaOptions: -Djavax.net.ssl.trustStorePassword=Shown-7
"""
TWICE = (
    "model:\n  name: rides\n  alias: champion\noutput:\n  predictions: rides.predictions\n"
    "output:\n  drift: rides.drift\nmodel:\n  poll_seconds: 3\n"
)


@CASES.add("77 a section written twice", "refused with the key and both lines")
def section_twice(rig: Rig) -> Result:
    folder = rig.scratch("s77")
    (folder / "p.yaml").write_text(TWICE)
    return rig.penstock("config", "validate", "-c", "p.yaml", cwd=folder).expect(2, "output", "4", "6")


@CASES.add("78 a variable with one underscore", "the variable that was meant is named")
def one_underscore(rig: Rig) -> Result:
    folder = rig.scratch("s78")
    result = rig.penstock("config", "validate", cwd=folder, variables={"PENSTOCK_MODEL_ALIAS": "challenger"})
    assert "PENSTOCK_MODEL__ALIAS" in result.text, result.text
    return result


@CASES.add("79 Kubernetes' variables of a service called penstock", "harmless")
def kubernetes(rig: Rig) -> Result:
    variables = {
        "PENSTOCK_PORT": "tcp://10.0.0.1:80",
        "PENSTOCK_SERVICE_HOST": "10.0.0.1",
        "PENSTOCK_PORT_80_TCP_ADDR": "10.0.0.1",
        "PENSTOCK_SERVICE_PORT_HTTP": "80",
    }
    return rig.penstock("config", "validate", cwd=rig.scratch("s79"), variables=variables).expect(0)


@CASES.add("81 --config -", "standard input is read")
def standard_input(rig: Rig) -> Result:
    ended = subprocess.run(
        command("config", "show", "--config", "-"),
        input="application: piped\n",
        env=environment(),
        cwd=rig.scratch("s81"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Result(ended.returncode, ended.stdout + ended.stderr).expect(0, "piped")


@CASES.add("b4 secrets in config show", "none is shown")
def config_show(rig: Rig) -> Result:
    folder = rig.scratch("b4")
    (folder / "p.yaml").write_text(LEAK)
    result = rig.penstock("config", "show", "-c", "p.yaml", cwd=folder).expect(0)
    assert "Shown-" not in result.text, result.text
    return result


@CASES.add("b2 a password in tracking_uri", "the message of an unreachable registry has it masked")
def password_in_message(rig: Rig) -> str:
    from streaming.adapters.mlflow.registry import MlflowRegistry
    from streaming.errors import RegistryUnavailableError
    from streaming.models.ref import ModelSelector

    registry = MlflowRegistry("http://user:UrlPw-777@127.0.0.1:9", 1.0)
    with pytest.raises(RegistryUnavailableError) as caught:
        registry.resolve(ModelSelector("penstock-demo", "alias", "champion"))
    assert "UrlPw-777" not in str(caught.value), str(caught.value)
    return str(caught.value)[:120]


@CASES.add("b3 log.level: debug", "no password is logged")
def debug_log(rig: Rig) -> str:
    result = run_python("tests.field.debug_log")
    assert "spark-started" in result.text, result.text[-800:]
    assert "SaslPw-1" not in result.text
    return f"{len(result.text.splitlines())} lines, no password"


@CASES.add("83 a read-only folder", "one sentence and exit 2 for setup, up and record")
def read_only(rig: Rig) -> Result:
    folder = rig.scratch("s83")
    (folder / "ro").mkdir()
    mount = "mount --bind ro ro && mount -o remount,ro,bind ro && cd ro && "
    for verb in ("setup", "up --detach --kafka-port 29192 --mlflow-port 25100", "record --topic features --out here"):
        line = " ".join(command(*verb.split()))
        ended = subprocess.run(
            ["unshare", "-m", "sh", "-c", mount + line],
            cwd=folder,
            env=environment(KAFKA_BOOTSTRAP_SERVERS=rig.servers),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        result = Result(ended.returncode, ended.stdout + ended.stderr).expect(2)
    return result


@CASES.add("84 odd paths", "one sentence and exit 2")
def odd_paths(rig: Rig) -> Result:
    folder = rig.scratch("s84")
    rig.penstock("record", "--topic", "features", "--out", "x" * 300, cwd=folder).expect(2)
    return rig.penstock("record", "--topic", "features", "--out", "/dev/null/x", cwd=folder).expect(2, "/dev/null/x")


@CASES.add("26 ledger show --type nosuch", "exit 2 with the types that there are")
def no_such_type(rig: Rig) -> Result:
    return rig.penstock("ledger", "show", "--type", "nosuch", cwd=rig.scratch("s26")).expect(2, "nosuch")


@CASES.add("b6 {version: true}", "versions are whole numbers")
def hold_true(rig: Rig) -> str:
    from streaming.operations.admin import Hold

    for body in (
        '{"version": true, "reason": "x"}',
        '{"version": "7", "reason": "x"}',
        '{"version": 7.5, "reason": "x"}',
    ):
        try:
            raise AssertionError(f"{body} holds {Hold.model_validate_json(body).version}")
        except ValueError:
            continue
    return "422, 422, 422"


@CASES.add("b9 100,000 brackets in a signed webhook", "answered 400")
def brackets(rig: Rig) -> str:
    from streaming.operations.webhook import WebhookReceiver
    from streaming.signing import sign

    receiver = WebhookReceiver("s", "m".__eq__, lambda: None, lambda: datetime.now(timezone.utc))
    body, now = b"[" * 100_000, str(int(time.time()))
    headers = {"x-mlflow-delivery-id": "1", "x-mlflow-timestamp": now, "x-mlflow-signature": sign("s", "1", now, body)}
    answer = receiver.receive(headers, body)
    assert "500" not in str(answer), answer
    return str(answer)[:120]


@CASES.add("b1 the last good version in the cache", "refused candidates do not evict it")
def last_good(rig: Rig) -> str:
    from streaming.models.cache import ModelCache
    from streaming.models.ref import ModelKey, ModelVersion

    def version(number: int) -> ModelVersion:
        return ModelVersion("m", number, "run", "src", (), "None", {}, "READY", 0)

    def download(version: ModelVersion, target: Path) -> None:
        (target / "MLmodel").write_text(f"version {version.version}")

    folder = Path(tempfile.mkdtemp(dir=rig.folder))
    first = ModelCache(folder, 3, 10**9)
    serving = first.fetch(version(8), download)
    for refused in (3, 7):
        first.release(first.fetch(version(refused), download).root)
        first.collect()
    first.release(serving.root)
    second = ModelCache(folder, 3, 10**9)
    second.release(second.fetch(version(10), download).root)
    assert second.recall(ModelKey("m", 8)) is not None
    return "v8 is there"


@CASES.add("b5 a wrong SASL password", "the broker's own words, exit 2")
def wrong_password(rig: Rig) -> Result:
    from tests.support.accounts import a_guarded_broker

    folder = rig.scratch("b5")
    with a_guarded_broker(HOME, folder / "broker") as broker:
        sets = [f"kafka.{key}={value}" for key, value in broker.settings(password="wrong").items()]
        arguments = [part for text in sets for part in ("--set", text)]
        result = rig.penstock("topics", *arguments, cwd=folder)
    return result.expect(2, "does not accept", "Invalid username or password")


@CASES.add("bucketizer of several columns", "each column's range is guarded")
def guarded_buckets(rig: Rig) -> str:
    return run_python("tests.field.guards").expect(0, "single 1", "multi 1").last_line


@CASES.add("drift of a column without a reference", "judged by its special bins, with and without windows")
def without_reference(rig: Rig) -> str:
    from streaming.drift.decision import DetectionRules, WindowCounts, WindowJudge
    from streaming.drift.dispersion import learn
    from streaming.models.profile import NULL_BIN, ColumnProfile, ReferenceProfile

    bare = ColumnProfile("gust", "numeric", {NULL_BIN: 20000}, (), (), (0.0,), 0.0)
    window = WindowCounts(0, 3600, 1000, 0, ({NULL_BIN: 900, 0: 100},))
    verdict, *_ = WindowJudge(ReferenceProfile((bare,), 20000), DetectionRules()).judge(window)
    assert verdict.signal, verdict
    windowed = ColumnProfile("gust", "numeric", {NULL_BIN: 20000}, (), (), (0.0,), 0.0, ({NULL_BIN: 2000},) * 10)
    WindowJudge(ReferenceProfile((windowed,), 20000, 3600.0), DetectionRules()).judge(window)
    learn([ColumnProfile("confidence", "numeric", {NULL_BIN: 4000}, windows=tuple({NULL_BIN: 200} for _ in range(20)))])
    return f"{verdict.severity.value} by {verdict.column}"


@CASES.add("reference windows of a season", "windows in which nothing changed do not signal")
def seasons(rig: Rig) -> str:
    from tests.field.seasons import CALENDARS, share_of_signals

    shares = {name: share_of_signals(*calendar) for name, calendar in CALENDARS.items()}
    assert max(shares.values()) <= 0.03, shares
    return f"at most {max(shares.values()):.1%} of windows in {len(shares)} calendars"
