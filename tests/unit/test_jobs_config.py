from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from jobs.configuration.load import load_settings
from streaming.errors import ConfigurationError
from streaming.redaction import MASK, redact
from streaming.settings import Settings


def test_the_command_line_beats_the_environment_beats_the_file_beats_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text("input: {topic: from-file, max_rows_per_batch: 1, max_value_bytes: 2}\nmodel: {name: from-file}\n")
    environment = {"PENSTOCK_INPUT__TOPIC": "from-environment", "PENSTOCK_INPUT__MAX_ROWS_PER_BATCH": "3"}

    settings = load_settings(file, ["input.topic=from-command-line"], environment)

    assert settings.input.topic == "from-command-line"
    assert settings.input.max_rows_per_batch == 3
    assert settings.input.max_value_bytes == 2
    assert settings.model.name == "from-file"
    assert settings.input.starting == "earliest"


@pytest.mark.parametrize(
    ("overrides", "environment", "key"),
    [
        pytest.param(["kafka.security.protocol=SSL"], {}, "security.protocol", id="set"),
        pytest.param([], {"PENSTOCK_KAFKA__SECURITY_PROTOCOL": "SSL"}, "security.protocol", id="variable"),
    ],
)
def test_kafkas_dotted_keys_can_be_given_anywhere(overrides: list[str], environment: dict[str, str], key: str) -> None:
    kafka = load_settings(None, overrides, environment).kafka
    assert kafka == {"bootstrap.servers": "127.0.0.1:9092", key: "SSL"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("spark.conf.spark.ui.port=4", {"spark.ui.port": "4"}), ("spark.conf={a.b: true}", {"a.b": "true"})],
    ids=["dotted", "map"],
)
def test_sparks_settings_are_text(text: str, expected: dict[str, str]) -> None:
    assert load_settings(None, [text], {}).spark.conf == expected


def test_a_secret_of_digits_keeps_its_leading_zero() -> None:
    settings = load_settings(None, [], {"PENSTOCK_HTTP__WEBHOOK_SECRET": "0123"})
    assert settings.http.webhook_secret is not None
    assert settings.http.webhook_secret.get_secret_value() == "0123"


@pytest.mark.parametrize(
    "setting", ["serve.api_key", "http.admin_token", "http.webhook_secret", "hooks.webhook_secret"]
)
@pytest.mark.parametrize("value", ["", " ", "${KEY}"], ids=["nothing", "a blank", "a variable of nothing"])
def test_an_empty_secret_is_none_only_if_the_settings_say_so(setting: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{setting} .*: is empty; set it to the secret, or to null for none"):
        load_settings(None, [f"{setting}={value}"], {"KEY": ""})
    assert load_settings(None, [f"{setting}=null"], {}) == Settings()


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("${PASSWORD}", "sasl.password", "pa$$word"),
        ("user ${PASSWORD};", "sasl.jaas.config", "user pa$$word;"),
        ("file:{folder}/secret", "sasl.password", "from a file"),
        ("${file:{folder}/secret}", "client.id", "from a file"),
        ("$${PASSWORD}", "client.id", "${PASSWORD}"),
        ("file:/not/a/secret", "ssl.ca.location", "file:/not/a/secret"),
    ],
    ids=["variable", "inside text", "secret file", "file anywhere", "escaped", "path that stays"],
)
def test_references_are_replaced(tmp_path: Path, text: str, key: str, expected: str) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    text = text.replace("{folder}", str(tmp_path))
    settings = load_settings(None, [f"kafka.{key}={text}"], {"PASSWORD": "pa$$word"})
    assert settings.kafka[key] == expected


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"])
def test_mlflows_own_variables_count_where_nothing_else_is_set(name: str) -> None:
    key = name.removeprefix("MLFLOW_").lower()
    environment = {name: "http://elsewhere"}
    assert getattr(load_settings(None, [], environment).model, key) == "http://elsewhere"
    assert getattr(load_settings(None, [f"model.{key}=http://here"], environment).model, key) == "http://here"


def test_kafkas_usual_variable_counts_where_nothing_else_is_set() -> None:
    environment = {"KAFKA_BOOTSTRAP_SERVERS": "elsewhere:9092"}
    assert load_settings(None, [], environment).kafka["bootstrap.servers"] == "elsewhere:9092"
    overrides = ["kafka.bootstrap.servers=here:9092"]
    assert load_settings(None, overrides, environment).kafka["bootstrap.servers"] == "here:9092"


def test_null_unsets_what_the_file_has(tmp_path: Path) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text("model: {alias: champion}\n")
    model = load_settings(file, ["model.alias=null", "model.stage=Production"], {}).model
    assert (model.alias, model.stage) == (None, "Production")


