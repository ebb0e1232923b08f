"""The flavors of MLflow, beside Spark's, whose versions are served."""

from __future__ import annotations

from streaming.models.package import CODE_FLAVOR
from streaming.scoring.code.flavour import CODE
from streaming.scoring.flavours.catboost_cbm import CATBOOST
from streaming.scoring.flavours.flavour import Flavour
from streaming.scoring.flavours.lightgbm_text import LIGHTGBM
from streaming.scoring.flavours.onnx_graph import ONNX
from streaming.scoring.flavours.sklearn_skops import SKLEARN
from streaming.scoring.flavours.xgboost_booster import XGBOOST

FLAVOURS: dict[str, Flavour] = {
    "lightgbm": LIGHTGBM,
    "xgboost": XGBOOST,
    "onnx": ONNX,
    "sklearn": SKLEARN,
    "catboost": CATBOOST,
}
"""By MLflow's names, which are also those of the extras that install the libraries; the preferred one first."""
WITH_CODE: dict[str, Flavour] = {**FLAVOURS, CODE_FLAVOR: CODE}
"""The same and what runs a version's own code, for jobs that allow it."""
