"""ONNX models, by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from streaming.errors import CandidateRefusedError
from streaming.refusal_codes import RefusalCode
from streaming.scoring.flavours.flavour import Flavour, ModelFile, SavedModel
from streaming.scoring.flavours.matrix import unfit
from streaming.scoring.flavours.onnx_inputs import Feed, feed_for
from streaming.scoring.flavours.onnx_outputs import OnnxOutputs, outputs_for


def _file(section: Mapping[str, object]) -> ModelFile:
    return ModelFile(section.get("data"), "graph")


def _read(saved: SavedModel) -> OnnxModel:
    import onnxruntime

    # Options and providers that the version names are not taken.
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(saved.content, options, providers=["CPUExecutionProvider"])
    except Exception as problem:  # the runtime has a class of its own for each kind
        if "external" not in str(problem).lower():
            raise
        raise CandidateRefusedError(
            RefusalCode.CORRUPT_FILES,
            "the model's weights are in other files; log it with save_as_external_data=False",
        ) from problem
    if not session.get_inputs():
        raise unfit("the model has no inputs")
    return OnnxModel(session, feed_for(session.get_inputs(), saved.signature), outputs_for(session.get_outputs()))


@dataclass(frozen=True)
class OnnxModel:
    """Answers by the graph's outputs."""

    session: Any
    feed: Feed
    outputs: OnnxOutputs

    def answer(self, events: pa.RecordBatch) -> pa.RecordBatch:
        """See :class:`streaming.scoring.flavours.flavour.NativeModel`."""
        return self.outputs.answers(self.session.run(self.outputs.names, self.feed(events)))


ONNX = Flavour("onnxruntime", _file, _read)
