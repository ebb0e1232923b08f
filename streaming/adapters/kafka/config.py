"""One map of Kafka settings for two clients, which name security apart: Spark's is the Java client, ours librdkafka.

What is the same in both passes through untouched. A user may write either client's names for TLS and SASL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_JAAS = re.compile(r'(username|password)="((?:[^"\\]|\\.)*)"')
_JAVA_ONLY = ("sasl.jaas.config", "ssl.truststore.", "ssl.keystore.", "fetch.max.wait.ms")
_RDKAFKA_ONLY = ("sasl.username", "sasl.password", "ssl.ca.location", "ssl.certificate.location", "ssl.key.")
_LOGIN_MODULES = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}


def client_config(kafka: Mapping[str, str]) -> dict[str, str]:
    """Return librdkafka's configuration.

    >>> client_config({"bootstrap.servers": "b:1", "ssl.truststore.location": "/ca.pem"})
    {'log_level': '2', 'bootstrap.servers': 'b:1', 'ssl.ca.location': '/ca.pem'}
    """
    # What goes wrong reaches us as errors; the client's own lines on standard error would only repeat it.
    config = {"log_level": "2", **{key: value for key, value in kafka.items() if not key.startswith(_JAVA_ONLY)}}
    for field, value in _JAAS.findall(kafka.get("sasl.jaas.config", "")):
        config.setdefault(f"sasl.{field}", re.sub(r"\\(.)", r"\1", value))
    if "ssl.truststore.location" in kafka:
        config.setdefault("ssl.ca.location", kafka["ssl.truststore.location"])
    if "ssl.keystore.location" in kafka:
        config.setdefault("ssl.certificate.location", kafka["ssl.keystore.location"])
        config.setdefault("ssl.key.location", kafka["ssl.keystore.location"])
    return config


def spark_options(kafka: Mapping[str, str]) -> dict[str, str]:
    """Return the options of Spark's Kafka source and sink, each key with Spark's ``kafka.`` before it."""
    options = {key: value for key, value in kafka.items() if not key.startswith(_RDKAFKA_ONLY)}
    if "sasl.username" in kafka:
        options.setdefault("sasl.jaas.config", _jaas(kafka))
    if "ssl.ca.location" in kafka:
        options.setdefault("ssl.truststore.type", "PEM")
        options.setdefault("ssl.truststore.location", kafka["ssl.ca.location"])
    # The reader otherwise waits half a second at the head of the log before it hands over what it has.
    options.setdefault("fetch.max.wait.ms", "10")
    return {f"kafka.{key}": value for key, value in options.items()}


def _jaas(kafka: Mapping[str, str]) -> str:
    mechanism = kafka.get("sasl.mechanism", kafka.get("sasl.mechanisms", "PLAIN"))
    module = _LOGIN_MODULES.get(mechanism, _LOGIN_MODULES["PLAIN"])
    user, password = (_escaped(kafka.get(f"sasl.{field}", "")) for field in ("username", "password"))
    return f'{module} required username="{user}" password="{password}";'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
