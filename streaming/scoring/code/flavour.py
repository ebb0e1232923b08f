"""The flavor of models that are code: ``python_function``, which every model of MLflow's has beside its own."""

from __future__ import annotations

from collections.abc import Mapping

from streaming.errors import CandidateRefusedError
from streaming.refusal_codes import RefusalCode
from streaming.scoring.code.process import ModelProcess
from streaming.scoring.flavours.flavour import Flavour, ModelFile, SavedModel

_SPARKS = "mlflow.spark"


def _file(section: Mapping[str, object]) -> ModelFile:
    if section.get("loader_module") == _SPARKS:
        raise CandidateRefusedError(
            RefusalCode.FLAVOR_UNSUPPORTED,
            "its code is a pipeline of Spark, which Spark scores; set model.scorer to auto",
        )
    return ModelFile(".", "python_function")


def _read(saved: SavedModel) -> ModelProcess:
    return ModelProcess(saved.content, saved.kind, saved.seconds)


CODE = Flavour("mlflow", _file, _read)
