"""XGBoost's boosters, as JSON or UBJSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from streaming.errors import CandidateRefusedError
from streaming.refusal_codes import RefusalCode
from streaming.scoring.flavours.classes import Numbers, most_probable, of_two, values
from streaming.scoring.flavours.flavour import Flavour, ModelFile, SavedModel
from streaming.scoring.flavours.matrix import Doubles, check_numbers, matrix, unfit

if TYPE_CHECKING:
    import xgboost

_TWO, _SEVERAL = _CLASSIFYING = ("binary:logistic", "multi:softprob")
_BOOSTER = "xgboost.core.Booster"
_ESTIMATORS = ("XGBClassifier", "XGBRegressor", "XGBRanker", "XGBRFClassifier", "XGBRFRegressor")
_CLASSES = (_BOOSTER, *(f"xgboost.sklearn.{name}" for name in _ESTIMATORS))


def _file(section: Mapping[str, object]) -> ModelFile:
    kind = section.get("model_class", _BOOSTER)
    if kind not in _CLASSES:
        raise CandidateRefusedError(
            RefusalCode.NEEDS_CODE, f"its xgboost flavor has a {kind}, which is no class of XGBoost's; log the booster"
        )
    name = str(section.get("data"))
    if not name.endswith((".json", ".ubj")):
        raise CandidateRefusedError(
            RefusalCode.FLAVOR_UNSUPPORTED,
            f"its xgboost flavor has the file {name}; log it with model_format='ubj' or 'json'",
        )
    return ModelFile(name, str(kind))


def _read(saved: SavedModel) -> BoosterJson:
    import xgboost

    booster = xgboost.Booster(params={"nthread": 1}, model_file=bytearray(saved.content))
    booster.set_param({"nthread": 1, "device": "cpu"})
    if "c" in (booster.feature_types or []):
        raise unfit("the model was trained on categories, which an event has not; train it on their codes")
    names = booster.feature_names or [f"f{number}" for number in range(booster.num_features())]
    check_numbers(saved.signature, names)
    learner = json.loads(booster.save_config())["learner"]
    objective = learner["objective"]["name"]
    if saved.kind.endswith("Classifier") and objective not in _CLASSIFYING:
        raise unfit(f"a classifier with the objective {objective} gives no probabilities")
    best = booster.attr("best_iteration")
    return BoosterJson(
        booster,
        objective=objective,
        in_place=_in_place(learner["gradient_booster"]["name"], saved.kind),
        # The estimators stop there, a booster by itself does not.
        rounds=0 if best is None or saved.kind == _BOOSTER else int(best) + 1,
    )


def _in_place(booster: str, kind: str) -> bool:
    """Return whether a prediction in place, which is faster, gives what the library's own predict gives."""
    return booster == "gbtree" or (booster == "dart" and kind != _BOOSTER)


@dataclass(frozen=True)
class BoosterJson:
    """Answers by ``Booster.predict``, and picks classes as ``XGBClassifier.predict`` does.

    Attributes:
        rounds: of boosting that count, 0 for all.
    """

    booster: xgboost.Booster
    objective: str
    in_place: bool
    rounds: int

    def answer(self, events: pa.RecordBatch) -> pa.RecordBatch:
        """See :class:`streaming.scoring.flavours.flavour.NativeModel`."""
        predicted = self._predicted(matrix(events))
        if self.objective == _SEVERAL:
            return most_probable(predicted)
        return most_probable(of_two(predicted)) if self.objective == _TWO else values(predicted)

    def _predicted(self, rows: Doubles) -> Numbers:
        how: dict[str, Any] = {"iteration_range": (0, self.rounds), "validate_features": False}
        if self.in_place:
            return np.asarray(self.booster.inplace_predict(rows, **how))
        import xgboost

        return np.asarray(self.booster.predict(xgboost.DMatrix(rows, nthread=1), **how))


XGBOOST = Flavour("xgboost", _file, _read)
