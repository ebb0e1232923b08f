"""The root of the settings: every section, and the keys that stand above them."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field, model_validator

from streaming.redaction import redact_tree
from streaming.settings.base import Name, Section, TextMap
from streaming.settings.batch import BatchSettings
from streaming.settings.drift import DriftSettings
from streaming.settings.engine import EngineSettings
from streaming.settings.event import EventSettings
from streaming.settings.fallback import FallbackSettings
from streaming.settings.hooks import HookSettings
from streaming.settings.http import HttpSettings
from streaming.settings.input import InputSettings
from streaming.settings.judge import JudgeSettings
from streaming.settings.log import LogSettings
from streaming.settings.lookup import LookupSettings
from streaming.settings.model import ModelSettings
from streaming.settings.models import ModelsSettings
from streaming.settings.output import OutputSettings
from streaming.settings.quality import QualitySettings
from streaming.settings.serve import ServeSettings
from streaming.settings.shadow import ShadowSettings
from streaming.settings.spark import SparkSettings
from streaming.settings.train import TrainSettings

_HOST_AND_PORT = re.compile(r"\S+:\d{1,5}")


class Settings(Section):
    """Everything. ``kafka``'s keys are Kafka's own and go to Spark, the writer and the admin client alike."""

    application: Name = "penstock"
    """Names the consumer group, the transactional ids, the ledger's records and the lease."""
    kafka: TextMap = Field(default_factory=lambda: {"bootstrap.servers": "127.0.0.1:9092"})
    input: InputSettings = InputSettings()
    event: EventSettings = EventSettings()
    output: OutputSettings = OutputSettings()
    model: ModelSettings = ModelSettings()
    models: ModelsSettings = ModelsSettings()
    fallback: FallbackSettings = FallbackSettings()
    lookup: LookupSettings = LookupSettings()
    engine: EngineSettings = EngineSettings()
    http: HttpSettings = HttpSettings()
    hooks: HookSettings = HookSettings()
    log: LogSettings = LogSettings()
    serve: ServeSettings = ServeSettings()
    spark: SparkSettings = SparkSettings()
    train: TrainSettings = TrainSettings()
    batch: BatchSettings = BatchSettings()
    drift: DriftSettings = DriftSettings()
    quality: QualitySettings = QualitySettings()
    shadow: ShadowSettings = ShadowSettings()
    judge: JudgeSettings = JudgeSettings()

    @model_validator(mode="after")
    def _has_brokers(self) -> Settings:
        servers = self.kafka.get("bootstrap.servers")
        if not servers:
            raise ValueError("kafka.bootstrap.servers is missing; set it to host:port of a broker")
        # Kafka's own clients differ: one would take 9092, the other ends in the middle of the start.
        for server in servers.split(","):
            if not _HOST_AND_PORT.fullmatch(server.strip()):
                raise ValueError(f"kafka.bootstrap.servers: {server.strip()!r} is not host:port; write it so")
        return self

    @model_validator(mode="after")
    def _has_a_topic_for_each(self) -> Settings:
        names = {f"output.{key}": value for key, value in self.output if isinstance(value, str)}
        # With the names that are made where none is set.
        names |= {"output.dead_letters": self.dead_letter_topic, "output.shadow": self.shadow_topic}
        names |= {"input.topic": self.input.topic, "quality.labels": self.quality.labels or ""}
        names |= {"lookup.topic": self.lookup.topic or ""}
        settings: dict[str, str] = {}
        for setting, topic in names.items():
            other = settings.setdefault(topic, setting)
            if other != setting and topic:
                raise ValueError(
                    f"{other} and {setting} are both {topic!r}; name a topic of its own for each, or the job would read"
                    " what it has written as something else"
                )
        return self

    @model_validator(mode="after")
    def _has_an_engine_for_the_chain(self) -> Settings:
        if self.fallback.enabled and self.engine.kind != "exact":
            raise ValueError("fallback needs engine.kind exact: the live engine plans no batches; leave fallback out")
        return self

    @model_validator(mode="after")
    def _has_what_many_models_need(self) -> Settings:
        if self.models.route is None:
            return self
        model = self.model
        for name, wrong, remedy in (
            ("engine.kind", self.engine.kind != "exact", "the live engine has one model a query; set it to exact"),
            ("model.stage", model.stage is not None, "versions are followed by alias; set model.alias"),
            ("model.tag", model.tag is not None, "versions are followed by alias; set model.alias"),
            ("model.version", model.version is not None, "versions are followed by alias; set model.alias"),
            ("model.arm", model.arm is not None, "a job with many models has no second arm; leave it out"),
            ("model.scorer", model.scorer == "spark", "many models are scored by compiled forms; leave it out"),
            ("fallback.enabled", self.fallback.enabled, "the default of the route answers instead; leave it out"),
            ("model.recheck_one_in", model.recheck_one_in is not None, "Spark loads none of many models; leave it out"),
        ):
            if wrong:
                raise ValueError(f"{name} does not go with models.route: {remedy}")
        return self

    @model_validator(mode="after")
    def _has_what_lookups_need(self) -> Settings:
        if self.lookup.source is None:
            return self
        model = self.model
        for name, wrong, remedy in (
            ("engine.kind", self.engine.kind != "exact", "the live engine scores in the JVM alone; set it to exact"),
            ("models.route", self.models.route is not None, "columns are looked up for one model; leave it out"),
            ("model.arm", model.arm is not None, "two arms are scored by Spark, which looks nothing up; leave it out"),
            ("model.scorer", model.scorer == "spark", "compiled forms look columns up, Spark does not; leave it out"),
            ("model.recheck_one_in", model.recheck_one_in is not None, "Spark looks nothing up; leave it out"),
            ("fallback.enabled", self.fallback.enabled, "the chain's versions look nothing up; set it to false"),
        ):
            if wrong:
                raise ValueError(f"{name} does not go with {self.lookup.source}: {remedy}")
        return self

    @property
    def dead_letter_topic(self) -> str:
        """The dead letters' topic, by default named after the input."""
        return self.output.dead_letters or f"{self.input.topic}.dlq"

    @property
    def shadow_topic(self) -> str:
        """The shadow's topic, by default named after the predictions'."""
        return self.output.shadow or f"{self.output.predictions}.shadow"

    @property
    def served_application(self) -> str:
        """The name under which a server remembers, apart from the stream's job."""
        return f"{self.application}-serve"

    @property
    def served_topic(self) -> str:
        """The topic of a server's answers, by default named after the predictions'."""
        return self.output.served or f"{self.output.predictions}.served"

    @property
    def checkpoint(self) -> str:
        """The location of the query's checkpoint."""
        return self.engine.checkpoint or f".penstock/checkpoints/{self.application}"

    def redacted(self) -> dict[str, Any]:
        """Return the settings for showing, every secret as ``***``."""
        shown: dict[str, Any] = redact_tree(self.model_dump(mode="json"))
        return shown
