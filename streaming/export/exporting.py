"""A version to the files of its export: which variants it has, what is said of them, and the folder."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from streaming.errors import ExportRefusedError
from streaming.export.agreement import Agreement, compiled_answers
from streaming.export.compared_events import compared_events
from streaming.export.precisions import FILES, PRECISIONS, Precision
from streaming.export.variants import Variant, VariantComparison
from streaming.models.arrow_types import feature_schema
from streaming.models.package import ModelPackage
from streaming.scoring.compiled.scorer import load_scorer
from streaming.version import __version__
from streaming.whole_folder import whole_folder

_GOLDEN_TOLERANCE = 1e-6


@dataclass(frozen=True)
class ExportOrder:
    """What is asked for.

    Attributes:
        precisions: the variants; with none of them named, each one that makes sense.
        max_mismatch_share: the share of likely events on which a variant in single precision or less may differ.
        likely_events: how many are drawn.
    """

    precisions: tuple[Precision, ...] = ()
    max_mismatch_share: float = 0.001
    likely_events: int = 10_000


@dataclass(frozen=True)
class Export:
    """The variants of a version, and why others are left out; ``example`` is an event to try them with."""

    package: ModelPackage
    order: ExportOrder
    variants: tuple[Variant, ...]
    left_out: Mapping[Precision, str]
    example: Mapping[str, Any]

    def signature(self) -> dict[str, Any]:
        """Return what a program has to know to feed the model and to read its answers."""
        first = self.variants[0]
        return {
            "model": self.package.version.name,
            "version": self.package.version.version,
            "file": FILES[first.precision],
            "inputs": [
                {
                    "name": column.name,
                    "type": column.type,
                    "required": column.required,
                    "dtype": "object" if column.type == "string" else "float64",
                    "length": column.length,
                    "missing": first.form.missing_text if column.type == "string" else None,
                }
                for column in self.package.signature.columns
            ],
            "outputs": dict(first.form.outputs),
            "example": dict(self.example),
        }

    def report(self) -> dict[str, Any]:
        """Return what was compared, and what came of it."""
        return {
            "model": self.package.version.name,
            "version": self.package.version.version,
            "digest": self.package.digest,
            "penstock": __version__,
            "reference": "the version's compiled form, which a job compares with Spark when it loads the version; Spark"
            " did not run for this report, and its own answers are those of the golden rows alone",
            "max_mismatch_share": self.order.max_mismatch_share,
            "variants": [self._described(variant) for variant in self.variants],
            "left_out": dict(self.left_out),
        }

    def _described(self, variant: Variant) -> dict[str, Any]:
        golden = self.package.golden.rows if self.package.golden else ()
        return {
            "precision": variant.precision,
            "file": FILES[variant.precision],
            "bytes": variant.size,
            "sha256": hashlib.sha256(variant.content).hexdigest(),
            "microseconds_per_row": {str(rows): round(value, 3) for rows, value in variant.microseconds.items()},
            "likely_events": _agreement(variant.likely),
            "edge_events": _agreement(variant.edges),
            "golden_rows": {"rows": len(golden), "largest_difference": _finite(variant.golden)},
        }


def _finite(difference: float | None) -> float | None:
    """JSON has no other numbers; a row without a finite answer has no difference."""
    return difference if difference is not None and math.isfinite(difference) else None


def _agreement(agreement: Agreement) -> dict[str, Any]:
    return {
        "events": agreement.events,
        "rejected": agreement.rejected,
        "mismatches": agreement.mismatches,
        "largest_difference": agreement.largest,
    }


def export(package: ModelPackage, order: ExportOrder, timer: Callable[[], float]) -> Export:
    """Draw a version's variants and compare them with its compiled form.

    Args:
        package: the version, a pipeline of Spark's.
        order: which variants.
        timer: seconds of a clock that only goes forward.

    Raises:
        StageNotCompiledError: a stage has no compiled form.
        ExportRefusedError: a stage has no ONNX form, or a variant that was named differs by too much.
    """
    scorer = load_scorer(package.pipeline_dir, feature_schema(package.signature))
    events = compared_events(package, scorer.program.stages, order.likely_events)
    comparison = VariantComparison(
        scorer=scorer,
        events=events,
        likely=compiled_answers(scorer, events.likely),
        edges=compiled_answers(scorer, events.edges),
        golden=package.golden.rows if package.golden else (),
        timer=timer,
    )
    tolerance = package.golden.tolerance if package.golden else _GOLDEN_TOLERANCE
    variants, left_out = [], {}
    for precision in order.precisions or PRECISIONS:
        try:
            variants.append(_allowed(comparison.variant(precision), order.max_mismatch_share, tolerance))
        except ExportRefusedError as refusal:
            # Without the exact variant, the others would say nothing.
            if precision in order.precisions or precision == PRECISIONS[0]:
                raise
            left_out[precision] = str(refusal)
    (example,) = events.edges.slice(0, 1).to_pylist()
    return Export(package, order, tuple(variants), left_out, example)


def _allowed(variant: Variant, most: float, golden_tolerance: float) -> Variant:
    if objection := variant.objection(most, golden_tolerance):
        raise ExportRefusedError(f"the variant in {variant.precision} is refused: {objection}")
    return variant


def write(export_: Export, folder: Path) -> None:
    """Write the files; the folder appears with all of them.

    Raises:
        ConfigurationError: there is something at ``folder`` already.
    """
    with whole_folder(folder) as partial:
        for variant in export_.variants:
            (partial / FILES[variant.precision]).write_bytes(variant.content)
        (partial / "signature.json").write_text(json.dumps(export_.signature(), indent=1) + "\n", "utf-8")
        (partial / "report.json").write_text(json.dumps(export_.report(), indent=1) + "\n", "utf-8")
        example = resources.files("streaming.export").joinpath("example.py")
        (partial / "example.py").write_text(example.read_text("utf-8"), "utf-8")
