"""An archive of the classes that Spark loads when it starts, for the JVMs that Penstock starts on this machine.

Java calls this class data sharing. It maps the archive into memory, where it would otherwise read, check and link some
20,000 classes from 280 jars. The archive serves one Java and one installation of Spark, and its name says which.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from streaming.errors import SetupError

REHEARSAL = Path(__file__).parents[1] / "spark" / "rehearsal.py"
MAKING_SECONDS = 600


def find_archive(folders: Iterable[Path], java: str) -> Path | None:
    """Return the archive for ``java`` in the first of the folders (``.penstock``) that has it, or ``None``."""
    name = _name(java)
    return next((path for folder in folders if (path := folder.resolve() / name).exists()), None)


def using(archive: Path) -> str:
    """Return the JVM's options that use an archive. A JVM that it does not fit starts without it."""
    # Java writes about an archive that does not fit to standard output, which belongs to the command.
    return f"-XX:SharedArchiveFile={shlex.quote(str(archive))} -Xshare:auto -Xlog:cds*=off"


def make_archive(home: Path, java: str, options: str, environment: Mapping[str, str]) -> Path:
    """Make the archive below ``home`` from one short run of Spark, some ten seconds on two free processors.

    Args:
        home: Penstock's folder of things that it can make again.
        java: The path of the ``java`` that is to use it.
        options: Of the JVM, as in a session that is to use it; its log's layout is made of classes, too.
        environment: What Spark is started with.

    Raises:
        SetupError: Java could not write it: it has no class data sharing, the disk is full, or it took too long, which
            the same Java may do at one time and not at another.
    """
    path = home.resolve() / _name(java)
    path.parent.mkdir(parents=True, exist_ok=True)
    for older in path.parent.glob("*.jsa*"):
        older.unlink()
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    conf = {
        "spark.driver.extraJavaOptions": f"-XX:ArchiveClassesAtExit={shlex.quote(str(unfinished))} {options}",
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
    }
    command = [str(_spark_home() / "bin" / "spark-submit"), "--master", "local[2]"]
    command += [word for key, value in conf.items() for word in ("--conf", f"{key}={value}")]
    spark = {**environment, "SPARK_HOME": str(_spark_home()), "PYSPARK_PYTHON": sys.executable}
    try:
        # As the JVM is the parent here, its exit says that the archive is whole.
        done = subprocess.run(
            [*command, str(REHEARSAL)], env=spark, capture_output=True, timeout=MAKING_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        unfinished.unlink(missing_ok=True)
        raise SetupError(f"it took longer than {MAKING_SECONDS:g} s") from None
    if done.returncode != 0 or not unfinished.exists():
        unfinished.unlink(missing_ok=True)
        raise SetupError(_reason(done.stdout + done.stderr))
    unfinished.rename(path)
    return path


def _reason(output: bytes) -> str:
    lines = [line for line in output.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1] if lines else "Java wrote no archive and gave no reason"


def _name(java: str) -> str:
    """Name the archive by what Java compares when it opens one: itself, and each jar's place, size and time."""
    runtime = Path(java).resolve()
    jars = sorted((_spark_home() / "jars").glob("*.jar"))
    stats = [(str(path), (stat := path.stat()).st_size, stat.st_mtime_ns) for path in (runtime, *jars)]
    return f"class-archive/{hashlib.sha256(repr(stats).encode()).hexdigest()[:16]}.jsa"


def _spark_home() -> Path:
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise SetupError("pyspark is not installed here; run `make setup`, or `pip install penstock`.")
    return Path(spec.origin).parent
