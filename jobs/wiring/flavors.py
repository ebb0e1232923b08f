"""Which flavors a process scores versions by, as the section ``model`` allows."""

from __future__ import annotations

from streaming.models.package import CODE_FLAVOR, SPARK_FLAVOR
from streaming.scoring.flavours.table import FLAVOURS
from streaming.settings import ModelSettings


def served_flavors(model: ModelSettings) -> tuple[str, ...]:
    """Return MLflow's names of the flavors, the preferred one first."""
    if model.scorer == "pyfunc":
        return (CODE_FLAVOR,)
    return (SPARK_FLAVOR, *FLAVOURS, *([CODE_FLAVOR] if model.allow_code else []))


def code_seconds(model: ModelSettings) -> float | None:
    """Return the longest that a version's own code may take for a batch; ``None`` where none is run."""
    return model.code_seconds if model.allow_code else None
