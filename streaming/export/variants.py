"""The variants of an export: one graph in double precision, in single precision, and with weights of eight bits."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from streaming.errors import ExportRefusedError
from streaming.export.agreement import Agreement, AllowedGap, FormAnswers, OnnxSession, agreement, feeds
from streaming.export.compared_events import ComparedEvents
from streaming.export.form import OnnxForm, onnx_form
from streaming.export.precisions import Precision
from streaming.models.golden import GoldenRow
from streaming.scoring.compiled.scorer import CompiledScorer

_ALLOWED: dict[Precision, AllowedGap] = {
    "float64": AllowedGap(1e-12, 1e-12),
    # A class is right or wrong; how far its probability may be off is the reader's to say, and in the report.
    "float32": AllowedGap(1e-4, np.inf),
    "int8": AllowedGap(1e-2, np.inf),
}
_LEAST_WEIGHTS = 1_000
"""Eight bits are tried from so many weights of one product of matrices on; a smaller one is some kilobytes at most."""
_TIMED_ROWS = (1, 1_000)
_TIMED_SECONDS = 0.1


@dataclass(frozen=True)
class Variant:
    """A variant that was compared.

    Attributes:
        precision: what it computes in.
        form: the ONNX model.
        likely: how far it agrees with the compiled form on likely events.
        edges: the same on recorded events and on those at the edges.
        golden: the largest difference from what Spark predicted for the golden rows at training; ``None`` without any.
        microseconds: for one row, by the number of rows that are scored at once.
    """

    precision: Precision
    form: OnnxForm
    likely: Agreement
    edges: Agreement
    golden: float | None
    microseconds: dict[int, float]

    @cached_property
    def content(self) -> bytes:
        """The file's bytes."""
        content: bytes = self.form.model.SerializeToString()
        return content

    @property
    def size(self) -> int:
        """How many bytes the file has."""
        return len(self.content)

    def objection(self, most: float, golden_tolerance: float) -> str:
        """Return why it may not be written, empty if it may.

        Args:
            most: the share of likely events on which single precision and less may differ; double precision may not
                differ on any event.
            golden_tolerance: how far a golden row's answer may be off in double precision.
        """
        if self.precision == "float64":
            worst = self.likely if self.likely.mismatches else self.edges
            if worst.mismatches:
                return f"its answers differ {worst}"
            if self.golden is not None and not self.golden <= golden_tolerance:
                return f"its answers to the golden rows are {self.golden:.1e} away from Spark's"
        elif self.likely.mismatch_share > most:
            return f"more than a share of {most:g} of its answers to likely events differ {self.likely}"
        return ""


def onnx_form_of(scorer: CompiledScorer, precision: Precision) -> OnnxForm:
    """Return the ONNX form of a precision.

    Raises:
        ExportRefusedError: a stage has no ONNX form, or nothing of it is worth eight bits.
    """
    if precision == "float64":
        return onnx_form(scorer, np.float64)
    single = onnx_form(scorer, np.float32)
    return _quantized(single) if precision == "int8" else single


def _quantized(form: OnnxForm) -> OnnxForm:
    if _largest_product(form.model) < _LEAST_WEIGHTS:
        raise ExportRefusedError(
            f"eight bits make nothing smaller: no product of matrices has {_LEAST_WEIGHTS:,} weights, and trees, tables"
            " and smaller products stay as they are"
        )
    # The module alone takes a second to import.
    from onnxruntime.quantization import QuantType, quant_pre_process, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        plain, prepared, after = (Path(folder) / name for name in ("plain.onnx", "prepared.onnx", "after.onnx"))
        onnx.save(form.model, plain)
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        quantize_dynamic(prepared, after, op_types_to_quantize=["MatMul"], weight_type=QuantType.QInt8)
        return replace(form, model=onnx.load(after))


def _largest_product(model: onnx.ModelProto) -> int:
    """Return how many weights the largest product with a matrix of several columns has."""
    weights = {constant.name: numpy_helper.to_array(constant) for constant in model.graph.initializer}
    products = [weights[node.input[1]] for node in model.graph.node if node.op_type == "MatMul"]
    return max((matrix.size for matrix in products if matrix.shape[1] > 1), default=0)


@dataclass(frozen=True)
class VariantComparison:
    """Holds variants against the compiled form on the same events.

    Attributes:
        scorer: the compiled form.
        events: what is scored.
        likely: what the compiled form answers to the likely events.
        edges: the same of those at the edges.
        golden: the golden rows, with what Spark answered at training.
        timer: seconds of a clock that only goes forward.
    """

    scorer: CompiledScorer
    events: ComparedEvents
    likely: FormAnswers
    edges: FormAnswers
    golden: tuple[GoldenRow, ...]
    timer: Callable[[], float]

    def variant(self, precision: Precision) -> Variant:
        """Return a precision's variant.

        Raises:
            ExportRefusedError: a stage has no ONNX form, or nothing of it is worth eight bits.
        """
        form = onnx_form_of(self.scorer, precision)
        session, allowed = OnnxSession(form), _ALLOWED[precision]
        return Variant(
            precision=precision,
            form=form,
            likely=agreement(self.events.likely, session.answers(self.events.likely), self.likely, allowed),
            edges=agreement(self.events.edges, session.answers(self.events.edges), self.edges, allowed),
            golden=self._golden(session),
            microseconds={rows: self._microseconds(session, form, rows) for rows in _TIMED_ROWS},
        )

    def _golden(self, session: OnnxSession) -> float | None:
        if not self.golden:
            return None
        answers = session.answers(self.events.golden)
        gaps = [np.abs(answers.prediction - [row.prediction for row in self.golden])]
        gaps += [
            np.abs(answers.probability[position] - row.probability)
            for position, row in enumerate(self.golden)
            if len(row.probability) == answers.probability.shape[1]
        ]
        # A rejected row has no answer, and Spark had one.
        return math.nan if answers.rejected.any() else float(np.concatenate(gaps).max())

    def _microseconds(self, session: OnnxSession, form: OnnxForm, rows: int) -> float:
        """Return the time of the quickest run of many, for one row."""
        tensors = feeds(self.events.likely.slice(0, rows), form.missing_text)
        began, best = self.timer(), math.inf
        while (before := self.timer()) - began < _TIMED_SECONDS:
            session.run(tensors)
            best = min(best, self.timer() - before)
        return best / rows * 1e6
