"""A server's routes over the pipeline of :mod:`tests.support.late_flights`, in this process and without a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import yaml

from streaming.lookup.followed import TableFollower
from streaming.models.golden import PATH, GoldenRow, GoldenRows
from streaming.models.package import ModelPackage
from streaming.models.ref import ModelVersion
from streaming.models.served import ServedModel
from streaming.models.signature import Column, Signature
from streaming.models.slot import Slot
from streaming.operations.admin import Access
from streaming.scoring.in_process import InProcessLoader
from streaming.serving.admission import Admission, Tokens
from streaming.serving.answer_log import AnswerLog, AnswerSink
from streaming.serving.app import serving_app
from streaming.serving.chain import ServedChain
from streaming.serving.feature_passes import FeaturePasses
from streaming.serving.front import Front
from streaming.serving.intake import Intake
from streaming.serving.keys import ApiKeys
from streaming.serving.lanes import Lane
from streaming.serving.passes import EventPasses
from streaming.serving.rates import CallerRates
from streaming.serving.rollout_arms import RolloutArms
from streaming.serving.server_metrics import ServerMetrics
from streaming.serving.service import Readiness, ScoringService
from streaming.settings import EventSettings, ServeSettings
from streaming.testing import ManualClock
from tests.support.late_flights import FITTED, MATRIX, STAGES, WEIGHTS, saved
from tests.support.saved import Stage, save_pipeline

SIGNATURE = Signature((Column("carrier", "string", False), Column("hour", "long"), Column("temp", "double", False)))
GOLDEN = GoldenRows((GoldenRow({"carrier": "AA", "hour": 20, "temp": None}, 1.0),))
STRICT: list[Stage] = [(STAGES[0][0], {**STAGES[0][1], "handleInvalid": "error"}), *STAGES[1:]]
"""The pipeline throws on carriers that it does not know, and on none."""


Request = tuple[str, str, Mapping[str, Any]]
"""Method, path, and what httpx is told beside."""


def event(**changes: Any) -> dict[str, Any]:
    """An event that is valid, but for the changes."""
    return {"event_id": "e1", "event_time": "2013-01-01T05:15:00Z", "carrier": "UA", "hour": 3, "temp": 5.5, **changes}


DISTANCE: list[Stage] = [
    ("feature.VectorAssembler", {"handleInvalid": "error", "inputCols": ["distance"], "outputCol": "v"}),
    ("regression.LinearRegressionModel", {"featuresCol": "v", "predictionCol": "p"}),
]
"""A regression on the distance alone, which the events of :mod:`tests.support.malformed` have."""
_COEFFICIENTS = {"type": 1, "size": None, "indices": None, "values": [2.0]}
_REGRESSION = {"intercept": 1.0, "coefficients": _COEFFICIENTS, "scale": 1.0}


def flight_package(
    folder: Path, version: int = 1, golden: GoldenRows | None = GOLDEN, stages: list[Stage] = STAGES
) -> ModelPackage:
    """The pipeline's files as a version."""
    folder.mkdir(parents=True, exist_ok=True)
    return ModelPackage(
        version=ModelVersion("late", version, f"run{version}"),
        root=folder,
        pipeline_dir=saved(folder, stages, {**FITTED, "regression.LinearRegressionModel": _REGRESSION}),
        digest="0" * 64,
        signature=SIGNATURE,
        golden=golden,
    )


BOUNDED: list[Stage] = [
    *STAGES[:3],
    (
        "feature.Bucketizer",
        {"handleInvalid": "error", "inputCol": "filled", "outputCol": "bucket", "splits": [-100.0, 0.0, 100.0]},
    ),
    *STAGES[3:],
]
"""The pipeline throws on temperatures from above 100 on, in a stage whose input no guard looks at."""