@pytest.mark.parametrize(
    ("overrides", "environment", "parts"),
    [
        (["model.alais=x"], {}, ["model.alais", "--set model.alais", "did you mean alias?"]),
        ([], {"PENSTOCK_MODEL__ALAIS": "x"}, ["model.alais", "PENSTOCK_MODEL__ALAIS", "did you mean alias?"]),
        (["modle.alias=x"], {}, ["modle", "did you mean model?"]),
        (["input.max_rows_per_batch=-1"], {}, ["input.max_rows_per_batch", "greater than 0", "'-1'"]),
        (["model.alias=a", "model.stage=b"], {}, ["model.alias and model.stage are both set; keep one"]),
        (["model=3"], {}, ["model (--set model)", "must be a section, with `key: value` lines below it, not '3'"]),
        (["model.version=0"], {}, ["model.version", "greater than 0", "'0'"]),
        (["serve.timeout_seconds=inf"], {}, ["serve.timeout_seconds", "finite number", "'inf'"]),
        (["output.predictions=features"], {}, ["output.predictions and input.topic are both 'features'"]),
        (["output.quality=features.dlq"], {}, ["output.quality and output.dead_letters are both 'features.dlq'"]),
        (["quality.labels=drift"], {}, ["output.drift and quality.labels are both 'drift'"]),
        (["input.topic=predictions.shadow"], {}, ["output.shadow and input.topic are both 'predictions.shadow'"]),
        (
            ["models.route={field: t, model: '{t}', unknown: default, default: a/b}"],
            {},
            ["models.route.default", "must be a registered model's name", "no slash, colon or brace, not 'a/b'"],
        ),
        (["kafka.bootstrap.servers=a:9092,b"], {}, ["kafka.bootstrap.servers", "'b' is not host:port"]),
        (["input.topic=my topic"], {}, ["input.topic", "1 to 249 letters, digits, dots", "not 'my topic'"]),
        (["application=-x"], {}, ["application", "begin with a letter or digit, not '-x'"]),
        (["engine.lease_seconds=soon"], {}, ["should be a valid integer, not 'soon'"]),
        (["nonsense"], {}, ["--set nonsense", "key=value"]),
        (["model.features={"], {}, ["--set model.features", "not a YAML value"]),
        (["kafka.sasl.password=${ABSENT}"], {}, ["sasl.password", "ABSENT", "not set"]),
        (["kafka.sasl.password=file:/absent"], {}, ["sasl.password", "/absent", "cannot be read"]),
        (["model.features={a: long, a: double}"], {}, ["--set model.features", "the key a is written twice"]),
        ([], {"PENSTOCK_SPARK__CONF": "{a: 1, a: 2}"}, ["PENSTOCK_SPARK__CONF", "the key a is written twice"]),
        (["kafka.bootstrap.servers="], {}, ["kafka.bootstrap.servers is missing", "host:port"]),
    ],
)
def test_a_mistake_is_named_with_its_source_and_remedy(
    overrides: list[str], environment: dict[str, str], parts: list[str]
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load_settings(None, overrides, environment)
    assert [part for part in parts if part not in str(raised.value)] == []


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (None, "cannot be read"),
        ("a: [", "is not valid YAML: line 1"),
        ("model: {name: a}\nlog: {}\nmodel: {alias: b}\n", "the key model is written twice, in lines 1 and 3"),
        ("- a\n", "must hold `key: value`"),
        ("nope: 1", "unknown key"),
        ("model:\n", "model .*must be a section, with `key: value` lines below it, not null"),
    ],
    ids=["absent", "broken", "a section twice", "a list", "unknown key", "a section without keys"],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, content: str | None, part: str) -> None:
    file = tmp_path / "penstock.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigurationError, match=part) as raised:
        load_settings(file, [], {})
    assert str(file) in str(raised.value)


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        pytest.param(b"\xef\xbb\xbfinput: {topic: clicks}\r\n", "clicks", id="settings"),
        pytest.param(b"", "features", id="nothing"),
    ],
)
def test_a_dash_reads_standard_input(monkeypatch: pytest.MonkeyPatch, text: bytes, topic: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert load_settings(Path("-"), [], {}).input.topic == topic


@pytest.mark.parametrize(
    ("text", "part"),
    [
        pytest.param(b"input: {topic: a}\ninput: {}", "on standard input is not valid YAML", id="a section twice"),
        pytest.param(b"input: {topci: a}", "input.topci (standard input): unknown key", id="unknown key"),
    ],
)
def test_a_mistake_on_standard_input_is_named_so(monkeypatch: pytest.MonkeyPatch, text: bytes, part: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    with pytest.raises(ConfigurationError) as raised:
        load_settings(Path("-"), [], {})
    assert part in str(raised.value)


CANARY = "Canary-7"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("kafka: {sasl.password: Canary-7}", id="password"),
        pytest.param("kafka: {sasl.oauthbearer.config: 'principal=x secret=Canary-7'}", id="OAUTHBEARER"),
        pytest.param("kafka: {sasl.oauthbearer.assertion.private.key.passphrase: Canary-7}", id="passphrase"),
        pytest.param("kafka: {sasl.jaas.config: 'X required password=\"Canary-7\";'}", id="JAAS"),
        pytest.param("kafka: {sasl: {password: Canary-7}}", id="Kafka's keys nested by mistake"),
        pytest.param("kafka: {client.id: '${file:FOLDER/secret}'}", id="a secret file at an open key"),
        pytest.param("kafka: {ssl.key.pem: file:FOLDER/secret}", id="a secret file"),
        pytest.param("kafka: {client.id: 'a ${MY_TOKEN}'}", id="a variable that is called a secret"),
        pytest.param("model: {tracking_uri: 'http://user:Canary-7@h:5000'}", id="tracking server"),
        pytest.param("model: {registry_uri: 'postgresql://u:Canary-7@h/db'}", id="registry"),
        pytest.param("hooks: {webhook_url: 'https://h/services/Canary-7'}", id="webhook's path"),
        pytest.param("hooks: {webhook_url: 'https://h/services?token=Canary-7'}", id="webhook's query"),
        pytest.param("hooks: {webhook_url: 'file:FOLDER/secret'}", id="webhook in a file"),
        pytest.param("http: {admin_token: Canary-7}", id="our own"),
        pytest.param("spark: {conf: {spark.hadoop.fs.azure.account.key.x.net: Canary-7}}", id="Azure"),
        pytest.param("spark: {conf: {spark.hadoop.fs.s3a.secret.key: Canary-7}}", id="S3"),
        pytest.param("spark: {conf: {spark.driver.extraJavaOptions: -DtrustStorePassword=Canary-7}}", id="-D"),
        pytest.param("engine: {checkpoint: 's3a://key:Canary-7@bucket/x'}", id="storage"),
    ],
)
def test_a_secret_is_not_shown_wherever_it_is_configured(tmp_path: Path, text: str) -> None:
    (tmp_path / "secret").write_text(f"{CANARY}\n")
    file = tmp_path / "penstock.yaml"
    file.write_text(text.replace("FOLDER", str(tmp_path)))
    settings = load_settings(file, [], {"MY_TOKEN": CANARY})
    assert CANARY in str(settings.model_dump()) + str(settings.http.admin_token and CANARY)
    assert CANARY not in str(settings.redacted())
    assert MASK in str(settings.redacted())
    assert CANARY not in redact(f"later, somewhere: {CANARY}") or "webhook" in text


