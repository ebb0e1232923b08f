"""What the JVM shows by itself: Spark's settings in its user interface and event log, and the lines it logs."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from streaming.adapters import session
from streaming.adapters.session import REDACTION, STARTUP


@pytest.mark.parametrize("setting", ["spark.redaction.regex", "spark.sql.redaction.options.regex"])
def test_spark_knows_which_keys_are_secrets(spark: SparkSession, setting: str) -> None:
    assert STARTUP[setting] == REDACTION[setting]
    pattern = spark._jvm.java.util.regex.Pattern.compile(REDACTION[setting])  # type: ignore[union-attr]
    secrets = ("kafka.sasl.jaas.config", "fs.azure.account.key.x", "fs.s3a.Access.Key", "sslTrustStorePassword")
    assert [name for name in secrets if not pattern.matcher(name).find()] == []
    assert [name for name in ("spark.master", "spark.app.name", "subscribe") if pattern.matcher(name).find()] == []


def test_spark_masks_a_setting_whose_value_has_a_password_in_a_url(spark: SparkSession) -> None:
    pattern = spark._jvm.java.util.regex.Pattern.compile(REDACTION["spark.redaction.regex"])  # type: ignore[union-attr]
    assert pattern.matcher("s3a://key:pass@bucket/x").find()
    assert not pattern.matcher("spark://host:7077").find()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("no answer from http://u:Can@ry@h/x", "no answer from http://u:***@h/x", id="URL"),
        pytest.param('R required password="Canary";', 'R required password="***";', id="JAAS"),
        pytest.param("fs.s3a.access.key=Canary, x=1", "fs.s3a.access.key=***, x=1", id="assigned"),
        pytest.param("spark://h:7077 lost, task 3: x", "spark://h:7077 lost, task 3: x", id="no secret"),
    ],
)
def test_a_line_of_the_jvm_has_no_secret(spark: SparkSession, text: str, expected: str) -> None:
    lines = (Path(session.__file__).with_name("log4j2.properties")).read_text().splitlines()
    written = next(line.partition(" = ")[2] for line in lines if "layout.pattern" in line)
    log4j = spark._jvm.org.apache.logging.log4j  # type: ignore[union-attr]
    layout = log4j.core.layout.PatternLayout.newBuilder().withPattern(written.replace("\\\\", "\\")).build()
    message = log4j.message.SimpleMessage(text)
    event = log4j.core.impl.Log4jLogEvent.newBuilder().setLoggerName("a.Logger").setMessage(message).build()
    assert layout.toSerializable(event).rstrip().endswith(f"Logger: {expected}")


@pytest.mark.parametrize("setting", sorted(REDACTION))
def test_the_page_on_deployment_has_the_expressions_for_spark_submit(setting: str, root: Path) -> None:
    assert f'--conf "{setting}={REDACTION[setting]}"' in (root / "docs" / "deploy.md").read_text()
