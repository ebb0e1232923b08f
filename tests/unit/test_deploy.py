"""What is shipped beside the code agrees with the code: compose file, image, lock files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import yaml
from jsonschema import Draft202012Validator, FormatChecker

from jobs.configuration.load import load_settings
from jobs.wiring.serving_rights import api_keys, require_keys
from streaming.serving.front import OPEN_PATHS
from streaming.serving.routes import ROUTES
from streaming.serving.server_metrics import ServerMetrics
from streaming.settings import ServeSettings
from streaming.testing import ManualClock
from tests.support.kafka import IMAGE


@pytest.fixture(scope="module")
def services(root: Path) -> dict[str, dict[str, Any]]:
    result: dict[str, dict[str, Any]] = yaml.safe_load((root / "docker-compose.yml").read_text())["services"]
    return result


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


def test_the_servers_variables_are_settings_and_meet_the_balancer(
    root: Path, services: dict[str, dict[str, Any]]
) -> None:
    environment = environment_of(services["server"])
    settings = load_settings(None, [], environment)
    trained = load_settings(None, [], environment_of(services["scorer"])).model
    assert (settings.model.name, settings.model.alias) == (trained.name, trained.alias)
    assert settings.model.tracking_uri == trained.tracking_uri
    assert settings.serve.host == "0.0.0.0"
    assert "ports" not in services["server"], "several of them cannot have one port of this machine"
    assert f"127.0.0.1:{settings.serve.port}/ready" in services["server"]["healthcheck"]["test"]
    balancer = (root / "deploy" / "nginx.conf").read_text()
    assert re.findall(r"server (\S+) max_fails", balancer) == [f"server:{settings.serve.port}"]
    (listens,) = re.findall(r"listen (\d+);", balancer)
    assert services["balancer"]["ports"] == [f"127.0.0.1:{settings.serve.port}:{listens}"]
    (size,) = re.findall(r"client_max_body_size (\d+)m;", balancer)
    assert int(size) * 1024 * 1024 == settings.serve.max_body_bytes
    (patience,) = re.findall(r"proxy_read_timeout (\d+)s;", balancer)
    assert int(patience) > settings.serve.timeout_seconds
    (idle,) = re.findall(r" keepalive_timeout (\d+)s;", balancer)
    assert int(idle) < uvicorn.Config("x").timeout_keep_alive
    assert set(re.findall(r"location = (\S+) ", balancer)) <= {route.path for route in ROUTES}
    grace = int(services["server"]["stop_grace_period"].removesuffix("s"))
    assert grace > settings.serve.drain_seconds + settings.serve.timeout_seconds


@pytest.fixture(scope="module")
def manifests(root: Path) -> dict[str, Any]:
    """Kubernetes' objects for a server, by their kinds."""
    files = sorted((root / "deploy" / "kubernetes").glob("*.yaml"))
    objects = [made for file in files for made in yaml.safe_load_all(file.read_text())]
    by_kind = {made["kind"]: made for made in objects}
    assert len(by_kind) == len(objects) == 6
    return by_kind


def test_the_settings_of_servers_on_kubernetes_are_settings(manifests: dict[str, Any], tmp_path: Path) -> None:
    (name, text), *others = manifests["ConfigMap"]["data"].items()
    assert others == []
    (tmp_path / name).write_text(text)
    pod = manifests["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    variables = {variable["name"]: variable.get("value", "a key") for variable in container["env"]}
    settings = load_settings(tmp_path / name, [], variables)
    require_keys(settings.serve, api_keys(settings.serve))
    assert settings.serve.api_key is not None
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert container["args"][:3] == ["penstock", "serve", "--config"]
    assert container["args"][3].rpartition("/") == ("/etc/penstock", "/", name)
    assert "/etc/penstock" in mounts
    assert settings.model.cache_dir.parts[:2] == ("/", "data")
    assert "/data" in mounts
    assert {volume["name"] for volume in pod["volumes"]} == {mount["name"] for mount in mounts.values()}
    (port,) = container["ports"]
    assert port["containerPort"] == settings.serve.port
    grace = pod["terminationGracePeriodSeconds"]
    assert grace > settings.serve.drain_seconds + settings.serve.timeout_seconds + 5
    paths = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}
    assert paths == {"startup": "/ready", "readiness": "/ready", "liveness": "/health"}
    assert set(paths.values()) <= OPEN_PATHS
    # A load balancer has seen that a server stops before it does.
    assert settings.serve.drain_seconds > 2 * container["readinessProbe"]["periodSeconds"]


def test_objects_on_kubernetes_meet_each_other(manifests: dict[str, Any]) -> None:
    deployment = manifests["Deployment"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    name = deployment["metadata"]["name"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert manifests["Service"]["spec"]["selector"] == labels
    assert manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    scaled = manifests["HorizontalPodAutoscaler"]["spec"]
    assert scaled["scaleTargetRef"] == {"apiVersion": deployment["apiVersion"], "kind": "Deployment", "name": name}
    requested = manifests["ScaledObject"]["spec"]
    assert requested["scaleTargetRef"] == {"name": name}
    replicas = deployment["spec"]["replicas"]
    assert replicas == scaled["minReplicas"] == requested["minReplicaCount"]
    assert manifests["PodDisruptionBudget"]["spec"]["minAvailable"] < replicas
    (trigger,) = requested["triggers"]
    (metric,) = re.findall(r"penstock_\w+", trigger["metadata"]["query"])
    assert f"# TYPE {metric} gauge" in ServerMetrics(ManualClock()).text().decode()
    assert float(trigger["metadata"]["threshold"]) < ServeSettings().max_in_flight


def test_every_port_is_published_on_the_loopback_address_only(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_a_named_volume_is_declared_and_a_dependency_exists(root: Path, services: dict[str, dict[str, Any]]) -> None:
    declared = set(yaml.safe_load((root / "docker-compose.yml").read_text())["volumes"])
    used = {volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])}
    files = {volume for volume in used if volume.startswith("./")}
    assert used - files == declared
    assert all((root / file).is_file() for file in files)
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
    result = yaml.safe_load((root / "docker-compose.yml").read_text())
    assert [f"{error.json_path}: {error.message}" for error in specification.iter_errors(result)] == []


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
    result = yaml.safe_load((root / "docker-compose.yml").read_text())
    result["services"][service][key] = value
    assert {error.absolute_path[1] for error in specification.iter_errors(result)} == {service}


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
