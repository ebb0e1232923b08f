"""LightGBM's boosters, as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from streaming.errors import CandidateRefusedError
from streaming.refusal_codes import RefusalCode
from streaming.scoring.flavours.classes import most_probable, of_two, values
from streaming.scoring.flavours.flavour import Flavour, ModelFile, SavedModel
from streaming.scoring.flavours.matrix import check_numbers, matrix, unfit

if TYPE_CHECKING:
    import lightgbm

_BOOSTER = "lightgbm.basic.Booster"
_OBJECTIVE = re.compile(r"^objective=(\w+)", re.MULTILINE)
_MULTICLASS = ("multiclass", "multiclassova")


def _file(section: Mapping[str, object]) -> ModelFile:
    logged = section.get("model_class", _BOOSTER)
    if logged != _BOOSTER:
        raise CandidateRefusedError(
            RefusalCode.NEEDS_CODE,
            f"its lightgbm flavor has a {logged}, a Python object; log its booster, as in"
            " mlflow.lightgbm.log_model(model.booster_, ...)",
        )
    return ModelFile(section.get("data"), "booster")


def _read(saved: SavedModel) -> BoosterText:
    import lightgbm

    text = saved.content.decode("utf-8")
    booster = lightgbm.Booster(model_str=text)
    if booster.pandas_categorical:
        raise unfit("the model was trained on categories of pandas, which an event has not; train it on their codes")
    check_numbers(saved.signature, booster.feature_name())
    match = _OBJECTIVE.search(text[: text.find("\nTree=")])
    objective = match.group(1) if match else ""
    if booster.num_model_per_iteration() > 1 and objective not in _MULTICLASS:
        raise CandidateRefusedError(
            RefusalCode.NO_PREDICTION,
            "the model gives several scores of an objective of its own, which say neither value nor class; train it"
            " with the objective multiclass",
        )
    return BoosterText(booster, objective)


@dataclass(frozen=True)
class BoosterText:
    """Answers by ``Booster.predict``, and picks classes as ``LGBMClassifier.predict`` does."""

    booster: lightgbm.Booster
    objective: str

    def answer(self, events: pa.RecordBatch) -> pa.RecordBatch:
        """See :class:`streaming.scoring.flavours.flavour.NativeModel`."""
        predicted = np.asarray(self.booster.predict(matrix(events), num_threads=1))
        if self.objective in _MULTICLASS:
            return most_probable(predicted)
        return most_probable(of_two(predicted)) if self.objective == "binary" else values(predicted)


LIGHTGBM = Flavour("lightgbm", _file, _read)
