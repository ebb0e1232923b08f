"""CatBoost's models, as cbm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from streaming.errors import CandidateRefusedError
from streaming.models.arrow_types import feature_batch
from streaming.refusal_codes import RefusalCode
from streaming.scoring.flavours.classes import named, values
from streaming.scoring.flavours.flavour import Flavour, ModelFile, SavedModel
from streaming.scoring.flavours.matrix import check_names, matrix, unfit
from streaming.scoring.made_up import made_up_event

if TYPE_CHECKING:
    import catboost

_KINDS = ("CatBoostClassifier", "CatBoostRegressor", "CatBoostRanker", "CatBoost")


def _file(section: Mapping[str, object]) -> ModelFile:
    kind, saved_as = section.get("model_type"), section.get("save_format", "cbm")
    if kind not in _KINDS or saved_as != "cbm":
        raise CandidateRefusedError(
            RefusalCode.FLAVOR_UNSUPPORTED,
            f"its catboost flavor has a {kind} saved as {saved_as}; log one of {', '.join(_KINDS)} with format='cbm'",
        )
    return ModelFile(section.get("data"), str(kind))


def _read(saved: SavedModel) -> CatBoostModel:
    import catboost

    model = getattr(catboost, saved.kind)()
    model.load_model(blob=saved.content, format="cbm")
    columns = saved.signature.columns
    check_names(saved.signature, model.feature_names_)
    categories = {columns[position].name for position in model.get_cat_feature_indices()}
    for column in columns:
        if (column.type == "string") != (column.name in categories):
            raise unfit(f"the column {column.name} is {column.type}, and text must be a category and a category text")
    read = CatBoostModel(model, saved.kind == "CatBoostClassifier", bool(categories))
    event = made_up_event(saved.signature, ())
    if read.predicted(read.data(feature_batch(saved.signature, [event]))).shape != (1,):
        raise CandidateRefusedError(RefusalCode.NO_PREDICTION, "the model gives several numbers for an event, not one")
    return read


@dataclass(frozen=True)
class CatBoostModel:
    """Answers by the estimator's own ``predict`` and ``predict_proba``."""

    model: catboost.CatBoost
    is_classifier: bool
    has_categories: bool

    def answer(self, events: pa.RecordBatch) -> pa.RecordBatch:
        """See :class:`streaming.scoring.flavours.flavour.NativeModel`."""
        data = self.data(events)
        if not self.is_classifier:
            return values(self.predicted(data))
        probabilities = np.asarray(self.model.predict_proba(data, thread_count=1))
        return named(np.asarray(self.model.classes_), self.predicted(data), probabilities)

    def data(self, events: pa.RecordBatch) -> Any:
        """Return what ``predict`` takes: a matrix has no room for text."""
        return events.to_pandas() if self.has_categories else matrix(events)

    def predicted(self, data: Any) -> Any:
        """Return one prediction for each of n rows; an array of two dimensions where there are several."""
        predictions = np.asarray(self.model.predict(data, thread_count=1))
        single = predictions.ndim == 2 and predictions.shape[1] == 1
        return predictions[:, 0] if single else predictions


CATBOOST = Flavour("catboost", _file, _read)
