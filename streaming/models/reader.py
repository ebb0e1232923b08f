"""A downloaded version's files to a described package, or the reason why they cannot serve. Nothing is loaded here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import structlog

from streaming.errors import CandidateRefusedError
from streaming.models import golden, profile
from streaming.models.arrival import MLMODEL
from streaming.models.cache import CachedModel
from streaming.models.examples import list_lengths, read_examples
from streaming.models.golden import GoldenRows
from streaming.models.own_files import malformed, own_file
from streaming.models.package import ALLOW_CODE, CODE_FLAVOR, SPARK_FLAVOR, ModelPackage
from streaming.models.profile import ReferenceProfile
from streaming.models.reads import unread
from streaming.models.ref import ModelVersion
from streaming.models.signature import Signature
from streaming.refusal_codes import RefusalCode
from streaming.settings import ModelSettings
from streaming.yaml_text import YamlTextError, read_yaml

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class PackageReader:
    """Reads packages for a session of ``spark_version`` (its own ``version``, such as ``4.2.0``)."""

    settings: ModelSettings
    spark_version: str

    def read(self, cached: CachedModel, served: Iterable[str]) -> ModelPackage:
        """Describe the version at ``cached.root``.

        Args:
            cached: the version's files.
            served: the flavors of MLflow that can be loaded; the first that the version has is the package's.

        Raises:
            CandidateRefusedError: ``MALFORMED``, ``FLAVOR_UNSUPPORTED``, ``NEEDS_CODE``, ``SPARK_TOO_NEW``,
                ``MISSING_SIGNATURE`` or ``SIGNATURE_UNSUPPORTED``.
        """
        description = _mlmodel(cached.root)
        flavor, section = _flavor(description, tuple(served))
        saved_with = section.get("pyspark_version")
        self._check_spark(saved_with)
        pipeline_dir = _pipeline_dir(cached.root, section) if flavor == SPARK_FLAVOR else None
        reference = _optional(cached.root / profile.PATH, ReferenceProfile.from_json)
        golden_rows = _optional(cached.root / golden.PATH, GoldenRows.from_json)
        examples = read_examples(cached.root, description)
        lengths = list_lengths([*(row.features for row in (golden_rows.rows if golden_rows else ())), *examples])
        profiled = {column.name for column in reference.columns} if reference else set()
        unread = _Unread(pipeline_dir, frozenset(profiled), lengths)
        signature = self._signature(cached.version, description, unread)
        _check_profile(reference, signature)
        return ModelPackage(
            version=cached.version,
            root=cached.root,
            pipeline_dir=pipeline_dir or cached.root,
            digest=cached.digest,
            signature=signature,
            golden=golden_rows,
            profile=reference,
            pyspark_version=str(saved_with) if saved_with else None,
            examples=examples,
            flavor=flavor,
            section=section,
        )

    def _check_spark(self, saved_with: object) -> None:
        if saved_with is None:
            return
        theirs, ours = str(saved_with).partition(".")[0], self.spark_version.partition(".")[0]
        if not theirs.isdigit():
            raise malformed(f"{MLMODEL} says pyspark_version {saved_with!r}")
        if int(theirs) > int(ours):
            raise CandidateRefusedError(
                RefusalCode.SPARK_TOO_NEW,
                f"the pipeline was saved by Spark {saved_with}, this job runs {self.spark_version}; upgrade the job or"
                " train with its Spark",
            )

    def _signature(self, version: ModelVersion, description: Mapping[str, object], unread: _Unread) -> Signature:
        signature = description.get("signature")
        inputs = signature.get("inputs") if isinstance(signature, Mapping) else None
        if inputs:
            columns, left_out = _parsed(f"the signature in {MLMODEL}", str(inputs), unread.parse)
            if left_out:
                _log.warning(
                    "the signature has columns that no stage reads; events need not have them",
                    model=version.name,
                    version=version.version,
                    columns=left_out,
                )
            return columns
        if self.settings.features:
            return Signature.from_config(self.settings.features)
        raise CandidateRefusedError(
            RefusalCode.MISSING_SIGNATURE,
            "the version has no signature, so its input columns are unknown; log it with signature=infer_signature(...)"
            " or list the columns in model.features",
        )


@dataclass(frozen=True)
class _Unread:
    """Drops the columns of a signature that no stage reads, but keeps those that drift counts.

    For a model without stages, ``pipeline_dir`` is ``None`` and every column is read. ``lengths`` are those of lists.
    """

    pipeline_dir: Path | None
    profiled: frozenset[str]
    lengths: Mapping[str, int]

    def parse(self, inputs: str) -> tuple[Signature, list[str]]:
        names = [entry["name"] for entry in json.loads(inputs) if isinstance(entry.get("name"), str)]
        idle = unread(self.pipeline_dir, names) if self.pipeline_dir else frozenset()
        left_out = idle - self.profiled
        return Signature.from_mlflow(inputs, left_out, self.lengths), sorted(left_out)


def _check_profile(reference: ReferenceProfile | None, signature: Signature) -> None:
    """Refuse a profile of lists: drift counts the bins of single values."""
    lists = {column.name.lower() for column in signature.columns if column.is_list}
    strange = [column.name for column in reference.columns if column.name.lower() in lists] if reference else []
    if strange:
        raise malformed(
            f"{profile.PATH} has bins of {', '.join(strange)}, a list of numbers, which drift does not count; make the"
            " profile by penstock drift baseline, which leaves lists out"
        )


def _mlmodel(root: Path) -> Mapping[str, object]:
    try:
        description = read_yaml((root / MLMODEL).read_bytes())
    except (OSError, YamlTextError) as problem:
        raise malformed(f"{MLMODEL} cannot be read: {problem}") from problem
    if not isinstance(description, Mapping):
        raise malformed(f"{MLMODEL} is not a mapping")
    return description


def _flavor(description: Mapping[str, object], served: tuple[str, ...]) -> tuple[str, Mapping[str, object]]:
    """Return the first of the served flavors that the version has, and its section."""
    flavors = description.get("flavors")
    flavors = flavors if isinstance(flavors, Mapping) else {}
    sections = {name: flavors[name] for name in served if isinstance(flavors.get(name), Mapping)}
    if not sections:
        logged = ", ".join(sorted(map(str, flavors))) or "none"
        hint = f". {ALLOW_CODE}" if CODE_FLAVOR in flavors else ""
        raise CandidateRefusedError(
            RefusalCode.FLAVOR_UNSUPPORTED,
            f"the version has no flavor that this job serves (it has: {logged}; served: {', '.join(served)}); log it"
            f" in one of these, as docs/flavours.md says{hint}",
        )
    for name, flavor in flavors.items():
        if isinstance(flavor, Mapping) and flavor.get("code"):
            if CODE_FLAVOR in sections and SPARK_FLAVOR not in flavors:
                return CODE_FLAVOR, sections[CODE_FLAVOR]
            # A pipeline of Spark's runs in the JVM, and no setting takes its code there.
            hint = "" if SPARK_FLAVOR in flavors else f". {ALLOW_CODE}"
            raise CandidateRefusedError(
                RefusalCode.NEEDS_CODE,
                f"its {name} flavor brings Python code ({flavor['code']}), which executors would not get and which"
                f" stays in the driver after a swap; log it without code_paths{hint}",
            )
    return next(iter(sections.items()))


def _pipeline_dir(root: Path, flavor: Mapping[str, object]) -> Path:
    folder = own_file(root, flavor.get("model_data"), "model_data")
    if not (folder / "metadata").is_dir():
        raise malformed(f"{folder.name}/metadata is missing; perhaps only a part of the files was logged")
    return folder


def _optional(path: Path, parse: Callable[[str], T]) -> T | None:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as problem:
        raise malformed(f"{path.name} cannot be read: {problem}") from problem
    return _parsed(path.name, text, parse)


def _parsed(name: str, text: str, parse: Callable[[str], T]) -> T:
    try:
        return parse(text)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as problem:
        raise malformed(f"{name} cannot be read: {type(problem).__name__}: {problem}") from problem
