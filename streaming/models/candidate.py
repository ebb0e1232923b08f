"""A candidate's way into the slot: download, digest, description, topic, staging, loading, proving, then the swap."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from streaming.clock import Clock
from streaming.errors import CandidateRefusedError
from streaming.models.cache import CachedModel, Download, ModelCache
from streaming.models.digest import DIGEST_TAG
from streaming.models.package import ModelPackage
from streaming.models.reader import PackageReader
from streaming.models.ref import ModelKey, ModelVersion
from streaming.models.refusals import Refusals, Refused
from streaming.models.served import PipelineLoader, ServedModel
from streaming.models.slot import Slot
from streaming.models.stager import Stager
from streaming.models.topic_schema import TopicCheck
from streaming.refusal_codes import RefusalCode


class Versioned(Protocol):
    """Something that has a registered version."""

    @property
    def version(self) -> ModelVersion:
        """The registered version."""
        ...


@dataclass(frozen=True)
class Promoted:
    """The candidate serves from the next batch on; ``replaced`` served before."""

    model: ServedModel
    replaced: Versioned | None
    seconds: float


@dataclass(frozen=True)
class Unchanged:
    """The version serves already, is still being registered, is on hold, or was refused and has not changed."""

    version: ModelVersion


Outcome = Promoted | Refused | Unchanged


@dataclass(frozen=True)
class Preparation:
    """The checks, in their order. Nothing here knows what serves now.

    ``loaders`` has what loads a version by its flavor of MLflow, the one that is preferred first.
    """

    cache: ModelCache
    reader: PackageReader
    topic: TopicCheck
    stager: Stager
    loaders: Mapping[str, PipelineLoader]

    def prepare(self, version: ModelVersion, download: Download) -> ServedModel:
        """Return the version, every check passed; give it back with :meth:`release`.

        Raises:
            CandidateRefusedError: it failed to register, or a check failed.
            UpstreamError: the registry or the broker did not answer, so the checks could not be made.
        """
        if version.status == "FAILED":
            raise CandidateRefusedError(
                RefusalCode.REGISTRATION_FAILED, f"{version} failed to register; register it again"
            )
        cached = self.cache.fetch(version, download)
        return self._load(cached, new=True)

    def recall(self, key: ModelKey, digest: str | None = None) -> ServedModel | None:
        """Return a version that has served before, from the cache alone; ``None`` if it is not there.

        It is not compared with the topic again: what it did to those events was right then.
        """
        cached = self.cache.recall(key, digest)
        return self._load(cached, new=False) if cached else None

    def release(self, model: ServedModel) -> None:
        """Free a version in the cluster and in the cache; then the cache may shrink."""
        model.scorer.release()
        self.cache.release(model.package.root)
        self.cache.collect()

    def _load(self, cached: CachedModel, *, new: bool) -> ServedModel:
        try:
            package: ModelPackage = self.reader.read(cached, self.loaders)
            if new:
                self.topic.check(package.signature)
            return self.loaders[package.flavor].load(package, self.stager.stage(package))
        except BaseException:
            self.cache.release(cached.root)
            raise


@dataclass(frozen=True)
class Candidates:
    """Tries what the registry names, and swaps the slot if it passes. One thread at a time calls it."""

    preparation: Preparation
    slot: Slot
    clock: Clock
    refusals: Refusals = field(default_factory=Refusals)

    def consider(self, version: ModelVersion, download: Download) -> Outcome:
        """Try ``version`` unless it serves already or is known not to pass. Never raises: the stream must go on."""
        if self._settled(version):
            return Unchanged(version)
        started = time.monotonic()
        try:
            replaced, model = self._swap(version, download)
        except Exception as problem:  # whatever a candidate throws, the version that serves goes on serving
            return self.refusals.refuse(version, problem, self.clock())
        self.refusals.forget(version)
        return Promoted(model, replaced, time.monotonic() - started)

    def _settled(self, version: ModelVersion) -> bool:
        if version.status == "PENDING" or version.key in self.slot.held:
            return True
        current = self.slot.current()
        if current is not None and current.key == version.key:
            tag = version.tags.get(DIGEST_TAG)
            if tag in (None, current.package.digest):
                return True
        return not self.refusals.due(version, self.clock())

    def _swap(self, version: ModelVersion, download: Download) -> tuple[ServedModel | None, ServedModel]:
        model = self.preparation.prepare(version, download)
        try:
            return self.slot.swap(model), model
        except CandidateRefusedError:
            self.preparation.release(model)
            raise
