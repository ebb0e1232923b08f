"""The jars of one folder serve the services of another; and one port does not serve two services."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from jobs.verbs.up import run as up
from jobs.wiring import jars as setup
from streaming.errors import SetupError
from streaming.local.jars import CONFIGURATIONS, IVY_FILE


def with_jars(home: Path) -> Path:
    for name in CONFIGURATIONS:
        folder = home / "jars" / name
        folder.mkdir(parents=True)
        (folder / f"{name}.jar").touch()
        (folder / ".stamp").write_text(hashlib.sha256(IVY_FILE.read_bytes()).hexdigest())
    return home


WORKING_FOLDER, CHECKOUT = setup.SHARED


@pytest.fixture
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "SHARED", (tmp_path / "work", tmp_path / "checkout"))
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)


@pytest.mark.usefixtures("_offline")
@pytest.mark.parametrize("shared", ["work", "checkout"])
def test_another_home_takes_the_jars_that_are_there(shared: str, tmp_path: Path) -> None:
    jars = with_jars(tmp_path / shared)
    assert setup.jars(tmp_path / "home").broker == jars / "jars" / "broker"
    assert not (tmp_path / "home").exists()


def test_the_checkout_whose_jars_are_taken_is_that_of_the_command_line() -> None:
    assert (CHECKOUT.parent / "penstock.py").is_file()
    assert WORKING_FOLDER.absolute().parent == Path.cwd()


@pytest.mark.usefixtures("_offline")
def test_its_own_jars_come_first(tmp_path: Path) -> None:
    with_jars(tmp_path / "checkout")
    assert setup.jars(with_jars(tmp_path / "home")).connector == tmp_path / "home" / "jars" / "connector"


@pytest.mark.usefixtures("_offline")
def test_setup_itself_puts_them_where_it_is_told(tmp_path: Path) -> None:
    with_jars(tmp_path / "checkout")
    with pytest.raises(SetupError, match="Java was not found"):
        setup.fetch(tmp_path / "home")


def test_one_port_for_both_services_is_refused_before_anything_starts(tmp_path: Path) -> None:
    for start in (up.run, up.start_detached):
        with pytest.raises(SetupError, match="Port 24099 is named for Kafka and for MLflow"):
            start(tmp_path / "home", 24099, 24099)
    assert not (tmp_path / "home").exists()
