"""Finding out that some of a version's files have not arrived, by what the others say.

An artifact store that has lost files, or has not got them yet, may answer like one that never had any: MLflow then
downloads what there is and reports no error.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from streaming.yaml_text import YamlTextError, read_yaml

MLMODEL = "MLmodel"


def missing(root: Path) -> str:
    """Return what is missing below ``root``, empty if nothing is. Files that are there and wrong are not judged."""
    if not (root / MLMODEL).exists():
        return MLMODEL
    description = _description(root)
    flavors = description.get("flavors")
    spark = flavors.get("spark") if isinstance(flavors, Mapping) else None
    pipeline = spark.get("model_data") if isinstance(spark, Mapping) else None
    if isinstance(pipeline, str) and not any((root / pipeline / "metadata").glob("part-*")):
        return f"{pipeline}/metadata"
    logged, here = description.get("model_size_bytes"), _size(root)
    if isinstance(logged, int) and here < logged:
        return f"{logged - here:,} of the {logged:,} bytes that were logged"
    return ""


def _description(root: Path) -> Mapping[str, object]:
    try:
        description = read_yaml((root / MLMODEL).read_bytes())
    except YamlTextError:
        return {}
    return description if isinstance(description, Mapping) else {}


def _size(root: Path) -> int:
    """Return the bytes of all files but ``MLmodel``, which was written after they were counted."""
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file() and path != root / MLMODEL)
