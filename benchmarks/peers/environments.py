"""The peers' environments: each in ``.penstock/peers/NAME``, from ``requirements/NAME.txt``."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from streaming.errors import SetupError

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".penstock" / "peers"
REQUIREMENTS = Path(__file__).with_name("requirements")
PYTHON = "3.11"
"""The newest that every peer has wheels for; uv fetches it where it is not installed."""
EXPORT = "export"
MLSERVER = "mlserver"


@dataclass(frozen=True)
class Environment:
    """A virtual environment with one peer in it."""

    name: str

    @property
    def folder(self) -> Path:
        return HOME / self.name

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def packages(self) -> Path:
        return self.folder / "lib" / f"python{PYTHON}" / "site-packages"

    @property
    def requirements(self) -> Path:
        return REQUIREMENTS / f"{self.name}.txt"

    @property
    def target(self) -> str:
        """What installs it."""
        return "bench-serve" if self.name == MLSERVER else "bench-peers"

    def check(self) -> None:
        """Raise ``SetupError`` unless it is installed as its requirements say."""
        stamp = self.folder / ".stamp"
        if not stamp.exists():
            raise SetupError(f"its environment is not installed; run `make {self.target}`, which makes {self.folder}")
        if stamp.read_text() != self.fingerprint():
            raise SetupError(f"{self.requirements} has changed since it was installed; run `make {self.target}`")

    def install(self, uv: Path) -> None:
        """Make it if it is not there as it should be.

        Raises:
            SetupError: A package, or the Python, could not be had; the message has the end of what uv said.
        """
        try:
            self.check()
        except SetupError:
            _run([str(uv), "venv", "--quiet", "--clear", "--python", PYTHON, str(self.folder)])
            sources = ["--requirements", str(self.requirements)]
            _run([str(uv), "pip", "install", "--quiet", "--python", str(self.python), *sources])
            (self.folder / ".stamp").write_text(self.fingerprint())

    def fingerprint(self) -> str:
        """Return what it depends on: the requirements and the Python."""
        return hashlib.sha256(self.requirements.read_bytes() + PYTHON.encode()).hexdigest()


def all_environments() -> list[Environment]:
    """Return one for each file of requirements."""
    return [Environment(path.stem) for path in sorted(REQUIREMENTS.glob("*.txt"))]


def ensure_uv(version: str) -> Path:
    """Return uv of that version, in an environment of its own; ``SetupError`` if it cannot be had."""
    folder = HOME / f"uv-{version}"
    uv = folder / "bin" / "uv"
    if not uv.exists():
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, f"uv=={version}"])
    return uv


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SetupError(f"{' '.join(command[:4])} failed:\n{(done.stdout + done.stderr).strip()[-1500:]}")
