"""What a batch reads: the files below a path, their format by suffix, and a digest of each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from streaming.compressed import compression_of
from streaming.errors import ConfigurationError

Format = Literal["parquet", "csv", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)

_SUFFIXES: dict[str, Format] = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}
_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class InputFile:
    """One file; ``sha256`` is of its bytes, in hex."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Listing:
    """The files of one batch by name. ``base`` is the folder from which ``column=value`` folders count."""

    base: Path
    paths: tuple[Path, ...]

    def digested(self) -> tuple[InputFile, ...]:
        """Return the files with their digests, which reads them once."""
        return tuple(InputFile(str(path), path.stat().st_size, _digest(path)) for path in self.paths)


def local(name: str, text: str) -> Path:
    """Return the absolute path that somebody gave as the option ``name``.

    Raises:
        ConfigurationError: it is a URI, whose store cannot rename a folder at once.
    """
    scheme = urlsplit(text).scheme
    if scheme not in ("", "file"):
        raise ConfigurationError(
            f"{name} {text} is not a path; a batch reads and writes this machine's file systems, mounted shares"
            " included, because only they publish a folder by one rename"
        )
    return Path(urlsplit(text).path if scheme else text).absolute()


def list_files(path: Path) -> Listing:
    """List a file, a folder with all below it, or what a pattern names; hidden files are left out, as Spark does.

    Raises:
        ConfigurationError: there is none.
    """
    if path.is_dir():
        base, paths = path, _below(path)
    # A file whose own name has a star or a bracket is meant as it stands.
    elif has_magic(str(path)) and not path.exists():
        matches = [Path(match) for match in sorted(glob(str(path), recursive=True))]
        base = _above_pattern(path)
        paths = [path for match in matches for path in (_below(match) if match.is_dir() else [match])]
    else:
        base, paths = path.parent, [path] if path.is_file() else []
    if not paths:
        raise ConfigurationError(f"--in {path}: there is no file; give a file, a folder or a pattern in quotes")
    # A pattern may match a folder and a file in it.
    return Listing(base, tuple(sorted(set(paths))))


def format_of(paths: Iterable[Path]) -> Format:
    """Return the one format that the files' suffixes name.

    >>> format_of([Path("a.csv.gz"), Path("b.csv")])
    'csv'

    Raises:
        ConfigurationError: a suffix names none, or they name several.
    """
    formats = {path: suffix_format(path) for path in paths}
    unknown = [path for path, name in formats.items() if name is None]
    names = {name for name in formats.values() if name is not None}
    if unknown or len(names) != 1:
        which = f"{unknown[0].name} has no suffix for it" if unknown else f"the files are {' and '.join(sorted(names))}"
        raise ConfigurationError(f"the format is not clear: {which}; say --format {'|'.join(FORMATS)}")
    return names.pop()


def suffix_format(path: Path) -> Format | None:
    """Return the format that one path's suffix names, compression aside.

    >>> suffix_format(Path("scored/2024.jsonl.gz")), suffix_format(Path("scored"))
    ('json', None)
    """
    stem = path.with_suffix("") if compression_of(path) else path
    return _SUFFIXES.get(stem.suffix.lower())


def named_format(name: str, text: str) -> Format:
    """Return the format that somebody gave as the option ``name``.

    Raises:
        ConfigurationError: it is none that can be read and written.
    """
    for each in FORMATS:
        if text.lower() == each:
            return each
    hint = "; write the table's current version to Parquet first" if text.lower() == "delta" else ""
    raise ConfigurationError(f"{name} {text} is not one of {', '.join(FORMATS)}{hint}")


def is_delta(folder: Path) -> bool:
    """Return whether a folder is a Delta table. The files of such a table do not say which of them still count."""
    return (folder / "_delta_log").is_dir()


def _below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not any(_hidden(path.relative_to(folder)))]


def _hidden(relative: Path) -> Iterator[bool]:
    """Spark leaves these out, except for partitions by a column whose name begins so."""
    return (part.startswith(".") or (part.startswith("_") and "=" not in part) for part in relative.parts)


def _above_pattern(pattern: Path) -> Path:
    parts: list[str] = []
    for part in pattern.parts:
        if has_magic(part):
            break
        parts.append(part)
    return Path(*parts)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
