"""What is shipped beside the code agrees with the code: compose file, image, lock files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker

from jobs.configuration.load import load_settings
from tests.support.kafka import IMAGE


@pytest.fixture(scope="module")
def services(root: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((root / "docker-compose.yml").read_text())["services"]
    return found


def environment_of(service: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in service["environment"].items()}


def test_the_scorers_variables_are_settings_and_meet_the_other_services(services: dict[str, dict[str, Any]]) -> None:
    environment = environment_of(services["scorer"])
    settings = load_settings(None, [], environment)

    advertised = services["broker"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert f"INTERNAL://{settings.kafka['bootstrap.servers']}" in advertised
    assert settings.model.tracking_uri == "http://mlflow:5000"
    assert services["scorer"]["ports"] == [f"127.0.0.1:{settings.http.port}:{settings.http.port}"]
    assert f"127.0.0.1:{settings.http.port}/livez" in services["scorer"]["healthcheck"]["test"]
    assert settings.http.host == "0.0.0.0"  # in the container; published on the loopback address
    assert f"--topic {settings.input.topic} " in services["topics"]["command"]
    for path in (settings.checkpoint, str(settings.model.cache_dir)):
        assert path.startswith("/data/"), "state must lie in the volume"


def test_the_tracking_server_accepts_the_name_that_the_scorer_calls_it_by(
    services: dict[str, dict[str, Any]],
) -> None:
    command = services["mlflow"]["command"]
    allowed = command.split("--allowed-hosts ")[1].split()[0].split(",")
    assert environment_of(services["scorer"])["MLFLOW_TRACKING_URI"].removeprefix("http://") in allowed
    assert "--serve-artifacts" in command


def test_every_port_is_published_on_the_loopback_address_only(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_a_named_volume_is_declared_and_a_dependency_exists(root: Path, services: dict[str, dict[str, Any]]) -> None:
    declared = set(yaml.safe_load((root / "docker-compose.yml").read_text())["volumes"])
    used = {volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])}
    assert used == declared
    needed = {name for service in services.values() for name in service.get("depends_on", {})}
    assert needed <= set(services)


def test_the_broker_is_the_one_that_is_tested(root: Path, services: dict[str, dict[str, Any]]) -> None:
    assert services["broker"]["image"] == services["topics"]["image"] == IMAGE
    revision = re.search(r'name="kafka_2\.13" rev="([^"]+)"', (root / "streaming" / "local" / "ivy.xml").read_text())
    assert revision is not None
    assert IMAGE.endswith(f":{revision[1]}")


def test_the_image_is_built_from_files_that_are_there_and_sent(root: Path, services: dict[str, dict[str, Any]]) -> None:
    build = services["scorer"]["build"]
    dockerfile = root / build["context"] / build["dockerfile"]
    sent = {line[1:] for line in (root / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [word for line in re.findall(r"^COPY (.*)$", dockerfile.read_text(), re.M) for word in line.split()[:-1]]
    assert copied
    assert [name for name in copied if not (root / name).exists() or name.split("/")[0] not in sent] == []


@pytest.fixture(scope="module")
def specification(root: Path) -> Draft202012Validator:
    """The Compose Specification's own schema, as check-jsonschema 0.39.0 has it."""
    schema = json.loads((root / "tests" / "support" / "schemas" / "compose-spec.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=FormatChecker())


def test_the_compose_file_is_what_the_specification_says(root: Path, specification: Draft202012Validator) -> None:
    found = yaml.safe_load((root / "docker-compose.yml").read_text())
    assert [f"{error.json_path}: {error.message}" for error in specification.iter_errors(found)] == []


@pytest.mark.parametrize(
    ("service", "key", "value"),
    [
        pytest.param("scorer", "helthcheck", {}, id="a misspelt key"),
        pytest.param("scorer", "stop_grace_period", 75, id="a duration without a unit"),
        pytest.param("scorer", "depends_on", {"broker": {"condition": "service_well"}}, id="an unknown condition"),
        pytest.param("broker", "ports", "9092:9092", id="text for ports"),
        pytest.param("topics", "command", {"run": "it"}, id="a mapping for a command"),
    ],
)
def test_a_mistake_in_the_compose_file_would_be_seen(
    root: Path, specification: Draft202012Validator, service: str, key: str, value: object
) -> None:
    found = yaml.safe_load((root / "docker-compose.yml").read_text())
    found["services"][service][key] = value
    assert {error.absolute_path[1] for error in specification.iter_errors(found)} == {service}


def pins(file: Path) -> set[str]:
    """Return the versions, whatever the Python: one that a test tool needs on every Python may be needed on a few."""
    return {line.rstrip(" \\").partition(" ;")[0] for line in file.read_text().splitlines() if line[:1].isalnum()}


def test_the_image_runs_the_versions_that_are_tested(root: Path) -> None:
    lock, runtime = (pins(root / "requirements" / name) for name in ("lock.txt", "runtime.txt"))
    names = {pin.split("==")[0] for pin in runtime}
    assert runtime <= lock
    assert {"pyspark", "mlflow", "confluent-kafka"} <= names
    assert not names & {"pytest", "mypy", "ruff"}


def test_the_lock_files_pin_by_hash_and_name_no_place(root: Path) -> None:
    for name in ("lock.txt", "runtime.txt"):
        text = (root / "requirements" / name).read_text()
        blocks = re.split(r"\n(?=[a-z])", text)
        assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []
        assert "index-url" not in text
        assert not re.search(r"(-r|file://) ?/", text)
