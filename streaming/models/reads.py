"""Which columns a saved pipeline reads, by what its stages' files name; nothing is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

_FOR_FITTING = frozenset({"labelCol", "weightCol", "censorCol"})
"""Parameters that name columns which are read in fitting alone."""
_SPARKS_OWN = ("org.apache.spark.", "pyspark.ml.")


def unread(pipeline_dir: Path, names: Iterable[str]) -> frozenset[str]:
    """Return the names that no parameter of any stage has; none where a stage is not Spark's, as it may read anything.

    A name that a parameter has for another reason counts as read.
    """
    named: set[str] = set()
    for part in pipeline_dir.rglob("metadata/part-*"):
        metadata = _metadata(part)
        if not str(metadata.get("class")).startswith(_SPARKS_OWN):
            return frozenset()
        named.update(text.lower() for text in _texts([metadata.get("defaultParamMap"), metadata.get("paramMap")]))
    # Spark does not tell cases apart.
    return frozenset(name for name in names if name.lower() not in named) if named else frozenset()


def _metadata(part: Path) -> Mapping[str, object]:
    try:
        metadata = json.loads(part.read_text("utf-8").splitlines()[0])
    except (OSError, ValueError, IndexError):
        return {}
    return metadata if isinstance(metadata, Mapping) else {}


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for element in value:
            yield from _texts(element)
    elif isinstance(value, Mapping):
        for name, element in value.items():
            if name not in _FOR_FITTING:
                yield from _texts(element)