def version_tree(folder: Path, *, turned: bool = False, stages: list[Stage] = STAGES) -> Path:
    """Write a version as MLflow logs it; ``turned``, it says of each flight the opposite."""
    head = FITTED["classification.LogisticRegressionModel"]
    sign = -1.0 if turned else 1.0
    fitted = {
        **FITTED,
        "classification.LogisticRegressionModel": {
            **head,
            "interceptVector": {**head["interceptVector"], "values": [-sign]},
            "coefficientMatrix": {**MATRIX, "values": [sign * value for value in WEIGHTS], "isTransposed": False},
        },
    }
    save_pipeline(folder / "sparkml", stages, fitted)
    columns = [{"name": c.name, "type": c.type, "required": c.required} for c in SIGNATURE.columns]
    flavor = {"model_data": "sparkml", "pyspark_version": "4.2.0", "code": None}
    description = {"flavors": {"spark": flavor}, "signature": {"inputs": json.dumps(columns)}}
    (folder / "MLmodel").write_text(yaml.safe_dump(description))
    (folder / "penstock").mkdir()
    (folder / PATH).write_text(replace(GOLDEN, rows=(replace(GOLDEN.rows[0], prediction=float(not turned)),)).to_json())
    return folder


def loaded(package: ModelPackage, envelope: EventSettings | None = None) -> ServedModel:
    """The version as a server loads it."""
    return InProcessLoader(envelope or EventSettings(), 1 << 20, singly=True).load(package, "")


@dataclass
class ServerBench:
    """A server's parts, which a test may change before it asks for :attr:`app`."""

    slot: Slot
    thread: ThreadPoolExecutor
    # A machine that runs other tests beside this one may keep a request waiting for longer than the default.
    settings: ServeSettings = field(default_factory=lambda: ServeSettings(timeout_seconds=30.0))
    keys: ApiKeys = field(default_factory=ApiKeys)
    tokens: Tokens | None = None
    rates: CallerRates | None = None
    access: Access = field(default_factory=lambda: Access("127.0.0.1"))
    clock: ManualClock = field(default_factory=ManualClock)
    sink: Callable[[EventPasses, ServerMetrics], AnswerSink] | None = None
    rollout: RolloutArms | None = None
    table: TableFollower | None = None
    chain: ServedChain | None = None
    woken: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make what all requests share."""
        serve = self.settings
        self.metrics = ServerMetrics(self.clock)
        answering = self.chain or self.slot
        self.readiness = Readiness(answering, table=self.table)
        if self.chain is not None:
            self.metrics.with_chain()
        if self.table is not None:
            self.metrics.with_lookups()
        self.passes = EventPasses(
            "http-test", self.clock, self.chain or self.rollout, table=self.table, chain=self.chain
        )
        self.log = self._log()
        self.service = ScoringService(
            slot=self.slot,
            readiness=self.readiness,
            metrics=self.metrics,
            intake=Intake(serve.max_body_bytes, serve.max_in_flight_bytes, serve.max_rows, serve.max_in_flight),
            admission=Admission(self.keys, self.tokens, self.rates),
            thread=self.thread,
            events=Lane(answering, self.passes, self.thread, serve.timeout_seconds),
            features=Lane(self.slot, FeaturePasses(self.table, self.clock), self.thread, serve.timeout_seconds),
            envelope=EventSettings(),
            wake=lambda: self.woken.append(True),
            access=self.access,
            audits=serve.audit,
            rollout=self.rollout,
            log=self.log,
            table=self.table,
            chain=self.chain,
        )
        self.app: Front = serving_app(self.service)

    def _log(self) -> AnswerLog | None:
        if self.sink is None:
            return None
        return AnswerLog(partial(self.sink, self.passes, self.metrics), self.metrics, self.settings.log_max_bytes)

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Return the answer to one request."""
        (answer,) = self.ask_at_once([(method, path, request)])
        return answer

    def ask_at_once(self, requests: Sequence[Request]) -> list[httpx.Response]:
        """Return the answers to requests that are all in flight at the same time."""

        async def ask() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
                return await asyncio.gather(*(client.request(m, p, **request) for m, p, request in requests))

        return asyncio.run(ask())

    def score(self, body: Any, **headers: str | bytes) -> httpx.Response:
        """Post to ``/v1/score``; what is no bytes is sent as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", "/v1/score", content=content, headers={"content-type": "application/json", **headers})


@contextmanager
def a_bench(model: ServedModel | None, **parts: Any) -> Iterator[ServerBench]:
    """Yield a server that has this version, or none."""
    slot = Slot()
    if model is not None:
        slot.swap(model)
    with ThreadPoolExecutor(1) as thread:
        yield ServerBench(slot, thread, **parts)
