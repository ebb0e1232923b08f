"""Models of scikit-learn, as skops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from streaming.errors import CandidateRefusedError
from streaming.models.signature import Signature
from streaming.refusal_codes import RefusalCode
from streaming.scoring.flavours.classes import named, values
from streaming.scoring.flavours.flavour import Flavour, ModelFile, SavedModel
from streaming.scoring.flavours.matrix import check_names, matrix, width_of

TRUSTED = (
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.tree._tree.Tree",
)
"""What models of scikit-learn consist of beside what skops trusts by itself. None of these runs what a file says."""


def _file(section: Mapping[str, object]) -> ModelFile:
    saved_as = section.get("serialization_format")
    if saved_as != "skops":
        raise CandidateRefusedError(
            RefusalCode.NEEDS_CODE,
            f"its sklearn flavor is saved by {saved_as}, which runs code when it is read; log it with"
            " serialization_format='skops'",
        )
    return ModelFile(section.get("pickled_model"), "skops")


def _read(saved: SavedModel) -> Estimator:
    from skops.io import get_untrusted_types, loads

    strange = sorted(set(get_untrusted_types(data=saved.content)) - set(TRUSTED))
    if strange:
        raise CandidateRefusedError(
            RefusalCode.NEEDS_CODE,
            f"the model has objects that are not on Penstock's list: {', '.join(strange)}; leave them out, or export"
            " the model to ONNX",
        )
    model = estimator_of(loads(saved.content, trusted=list(TRUSTED)))
    model.check(saved.signature)
    return model


def estimator_of(model: Any) -> Estimator:
    """Return an estimator that was loaded.

    Raises:
        CandidateRefusedError: ``NO_PREDICTION``; it gives none, or several.
    """
    from sklearn.base import is_classifier

    if not hasattr(model, "predict"):
        raise CandidateRefusedError(RefusalCode.NO_PREDICTION, f"a {type(model).__name__} has no predict")
    classes = np.asarray(model.classes_) if is_classifier(model) else None
    if classes is not None and classes.ndim != 1:
        raise CandidateRefusedError(RefusalCode.NO_PREDICTION, "the model gives several classes for an event, not one")
    # A worker is one of several on its machine.
    parallel = [name for name in model.get_params() if name.rpartition("__")[2] == "n_jobs"]
    model.set_params(**dict.fromkeys(parallel))
    return Estimator(model, classes, hasattr(model, "feature_names_in_"))


@dataclass(frozen=True)
class Estimator:
    """Answers by the estimator's own ``predict``, and ``predict_proba`` where it has one.

    Attributes:
        classes: of a classifier, in the order of its probabilities.
        has_names: it was trained on a data frame.
    """

    model: Any
    classes: Any
    has_names: bool

    def check(self, signature: Signature) -> None:
        """Compare the estimator's features with the columns; raises ``CandidateRefusedError`` where they differ."""
        count = getattr(self.model, "n_features_in_", width_of(signature))
        names = self.model.feature_names_in_ if self.has_names else [""] * count
        check_names(signature, [str(name) for name in names])

    def answer(self, events: pa.RecordBatch) -> pa.RecordBatch:
        """See :class:`streaming.scoring.flavours.flavour.NativeModel`."""
        data = self._data(events)
        predicted = np.asarray(self.model.predict(data))
        if predicted.shape not in ((len(data),), (len(data), 1)):
            raise ValueError("the model gives several numbers for an event, not one")
        if self.classes is None:
            return values(predicted.ravel())
        probabilities = self.model.predict_proba(data) if hasattr(self.model, "predict_proba") else None
        return named(self.classes, predicted, probabilities)

    def _data(self, events: pa.RecordBatch) -> Any:
        if any(pa.types.is_list(column.type) for column in events.columns):
            return matrix(events)
        frame = events.to_pandas()
        return frame if self.has_names else frame.to_numpy()


SKLEARN = Flavour("sklearn", _file, _read)
