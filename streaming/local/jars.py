"""The two jar sets, resolved once from ``ivy.xml`` by the Ivy that pyspark carries, then used offline."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from streaming.errors import SetupError
from streaming.local.java import find_java

IVY_FILE = Path(__file__).with_name("ivy.xml")
CONFIGURATIONS = ("connector", "broker")


@dataclass(frozen=True)
class JarSets:
    """The folders of the resolved jars."""

    connector: Path
    broker: Path

    def connector_jars(self) -> list[str]:
        """Return the paths that Spark needs for its Kafka source and sink."""
        return sorted(str(jar) for jar in self.connector.glob("*.jar"))


def ensure_jars(home: Path, environment: Mapping[str, str], report: Callable[[str], None] = lambda _: None) -> JarSets:
    """Return both jar sets below ``home``, resolving what ``ivy.xml`` has changed since the last time.

    Args:
        home: Penstock's folder of things it can make again (``.penstock``).
        environment: ``JAVA_HOME`` and ``PATH`` choose the Java; ``HTTPS_PROXY`` and ``PENSTOCK_IVY_SETTINGS`` (an Ivy
            settings file, for a company's own Maven repository) are honoured.
        report: Called with the name of each jar that is downloaded.

    Raises:
        SetupError: No Java, no network, no disk space; the message says which and what to do.
    """
    if (sets := jars_in(home)) is not None:
        return sets
    stamp = _stamp()
    with _locked(home / "jars.lock"):
        for name in CONFIGURATIONS:
            folder = home / "jars" / name
            if not _is_current(folder, stamp):
                resolve(name, folder, ivy_command(home, environment), report)
                # Last, as a folder without a stamp counts as not resolved.
                (folder / ".stamp").write_text(stamp)
    return _sets(home)


def jars_in(home: Path) -> JarSets | None:
    """Return both jar sets if they are below ``home`` and as ``ivy.xml`` wants them, else ``None``."""
    sets, stamp = _sets(home), _stamp()
    return sets if all(_is_current(folder, stamp) for folder in (sets.connector, sets.broker)) else None


def _sets(home: Path) -> JarSets:
    return JarSets(*((home / "jars" / name).resolve() for name in CONFIGURATIONS))


def _stamp() -> str:
    return hashlib.sha256(IVY_FILE.read_bytes()).hexdigest()


def _is_current(folder: Path, stamp: str) -> bool:
    mark = folder / ".stamp"
    return mark.exists() and mark.read_text() == stamp


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Two set-ups at once take turns; the second finds the work done."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def ivy_command(home: Path, environment: Mapping[str, str], module: Path = IVY_FILE) -> list[str]:
    """Return the command that resolves an Ivy module file, with its cache below ``home``; raises as above."""
    command = [find_java(environment), *_proxy_flags(environment), "-jar", _ivy_jar(), "-ivy", str(module)]
    command += ["-cache", str((home / "ivy").resolve()), "-types", "jar", "bundle"]
    settings = environment.get("PENSTOCK_IVY_SETTINGS")
    return [*command, "-settings", settings] if settings else command


def _ivy_jar() -> str:
    spec = importlib.util.find_spec("pyspark")
    jars = list(Path(spec.origin).parent.glob("jars/ivy-*.jar")) if spec and spec.origin else []
    if not jars:
        raise SetupError(
            "pyspark (which carries Ivy) is not installed here; run `make setup`, or `pip install penstock`."
        )
    return str(jars[0])


def _proxy_flags(environment: Mapping[str, str]) -> list[str]:
    """Java does not look at HTTPS_PROXY by itself."""
    proxy = urlsplit(environment.get("HTTPS_PROXY") or environment.get("https_proxy") or "")
    if not proxy.hostname:
        return []
    return [f"-Dhttps.proxyHost={proxy.hostname}", f"-Dhttps.proxyPort={proxy.port or 80}"]


def resolve(name: str, folder: Path, ivy: list[str], report: Callable[[str], None]) -> None:
    """Replace ``folder`` by the jars of the configuration ``name`` of a module file; raises as above."""
    fresh = folder.with_name(f"{name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    command = [*ivy, "-confs", name, "-retrieve", f"{fresh.resolve()}/[artifact]-[revision].[ext]"]
    output: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            output.append(line.rstrip())
            if line.startswith("downloading"):
                report(line.split("!")[-1].strip())
    if process.returncode != 0 or not list(fresh.glob("*.jar")):
        raise SetupError(_explain(name, output))
    shutil.rmtree(folder, ignore_errors=True)
    # In place at once: a run that is killed before leaves no half set of jars.
    fresh.rename(folder)


def _explain(name: str, output: list[str]) -> str:
    text = "\n".join(output)
    if "No space left" in text:
        return f"The disk is full: the {name} jars need 60 MB below .penstock/. Free some space and run it again."
    telling = [line.strip() for line in output if "not found" in line or "Exception" in line or "Unknown" in line]
    return (
        f"The {name} jars could not be downloaded from Maven Central. Check the network (behind a proxy set "
        "HTTPS_PROXY; for a company's own repository set PENSTOCK_IVY_SETTINGS to an Ivy settings file) and run it "
        "again.\n" + "\n".join((telling or output)[-5:])
    )
