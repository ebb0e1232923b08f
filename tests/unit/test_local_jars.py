from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from streaming.errors import SetupError
from streaming.local import jars
from streaming.local.jars import CONFIGURATIONS, IVY_FILE, ensure_jars

NO_REPOSITORY = """<ivysettings>
  <settings defaultResolver="empty"/>
  <resolvers><filesystem name="empty"><artifact pattern="{folder}/[module]-[revision].[ext]"/></filesystem></resolvers>
</ivysettings>"""


def a_home(folder: Path, stamp: str) -> Path:
    """A home with one jar in each set, stamped."""
    for name in CONFIGURATIONS:
        place = folder / "jars" / name
        place.mkdir(parents=True)
        (place / f"{name}.jar").touch()
        (place / ".stamp").write_text(stamp)
    return folder


def test_what_is_current_is_used_without_java_and_without_a_network(tmp_path: Path) -> None:
    home = a_home(tmp_path, hashlib.sha256(IVY_FILE.read_bytes()).hexdigest())
    result = ensure_jars(home, environment={"PATH": ""})
    assert result.connector_jars() == [str(home / "jars" / "connector" / "connector.jar")]
    assert list(result.broker.glob("*.jar")) == [home / "jars" / "broker" / "broker.jar"]


def test_a_changed_ivy_file_makes_it_resolve_again(tmp_path: Path) -> None:
    home = a_home(tmp_path, "the hash of an older ivy.xml")
    with pytest.raises(SetupError, match="Java was not found"):
        ensure_jars(home, environment={"PATH": ""})


def test_what_cannot_be_found_is_named_and_the_old_jars_stay(tmp_path: Path) -> None:
    """The Ivy inside pyspark runs, against a repository with nothing in it."""
    home = a_home(tmp_path / "home", "an older hash")
    settings = tmp_path / "settings.xml"
    settings.write_text(NO_REPOSITORY.replace("{folder}", str(tmp_path / "empty")))

    with pytest.raises(SetupError) as raised:
        ensure_jars(home, environment={**os.environ, "PENSTOCK_IVY_SETTINGS": str(settings)})

    assert "could not be downloaded" in str(raised.value)
    assert "spark-sql-kafka-0-10_2.13" in str(raised.value)
    assert "PENSTOCK_IVY_SETTINGS" in str(raised.value)
    assert (home / "jars" / "connector" / "connector.jar").exists()


def test_a_full_disk_is_said_in_so_many_words() -> None:
    assert "The disk is full" in jars._explain("broker", ["java.io.IOException: No space left on device"])


@pytest.mark.parametrize(
    ("environment", "flags"),
    [
        ({}, []),
        ({"HTTPS_PROXY": "http://proxy.example:3128"}, ["-Dhttps.proxyHost=proxy.example", "-Dhttps.proxyPort=3128"]),
        ({"https_proxy": "http://proxy.example"}, ["-Dhttps.proxyHost=proxy.example", "-Dhttps.proxyPort=80"]),
    ],
    ids=["none", "with port", "without port"],
)
def test_java_is_told_of_the_proxy(environment: dict[str, str], flags: list[str]) -> None:
    assert jars._proxy_flags(environment) == flags
