from __future__ import annotations

import pytest

from jobs.configuration.load import load_settings
from streaming.errors import ConfigurationError


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        pytest.param("PENSTOCK_MODEL_ALIAS", "PENSTOCK_MODEL__ALIAS", id="one underscore"),
        pytest.param("PENSTOCK_INPUT_MAX_ROWS_PER_BATCH", "PENSTOCK_INPUT__MAX_ROWS_PER_BATCH", id="a long key"),
        pytest.param("PENSTOCK_KAFKA_SASL_PASSWORD", "PENSTOCK_KAFKA__SASL_PASSWORD", id="one of Kafka's own"),
        pytest.param("PENSTOCK_SPARK_CONF_SPARK", "PENSTOCK_SPARK__CONF__SPARK", id="one of Spark's own"),
        pytest.param("PENSTOCK_MODLE_ALIAS", "PENSTOCK_MODEL__ALIAS", id="misspelt too"),
        pytest.param("PENSTOCK_APLICATION", "PENSTOCK_APPLICATION", id="a key without a section"),
        pytest.param("PENSTOCK_HTTP_PORT", "PENSTOCK_HTTP__PORT", id="also a service's name"),
        pytest.param("PENSTOCK_COLOUR_OF_DOORS", "PENSTOCK_SECTION__KEY", id="nothing near"),
    ],
)
def test_a_variable_that_names_no_setting_is_refused_with_the_nearest_one(name: str, nearest: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load_settings(None, [], {name: "8080"})
    assert f"{name} " in str(raised.value)
    assert nearest in str(raised.value)
    assert "8080" not in str(raised.value)


@pytest.mark.parametrize("service", ["PENSTOCK", "PENSTOCK_MODEL", "PENSTOCK_HTTP", "PENSTOCK__X"])
def test_what_kubernetes_sets_for_a_service_called_like_us_is_harmless(service: str) -> None:
    variables = {
        f"{service}_SERVICE_HOST": "10.0.0.11",
        f"{service}_SERVICE_PORT": "8088",
        f"{service}_SERVICE_PORT_HTTP_METRICS": "8088",
        f"{service}_PORT": "tcp://10.0.0.11:8088",
        f"{service}_PORT_8088_TCP": "tcp://10.0.0.11:8088",
        f"{service}_PORT_8088_TCP_PROTO": "tcp",
        f"{service}_PORT_8088_TCP_PORT": "8088",
        f"{service}_PORT_8088_TCP_ADDR": "10.0.0.11",
        f"{service}_PORT_53_UDP": "udp://10.0.0.11:53",
    }
    assert load_settings(None, [], variables) == load_settings(None, [], {})


def test_variables_that_are_read_elsewhere_are_passed_over() -> None:
    variables = {"PENSTOCK_IVY_SETTINGS": "/etc/ivy.xml", "PENSTOCK_TEST_BROKER": "b:9092", "PENSTOCKS": "x"}
    assert load_settings(None, [], variables) == load_settings(None, [], {})


def test_every_variable_that_names_no_setting_is_said_at_once() -> None:
    with pytest.raises(ConfigurationError) as raised:
        load_settings(None, [], {"PENSTOCK_MODEL_ALIAS": "a", "PENSTOCK_LOG_LEVEL": "debug"})
    assert "PENSTOCK_LOG__LEVEL" in str(raised.value)
    assert "PENSTOCK_MODEL__ALIAS" in str(raised.value)
