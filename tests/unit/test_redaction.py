"""What is masked, and what is not: by key in any text, by value once it was configured, trivial values by key alone."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streaming import redaction
from streaming.errors import CandidateRefusedError, RegistryUnavailableError
from streaming.redaction import MASK, hide, redact, redact_tree
from streaming.refusal_codes import RefusalCode
from streaming.secret_keys import is_secret_key, open_values_in, secrets_in

PRINTABLE = "abcXYZ019 '\"\\/@:%&=+;,.<>{}()[]$#!?*-_äß€"


@pytest.mark.parametrize(
    "key",
    [
        "sasl.password",
        "ssl.key.password",
        "ssl_keystore_password",
        "ssl.key.pem",
        "ssl.keystore.key",
        "sasl.jaas.config",
        "sasl.oauthbearer.config",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "basic.auth.user.info",
        "spark.hadoop.fs.s3a.access.key",
        "spark.hadoop.fs.s3a.session.token",
        "spark.hadoop.fs.s3a.encryption.key",
        "spark.hadoop.fs.azure.account.key.x.dfs.core.windows.net",
        "spark.hadoop.fs.gs.auth.service.account.private.key",
        "spark.authenticate.secret",
        "-Djavax.net.ssl.trustStorePassword",
        "AWS_SECRET_ACCESS_KEY",
        "AZURE_STORAGE_CONNECTION_STRING",
        "MLFLOW_TRACKING_PASSWORD",
        "DATABRICKS_TOKEN",
        "webhook_secret",
        "admin_token",
    ],
)
def test_a_key_that_names_a_secret_is_recognised(key: str) -> None:
    assert is_secret_key(key)
    assert redact_tree({"spark": [{key: "x"}, {key: 7}]}) == {"spark": [{key: MASK}, {key: MASK}]}
    assert redact(f"it says {key}=Canary-1, and more") == f"it says {key}={MASK}, and more"


@pytest.mark.parametrize(
    "key",
    [
        "ssl.keystore.location",
        "ssl.truststore.type",
        "ssl.ca.location",
        "sasl.oauthbearer.token.endpoint.url",
        "sasl.username",
        "sasl.mechanism",
        "spark.hadoop.fs.s3a.aws.credentials.provider",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "TOKENS_SERVICE_PORT_80_TCP_ADDR",
        "event.key",
        "model.alias",
    ],
)
def test_a_key_that_says_where_or_what_kind_stays_readable(key: str) -> None:
    assert not is_secret_key(key)
    assert redact(f"{key}=readable") == f"{key}=readable"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("http://u:Canary@h:5000/x", "http://u:***@h:5000/x", id="URL"),
        pytest.param("http://u:Can@ry@h/x", "http://u:***@h/x", id="URL, an @ in the password"),
        pytest.param("s3a://KEY:Can/ary@bucket/x", "s3a://KEY:***@bucket/x", id="URL, a slash in the password"),
        pytest.param("jdbc:postgresql://u:Canary@h/db", "jdbc:postgresql://u:***@h/db", id="JDBC"),
        pytest.param("https://Canary@github.com/a", "https://***@github.com/a", id="a token for a user"),
        pytest.param("https://h/x?token=Canary&y=1", "https://h/x?token=***&y=1", id="query"),
        pytest.param("{'password': 'Can ary', 'x': 1}", "{'password': '***', 'x': 1}", id="Python"),
        pytest.param('{"password": "Can\\"ary", "x": 1}', '{"password": "***", "x": 1}', id="JSON"),
        pytest.param('"{\\"password\\": \\"Canary\\"}"', '"{\\"password\\": \\"***\\"}"', id="JSON in JSON"),
        pytest.param('required username="u" password="Can\\"ary";', 'required username="u" password="***";', id="JAAS"),
        pytest.param('password="Canary', 'password="***', id="a quote never closed"),
        pytest.param("a;AccountKey=Canary==;b=1", "a;AccountKey=***;b=1", id="connection string"),
        pytest.param("--set kafka.sasl.password:Canary", "--set kafka.sasl.password:***", id="a colon by mistake"),
        pytest.param("sasl.password = Canary\nx = 1", "sasl.password = ***\nx = 1", id="properties"),
        pytest.param("Authorization: Bearer Canary.x", "Authorization: Bearer ***", id="header"),
        pytest.param("'Authorization': 'Basic Canary='", "'Authorization': '***'", id="header in Python"),
    ],
)
def test_text_is_masked_by_key_whoever_wrote_it(text: str, expected: str) -> None:
    assert redact(text) == expected
    assert redact(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        "http.admin_token: input should be a valid string",
        "http://127.0.0.1:5000/api@2",
        "http://[::1]:5000/a@b",
        "abfss://container@account.dfs.core.windows.net/models",
        "at 12:30:11 partition:4 offset=17",
        "the token has expired",
        "",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


@given(st.text(PRINTABLE, min_size=8, max_size=24).filter(lambda value: value.strip("* \\'\"") == value))
@example('a"b\\c d/e@f')
@example("pässwörd")
def test_a_configured_secret_is_found_in_every_spelling(secret: str) -> None:
    redaction.forget()
    hide(secrets_in({"kafka": {"sasl.password": secret}}))
    spelled = [
        f"failed with {secret} for u",
        f"failed with<{quote(secret, safe='')}>",
        json.dumps({"a": f"x {secret} y"}),
        json.dumps({"a": json.dumps([secret])}),
        repr(f"x {secret} y"),
    ]
    spellings = {secret, quote(secret, safe=""), json.dumps(secret)[1:-1], json.dumps(json.dumps(secret))[3:-3]}
    for text in spelled:
        assert [s for s in spellings if s in redact(text)] == [], text
    assert json.loads(redact(spelled[2])) == {"a": f"x {MASK} y"}


@pytest.mark.parametrize(
    ("settings", "text", "expected"),
    [
        pytest.param({"a.password": "Canary-1"}, "xCanary-1y", "x***y", id="anywhere"),
        pytest.param({"a.password": "pass"}, "a pass passed by pass.", "a *** passed by ***.", id="short: whole words"),
        pytest.param({"a.password": "12345678"}, "12345678 9123456789", "*** 9123456789", id="digits: whole words"),
        pytest.param({"a.password": 12345678}, "12345678", "***", id="a number in YAML"),
        pytest.param({"uri": "http://u:p%40ss-w@h"}, "p%40ss-w or p@ss-w", "*** or ***", id="a URL's, both spellings"),
        pytest.param({"uri": "http://user:Canary-1@h"}, "dXNlcjpDYW5hcnktMQ==", "***", id="as HTTP sends it"),
        pytest.param({"x.jaas.config": 'R u="u" password="Canary-1";'}, "Canary-1", "***", id="within JAAS"),
        pytest.param({"x.config": 'R u="u" password="Can\\"ary-1";'}, 'Can"ary-1', "***", id="JAAS elsewhere"),
        pytest.param({"opts": "-Dk.storePassword=Canary-1 -Dx=y"}, "Canary-1 y", "*** y", id="a -D option"),
        pytest.param({"webhook_url": "https://h/T0/Canary"}, "POST /T0/Canary", "POST ***", id="hook"),
        pytest.param({"webhook_url": "https://h/x?sig=Canary-1"}, "sig is Canary-1", "sig is ***", id="hook's query"),
        pytest.param({"sasl": {"password": {"x": "Canary-1"}}}, "Canary-1", "***", id="below a secret key"),
        pytest.param({"ssl.key.pem": "---\nMIIBCanaryCanary\n"}, "l MIIBCanaryCanary", "l ***", id="a line of PEM"),
        pytest.param({"features": {"token": "double"}}, "a double", "a double", id="a column called token"),
        pytest.param({"a.password": ""}, "a text", "a text", id="empty"),
        pytest.param({"a.password": "abc"}, "abc abc", "abc abc", id="too short"),
        pytest.param({"a.password": "True"}, "it is True", "it is True", id="a word of settings"),
        pytest.param({"a.password": "1234"}, "1234 rows", "1234 rows", id="a small number"),
        pytest.param({"a.password": "9.81"}, "9.81 m", "9.81 m", id="a small fraction"),
        pytest.param({"a.password": None}, "None of it", "None of it", id="nothing"),
        pytest.param({"a.password": "features"}, "the topic features", "the topic features", id="a default"),
    ],
)
def test_what_was_configured_as_a_secret_is_masked_by_value(
    settings: dict[str, object], text: str, expected: str
) -> None:
    hide(secrets_in(settings), set(open_values_in({"topic": "features", "b.secret": "Canary-1"})))
    assert redact(text) == expected


def test_what_is_too_trivial_to_look_for_is_masked_by_key() -> None:
    hide(secrets_in({"a.password": "abc"}))
    assert redact_tree({"a.password": "abc", "b": "abc"}) == {"a.password": MASK, "b": "abc"}


def test_every_error_of_ours_masks_what_services_said() -> None:
    hide(["Canary-1"])
    assert "Canary" not in str(RegistryUnavailableError("http://u:Canary-2@h said Canary-1"))
    assert str(CandidateRefusedError(RefusalCode.LOAD_FAILED, "Canary-1 is wrong")) == f"LOAD_FAILED: {MASK} is wrong"


def test_masking_takes_time_in_proportion_to_the_text() -> None:
    hide(["Canary-1"])
    assert redact("a=\\" * 50_000 + "://" * 10_000 + "Canary-1").endswith(MASK)