@pytest.mark.parametrize(
    ("content", "overrides", "environment"),
    [
        pytest.param("kafka:\n  sasl.password: Canary-7\n x: [", [], {}, id="YAML beside it"),
        pytest.param("kafka: [sasl.password=Canary-7]", [], {}, id="a list in place of keys"),
        pytest.param("kafka: 'sasl.password=Canary-7'", [], {}, id="text in place of keys"),
        pytest.param("http: {admin_token: [Canary-7]}", [], {}, id="of another type"),
        pytest.param("http: {admin_token: {a: Canary-7}}", [], {}, id="a mapping in its place"),
        pytest.param("hooks: {webhook_url: [https://h/Canary-7]}", [], {}, id="a webhook of another type"),
        pytest.param("model: {tracking_uri: [http://u:Canary-7@h]}", [], {}, id="a URL of another type"),
        pytest.param("http: {amdin_token: Canary-7}", [], {}, id="a misspelt key"),
        pytest.param("http: {admin_token: Canary-7, port: Canary-7}", [], {}, id="the same value elsewhere"),
        pytest.param("", ["kafka.sasl.password:Canary-7"], {}, id="--set with a colon"),
        pytest.param("", ["http.admin_token={Canary-7"], {}, id="--set, broken YAML"),
        pytest.param("", [], {"PENSTOCK_HTTP__ADMIN_TOKEN": "{Canary-7"}, id="variable, broken YAML"),
        pytest.param("", [], {"PENSTOCK_HTTP_ADMIN_TOKEN": "Canary-7"}, id="variable that names no setting"),
    ],
)
def test_a_mistake_does_not_repeat_a_secret(
    tmp_path: Path, content: str, overrides: list[str], environment: dict[str, str]
) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text(content)
    with pytest.raises(ConfigurationError) as raised:
        load_settings(file, overrides, environment)
    assert CANARY not in str(raised.value)


def test_a_secret_in_the_environment_of_other_tools_is_masked_too() -> None:
    load_settings(None, [], {"AWS_SECRET_ACCESS_KEY": "Canary-8", "HTTPS_PROXY": "http://u:Canary-9@proxy"})
    assert redact("Canary-8 and Canary-9") == f"{MASK} and {MASK}"


def test_a_keystore_written_as_a_uri_stays_a_path() -> None:
    settings = load_settings(None, ["kafka.ssl.keystore.location=file:/etc/keys.jks"], {})
    assert settings.kafka["ssl.keystore.location"] == "file:/etc/keys.jks"


def test_a_secret_is_neither_shown_nor_repeated_in_an_error() -> None:
    settings = load_settings(None, ["kafka.sasl.password=hunter2", "http.webhook_secret=hunter2"], {})
    assert "hunter2" not in str(settings.redacted())
    assert settings.redacted()["kafka"]["sasl.password"] == "***"
    with pytest.raises(ConfigurationError) as raised:
        load_settings(None, ["http.webhook_secret=[hunter2]"], {})
    assert "hunter2" not in str(raised.value)
