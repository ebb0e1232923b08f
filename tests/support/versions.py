"""Model versions as files, without Spark: what a registry hands out, and a loader that only remembers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from schemas.model_event import ModelEvent
from streaming.clock import Clock
from streaming.errors import CandidateRefusedError
from streaming.events.decode import JsonDecoder
from streaming.models.announcer import Announcer
from streaming.models.cache import ModelCache
from streaming.models.candidate import Candidates, Preparation
from streaming.models.follower import Follower, Following
from streaming.models.last_good import LastGoodFile
from streaming.models.package import SPARK_FLAVOR, ModelPackage
from streaming.models.reader import PackageReader
from streaming.models.ref import ModelKey, ModelSelector
from streaming.models.registry import ModelRegistry
from streaming.models.seams import Features
from streaming.models.served import PipelineLoader, ServedModel
from streaming.models.slot import Slot
from streaming.models.stager import LocalFileStore, Stager
from streaming.models.topic_schema import TopicCheck
from streaming.refusal_codes import RefusalCode
from streaming.settings import EventSettings, ModelSettings

COLUMNS = [{"type": "double", "name": "distance", "required": True}]
SPARK = "4.2.0"
CHAMPION = ModelSelector("flights", "alias", "champion")


def flights(version: int) -> ModelKey:
    """Return the key of a version of the model that the tests follow."""
    return ModelKey("flights", version)


def version_files(root: Path, content: str = "a pipeline", **changes: Any) -> Path:
    """Write a loggable version's files to ``root``; ``changes`` replace parts of its MLmodel, ``None`` drops them."""
    (root / "sparkml" / "metadata").mkdir(parents=True)
    (root / "sparkml" / "metadata" / "part-00000").write_text(content)
    description = {
        "flavors": {"spark": {"model_data": "sparkml", "pyspark_version": SPARK, "code": None}},
        "signature": {"inputs": json.dumps(COLUMNS)},
        **changes,
    }
    (root / "MLmodel").write_text(yaml.safe_dump({k: v for k, v in description.items() if v is not None}))
    return root


@dataclass
class FakeScorer:
    """Counts how often it is released; once is right."""

    releases: int = 0
    is_proven: bool = True

    def score(self, events: Any) -> Any:
        """Not used without Spark."""
        raise NotImplementedError

    def tried(self, features: Features) -> FakeScorer:
        """Return itself."""
        return self

    def release(self) -> None:
        """Count."""
        self.releases += 1


def fake_served(package: ModelPackage) -> ServedModel:
    """Return a version with a scorer that counts its releases, and a decoder that no test calls."""
    return ServedModel(package, JsonDecoder(package.signature, EventSettings(), 1 << 20, {}), FakeScorer())


@dataclass
class FakeLoader:
    """Loads everything but what ``fails`` says it must not; ``loaded`` is in the order of loading."""

    fails: Callable[[ModelPackage], BaseException | None] = lambda package: None
    loaded: list[ServedModel] = field(default_factory=list)

    def load(self, package: ModelPackage, uri: str) -> ServedModel:
        """Return the version, after reading it from ``uri`` as Spark would."""
        text = (Path(uri.removeprefix("file://")) / "metadata" / "part-00000").read_text()
        if text == "corrupt":
            raise CandidateRefusedError(RefusalCode.CORRUPT_FILES, "Spark cannot load the pipeline")
        if problem := self.fails(package):
            raise problem
        model = fake_served(package)
        self.loaded.append(model)
        return model


@dataclass
class FixedSample:
    """An :class:`EventSample` that always has the same events."""

    values: Sequence[bytes] = ()

    def recent(self, count: int) -> Sequence[bytes]:
        """Return up to ``count`` of them."""
        return self.values[:count]


@dataclass
class RecordedEvents:
    """A sink that keeps what it was sent."""

    events: list[ModelEvent] = field(default_factory=list)

    def send(self, event: ModelEvent) -> None:
        """Keep it."""
        self.events.append(event)

    @property
    def types(self) -> list[str]:
        """What happened, in order."""
        return [event.type.value for event in self.events]


@dataclass
class CountedMetrics:
    """:class:`ModelMetrics` as plain lists."""

    swapped: list[int] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    answered: list[bool] = field(default_factory=list)
    resolved: list[bool] = field(default_factory=list)

    def model_swapped(self, model: ServedModel, seconds: float) -> None:
        """Keep the version."""
        self.swapped.append(model.version.version)

    def model_refused(self, reason: str) -> None:
        """Keep the reason."""
        self.refused.append(reason)

    def model_rolled_back(self, model: ServedModel) -> None:
        """Keep the version."""
        self.swapped.append(model.version.version)

    def registry_answered(self, *, up: bool) -> None:
        """Keep the answer."""
        self.answered.append(up)

    def selector_resolved(self, *, resolved: bool) -> None:
        """Keep the answer."""
        self.resolved.append(resolved)


@dataclass
class House:
    """One process's model side, everything real but the registry, the loader and the topic."""

    registry: ModelRegistry
    cache_dir: Path
    clock: Clock
    selector: ModelSelector = CHAMPION
    loader: PipelineLoader = field(default_factory=FakeLoader)
    loaders: Mapping[str, PipelineLoader] = field(default_factory=dict)
    """Those of other flavors than Spark's."""
    sample: FixedSample = field(default_factory=FixedSample)
    sink: RecordedEvents = field(default_factory=RecordedEvents)
    metrics: CountedMetrics = field(default_factory=CountedMetrics)
    startup_seconds: float = 0.0
    poll_seconds: float = 0.02

    def __post_init__(self) -> None:
        """Put it together as the job does."""
        self.cache = ModelCache(self.cache_dir, keep=3, max_bytes=10**9)
        self.last_good = LastGoodFile(self.cache_dir / "app.last_good.json", self.selector)
        reader = PackageReader(ModelSettings(), SPARK)
        check = TopicCheck(self.sample, EventSettings(id=None, time=None))
        self.preparation = Preparation(
            self.cache, reader, check, Stager(LocalFileStore(), None), {SPARK_FLAVOR: self.loader, **self.loaders}
        )
        self.slot = Slot(frozenset(self.last_good.load().held))
        self.follower = Follower(
            self.registry,
            Following(self.selector, self.poll_seconds, self.startup_seconds),
            Candidates(self.preparation, self.slot, self.clock),
            Announcer("app", self.selector, self.clock, self.metrics, [self.sink]),
            self.last_good,
        )

    @property
    def serving(self) -> int | None:
        """The serving version's number."""
        model = self.slot.current()
        return model.version.version if model else None
