"""What a batch is, fixed before its first row is scored: a run that goes on with it must find the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from streaming.batch.files import InputFile
from streaming.errors import ConfigurationError

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Unit:
    """Files that are scored together, by one Spark job. Numbers begin at 0."""

    number: int
    files: tuple[InputFile, ...]

    @property
    def bytes(self) -> int:
        """The bytes of the files on disk."""
        return sum(file.bytes for file in self.files)

    @property
    def paths(self) -> list[str]:
        """The paths of the files."""
        return [file.path for file in self.files]

    @property
    def words(self) -> str:
        """The unit in a message."""
        return f"unit {self.number} ({self.paths[0]}, {len(self.files)} files)"


def cut(files: Iterable[InputFile], most_bytes: int) -> tuple[Unit, ...]:
    """Group files in their order into units of at most ``most_bytes``; a larger file is a unit by itself.

    >>> [unit.paths for unit in cut([InputFile(n, 4, "") for n in "abc"], most_bytes=9)]
    [['a', 'b'], ['c']]
    """
    groups: list[list[InputFile]] = []
    room = -1
    for file in files:
        # A file larger than a unit still gets a unit of its own.
        if file.bytes > room:
            groups.append([])
            room = most_bytes
        groups[-1].append(file)
        room -= file.bytes
    return tuple(Unit(number, tuple(group)) for number, group in enumerate(groups))


@dataclass(frozen=True)
class BatchPlan:
    """One batch. ``options`` are those that decide what comes out, by name, as JSON has them."""

    batch: str
    model: str
    version: int
    model_digest: str
    files: tuple[InputFile, ...]
    options: Mapping[str, Any]
    unit_bytes: int

    @property
    def units(self) -> tuple[Unit, ...]:
        """The units, which follow from the files and their size."""
        return cut(self.files, self.unit_bytes)

    @property
    def input_digest(self) -> str:
        """SHA-256 over names, sizes and digests of all files, in hex."""
        text = json.dumps([[file.path, file.bytes, file.sha256] for file in self.files])
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> str:
        """Return the file's text."""
        return json.dumps({"schema_version": SCHEMA_VERSION, **asdict(self)}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> BatchPlan:
        """Read the file's text; raises ``ValueError``, ``KeyError`` or ``TypeError`` if it is not one of ours."""
        data = json.loads(text)
        version = data.pop("schema_version")
        if version != SCHEMA_VERSION:
            raise ValueError(f"a plan of schema version {version}, expected {SCHEMA_VERSION}")
        return cls(**{**data, "files": tuple(InputFile(**file) for file in data["files"])})

    def must_equal(self, begun: BatchPlan, folder: object) -> None:
        """Refuse to go on with ``begun``, whose state is in ``folder``, as something else.

        Raises:
            ConfigurationError: it says what differs.
        """
        differences = list(_differences(begun, self))
        if differences:
            raise ConfigurationError(
                f"the batch {begun.batch} was begun with other options: {'; '.join(differences)}. Use the options it"
                f" was begun with, or discard it by removing {folder}"
            )


def _differences(begun: BatchPlan, now: BatchPlan) -> Iterator[str]:
    if (begun.model, begun.version) != (now.model, now.version):
        yield f"with {begun.model} v{begun.version}, and now it is {now.model} v{now.version}"
    # A version number is no proof: the files behind it can be replaced in the artifact store.
    elif begun.model_digest != now.model_digest:
        yield f"the files of {now.model} v{now.version} have changed"
    before, after = ({file.path: file for file in plan.files} for plan in (begun, now))
    for path in sorted({*before, *after}):
        if before.get(path) != after.get(path):
            change = "is gone" if path not in after else "is new" if path not in before else "has changed"
            yield f"the input {path} {change}"
    if begun.unit_bytes != now.unit_bytes:
        yield f"batch.unit_bytes was {begun.unit_bytes}, and now it is {now.unit_bytes}"
    for name in sorted({*begun.options, *now.options}):
        if begun.options.get(name) != now.options.get(name):
            yield f"{name} was {begun.options.get(name)}, and now it is {now.options.get(name)}"
