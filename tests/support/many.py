"""Many models in this process: versions that Spark has not seen, their programs and tables, and events for them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from streaming.models.golden import GoldenRow, GoldenRows
from streaming.models.package import ModelPackage
from streaming.models.ref import ModelVersion
from streaming.models.routing import RoutingRule
from streaming.models.served import ServedModel
from streaming.models.signature import Column, Signature
from streaming.models.table import ModelTable, ProgramLimits, TableRow
from streaming.scoring.in_process import InProcessLoader
from streaming.scoring.model_files import ModelProgram, write_file
from streaming.scoring.routed_pass import RoutedPass
from streaming.scoring.row_pass import JsonRowPass
from streaming.settings import EventSettings
from tests.support.saved import Stage, save_pipeline

RULE = RoutingRule("tenant", "churn-")
HEADER = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
RECORDS = pa.schema(
    [
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("headers", HEADER),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("timestamp", pa.timestamp("us", tz="UTC")),
    ]
)


def stages(columns: Sequence[str], *, bounded: bool = False) -> list[Stage]:
    """A regression over numbers; ``bounded`` throws above 90 of the first, in a stage whose input no guard looks at."""
    bucket: list[Stage] = [
        ("feature.ImputerModel", {"inputCols": [columns[0]], "outputCols": ["filled"]}),
        (
            "feature.Bucketizer",
            {"handleInvalid": "error", "inputCol": "filled", "outputCol": "bucket", "splits": [-1e9, 0.0, 90.0]},
        ),
    ]
    assembler = {"handleInvalid": "error", "inputCols": list(columns), "outputCol": "v"}
    regression = {"featuresCol": "v", "predictionCol": "p"}
    return [
        *(bucket if bounded else []),
        ("feature.VectorAssembler", assembler),
        ("regression.LinearRegressionModel", regression),
    ]


def save_regression(folder: Path, intercept: float, columns: Sequence[str] = ("x",), *, bounded: bool = False) -> Path:
    """Write a pipeline that adds its columns to ``intercept``, by which versions are told apart."""
    coefficients = {"type": 1, "size": None, "indices": None, "values": [1.0] * len(columns)}
    fitted: dict[str, dict[str, Any]] = {
        "regression.LinearRegressionModel": {"intercept": intercept, "coefficients": coefficients, "scale": 1.0},
        "feature.ImputerModel": {columns[0]: 0.0},
    }
    return save_pipeline(folder, stages(columns, bounded=bounded), fitted)


def signature_of(columns: Sequence[str]) -> Signature:
    """The columns as required numbers."""
    return Signature(tuple(Column(name, "double") for name in columns))


def logged_regression(folder: Path, intercept: float, *, bounded: bool = False) -> Path:
    """Write a version as MLflow logs it."""
    save_regression(folder / "sparkml", intercept, bounded=bounded)
    flavor = {"model_data": "sparkml", "pyspark_version": "4.2.0", "code": None}
    inputs = json.dumps([{"name": "x", "type": "double", "required": True}])
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"spark": flavor}, "signature": {"inputs": inputs}}))
    return folder


@dataclass
class ManyBench:
    """A folder of programs and what stands in the table."""

    folder: Path
    rows: dict[str, TableRow] = field(default_factory=dict)
    passes: dict[str, JsonRowPass] = field(default_factory=dict)

    def add(
        self, name: str, intercept: float, columns: Sequence[str] = ("x",), *, version: int = 1, bounded: bool = False
    ) -> ServedModel:
        """Put a model's version into the table."""
        root = self.folder / f"{name}-{version}"
        root.mkdir()
        package = ModelPackage(
            version=ModelVersion(name, version, f"run-{name}"),
            root=root,
            pipeline_dir=save_regression(root / "model", intercept, columns, bounded=bounded),
            digest=f"{name}-{version}",
            signature=signature_of(columns),
            golden=GoldenRows((GoldenRow(dict.fromkeys(columns, 1.0), intercept + len(columns)),)),
        )
        return self.put(package)

    def put(self, package: ModelPackage) -> ServedModel:
        """Put a version that is saved into the table."""
        name = package.version.name
        served = InProcessLoader(EventSettings(), 1 << 20).load(package, "")
        assert isinstance(served.row_pass, JsonRowPass)
        own = served.row_pass
        write_file(self.folder / f"{name}.program", ModelProgram(own.guards, own.scorer, package.profile))
        self.rows[name] = TableRow(package.version, package.digest, f"{name}.program", package.signature)
        self.passes[name] = own
        return served

    def routed(self, rule: RoutingRule = RULE, model_seconds: float = 60.0) -> RoutedPass:
        """Return the pass of the table as it stands."""
        table = ModelTable.of(rule, len(list(self.folder.glob("*.table"))) + 1, self.rows.values())
        path = self.folder / f"{table.number}.table"
        write_file(path, table)
        return RoutedPass(path, ProgramLimits(1 << 24, model_seconds), EventSettings(), 1 << 20)

    def without_program(self, name: str) -> None:
        """Let a model take part without a version."""
        self.rows[name] = TableRow(ModelVersion(name, 1))

    def renamed(self, name: str, program: str) -> None:
        """Let a model's program be another file."""
        self.rows[name] = replace(self.rows[name], program=program)


def many_event(number: int, tenant: Any = ..., **changes: Any) -> bytes:
    """A valid event of a tenant; a change of ``...`` leaves the field out."""
    fields = {"event_id": f"e{number}", "event_time": "2013-01-01T05:15:00Z", "tenant": tenant, "x": float(number)}
    return json.dumps({name: value for name, value in {**fields, **changes}.items() if value is not ...}).encode()


def records_of_values(values: Sequence[bytes | None]) -> pa.RecordBatch:
    """Records of one partition with these values, as Spark's source gives them."""
    rows = [{"value": value, "partition": 0, "offset": at, "timestamp": 0} for at, value in enumerate(values)]
    return pa.RecordBatch.from_pylist(rows, RECORDS)


def facts(scored: pa.RecordBatch, *names: str) -> list[Mapping[str, Any]]:
    """Return some columns of scored rows, without the prefix of their names."""
    return [{name: row[f"__penstock_{name}"] for name in names} for row in scored.to_pylist()]
