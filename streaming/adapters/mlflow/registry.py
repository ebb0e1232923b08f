"""MLflow as a :class:`streaming.models.registry.ModelRegistry`, and as one of many models.

What MLflow does that one would not expect, and what is done about it here:

- Its client retries seven times with a timeout of 120 s each, by environment variables of the whole process. A poll
  gets one call with its own timeout, since the next poll is the retry; see :class:`_PollingStore`.
- A stage names the highest version number in it, not the last that was moved there. That is kept, and said in the log
  when a stage holds several.
- Loading by alias can race with a move of the alias, so everything goes by version number once resolved.
- ``models:/`` URIs are resolved by the process-wide registry, whatever registry the caller names. Files are therefore
  fetched from the version's own location, except from Unity Catalog, which has no other way.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion as MlflowVersion
from mlflow.exceptions import MlflowException
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.model_registry.rest_store import RestStore
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.proto_json_utils import parse_dict
from mlflow.utils.rest_utils import http_request, verify_rest_response

from streaming.adapters.mlflow.errors import mistake, open_client
from streaming.adapters.mlflow.files import FetchFiles, FilesLocation, fetch
from streaming.errors import CandidateRefusedError, ModelNotFoundError, PenstockError, RegistryUnavailableError
from streaming.models.digest import REGISTRY_FILE
from streaming.models.ref import ModelSelector, ModelVersion, VersionStatus
from streaming.refusal_codes import RefusalCode
from streaming.yaml_text import read_yaml

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
T = TypeVar("T")

_NOT_FOUND = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
_PAGE = 1000
"""The most that MLflow gives at once."""
_LEAST_FREE_BYTES = 1024 * 1024
"""MLflow writes in chunks of this size, so with less than that free a download has filled the disk."""
_STATUS: dict[str, VersionStatus] = {"PENDING_REGISTRATION": "PENDING", "FAILED_REGISTRATION": "FAILED"}


class MlflowRegistry:
    """Resolves and downloads versions; safe from every thread."""

    def __init__(
        self,
        registry_uri: str,
        timeout_seconds: float,
        tracking_uri: str | None = None,
        fetch_files: FetchFiles = fetch,
    ) -> None:
        """Connect to nothing yet.

        Args:
            registry_uri: ``http(s)://``, a database, ``databricks-uc`` or ``uc:``. MLflow's old file store is refused
                by MLflow itself.
            timeout_seconds: For one call that resolves. Downloads follow ``MLFLOW_HTTP_REQUEST_*``.
            tracking_uri: Serves the files of ``mlflow-artifacts:`` locations; by default the registry does.
            fetch_files: Downloads.

        Raises:
            ConfigurationError: MLflow does not take such a URI.
        """
        self._registry_uri = registry_uri
        self._tracking_uri = tracking_uri or registry_uri
        self._fetch_files = fetch_files
        self._is_catalog = registry_uri.startswith(("databricks", "uc:"))
        self._store: _PollingStore | MlflowClient
        if registry_uri.startswith(("http://", "https://")):
            self._store = _PollingStore(registry_uri, timeout_seconds)
        else:
            self._store = open_client(self._tracking_uri, registry_uri)
        self._warned: tuple[int, ...] = ()

    def resolve(self, selector: ModelSelector) -> ModelVersion:
        """Return the version the selector names now; see :meth:`ModelRegistry.resolve`."""
        with self._translated(str(selector)):
            return _RESOLVERS[selector.kind](self, selector)

    def get(self, name: str, version: int) -> ModelVersion:
        """Return one version by number; raises as :meth:`resolve`."""
        with self._translated(f"{name} v{version}"):
            return _version(self._store.get_model_version(name, str(version)))

    def aliased(self, prefix: str, alias: str) -> Mapping[str, int]:
        """Return what an alias names; see :meth:`streaming.models.registry.ManyModels.aliased`."""
        with self._translated(f"{prefix}*@{alias}"):
            models = _pages(partial(self._store.search_registered_models, _names_like(prefix), _PAGE, None))
            aliases = {model.name: model.aliases or {} for model in models if model.name.startswith(prefix)}
            return {name: int(numbers[alias]) for name, numbers in aliases.items() if alias in numbers}

    def download(self, version: ModelVersion, target: Path) -> None:
        """Write the version's files into the empty directory ``target``.

        Raises:
            RegistryUnavailableError: the files did not arrive.
            CandidateRefusedError: ``WRONG_FILES``; the files of another version arrived.
            OSError: the disk is full.
        """
        try:
            self._fetch_files(FilesLocation(self._files_of(version), self._tracking_uri, self._registry_uri), target)
        except (MlflowException, OSError) as problem:
            if _is_full(problem, target):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from problem
            raise RegistryUnavailableError(f"the files of {version} did not arrive: {problem}") from problem
        if self._is_catalog:
            _check_meta(version, target)

    def _files_of(self, version: ModelVersion) -> str:
        if self._is_catalog:
            return f"models:/{version.name}/{version.version}"
        return str(self._store.get_model_version_download_uri(version.name, str(version.version)))

    def _by_alias(self, selector: ModelSelector) -> ModelVersion:
        return _version(self._store.get_model_version_by_alias(selector.name, selector.value))

    def _by_version(self, selector: ModelSelector) -> ModelVersion:
        return _version(self._store.get_model_version(selector.name, selector.value))

    def _by_stage(self, selector: ModelSelector) -> ModelVersion:
        return self._highest(selector, lambda entry: (entry.current_stage or "").lower() == selector.value.lower())

    def _by_tag(self, selector: ModelSelector) -> ModelVersion:
        key, _, value = selector.value.partition("=")
        return self._highest(selector, lambda entry: entry.tags.get(key) == value)

    def _highest(self, selector: ModelSelector, matches: Callable[[MlflowVersion], bool]) -> ModelVersion:
        matching = sorted((v for v in self._versions(selector.name) if matches(v)), key=lambda v: int(v.version))
        if not matching:
            raise ModelNotFoundError(
                f"{selector} names no version; give one that {selector.kind}, or change the setting"
            )
        numbers = tuple(int(v.version) for v in matching)
        # Once for each change, not at each poll.
        if selector.kind == "stage" and len(numbers) > 1 and numbers != self._warned:
            _log.warning("stage holds several versions, the highest serves", selector=str(selector), versions=numbers)
            self._warned = numbers
        return _version(matching[-1])

    def _versions(self, name: str) -> Iterator[MlflowVersion]:
        # The filter is one text, so the name stands in the quotes that it does not have itself.
        quote = '"' if "'" in name else "'"
        return _pages(partial(self._store.search_model_versions, f"name={quote}{name}{quote}", _PAGE, None))

    @contextmanager
    def _translated(self, subject: str) -> Iterator[None]:
        try:
            yield
        except (MlflowException, OSError, ValueError, ImportError) as problem:
            raise self._translation(problem, subject) from problem

    def _translation(self, problem: Exception, subject: str) -> PenstockError:
        if wrong := mistake(problem, self._registry_uri, f"READ on the registered model of {subject}"):
            return wrong
        if isinstance(problem, MlflowException) and problem.error_code in _NOT_FOUND:
            return ModelNotFoundError(f"{subject} is not in the registry {self._registry_uri}: {problem}")
        return RegistryUnavailableError(f"the registry {self._registry_uri} gave no answer: {problem}")


class _PollingStore(RestStore):
    """MLflow's own REST store, with one bounded try per call instead of the process-wide retries."""

    def __init__(self, uri: str, timeout_seconds: float) -> None:
        super().__init__(partial(get_default_host_creds, uri))  # type: ignore[no-untyped-call]
        self._timeout = timeout_seconds

    def _call_endpoint(
        self,
        api: Any,
        json_body: Any,
        call_all_endpoints: Any = False,  # noqa: ARG002 - only the calls that write have several endpoints
        extra_headers: Any = None,
    ) -> Any:
        endpoint, method = self._get_endpoint_from_method(api)  # type: ignore[no-untyped-call]
        # Its error status is left to verify_rest_response, whose exception has MLflow's error code.
        response = http_request(
            self.get_host_creds(),
            endpoint,
            method,
            max_retries=0,
            timeout=self._timeout,
            raise_on_status=False,
            extra_headers=extra_headers,
            params=json.loads(json_body),
        )
        parsed = self._get_response_from_method(api)  # type: ignore[no-untyped-call]
        parse_dict(js_dict=json.loads(verify_rest_response(response, endpoint).text), message=parsed)
        return parsed


_RESOLVERS: dict[str, Callable[[MlflowRegistry, ModelSelector], ModelVersion]] = {
    "alias": MlflowRegistry._by_alias,
    "stage": MlflowRegistry._by_stage,
    "tag": MlflowRegistry._by_tag,
    "version": MlflowRegistry._by_version,
}


def _pages(search: Callable[[str | None], PagedList[T]]) -> Iterator[T]:
    """Yield what all pages of a search have; ``search`` takes the token of a page."""
    token = None
    while True:
        page = search(token)
        yield from page
        token = page.token
        if not token:
            return


def _names_like(prefix: str) -> str | None:
    """Return the search for names that begin so, or for more: the wildcards of SQL in a name match anything."""
    quoted = prefix.partition("'")[0]
    return f"name LIKE '{quoted}%'" if quoted else None


def _is_full(problem: Exception, target: Path) -> bool:
    """Return whether the disk was too small; MLflow turns what its threads raised into text, or drops it altogether."""
    return os.strerror(errno.ENOSPC) in str(problem) or shutil.disk_usage(target).free < _LEAST_FREE_BYTES


def _version(entry: MlflowVersion) -> ModelVersion:
    return ModelVersion(
        name=entry.name,
        version=int(entry.version),
        run_id=entry.run_id or "",
        source=entry.source or "",
        aliases=tuple(entry.aliases or ()),
        stage=entry.current_stage or "None",
        tags=dict(entry.tags or {}),
        status=_STATUS.get(entry.status or "", "READY"),
        created_ms=entry.creation_timestamp or 0,
    )


def _check_meta(version: ModelVersion, target: Path) -> None:
    """Compare with what MLflow wrote of the download: a ``models:/`` URI might have been resolved elsewhere."""
    try:
        meta = read_yaml((target / REGISTRY_FILE).read_bytes())
        name_and_number = (meta["model_name"], int(meta["model_version"]))
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise CandidateRefusedError(
            RefusalCode.WRONG_FILES, f"the download of {version} has no {REGISTRY_FILE}"
        ) from problem
    if name_and_number != (version.name, version.version):
        raise CandidateRefusedError(
            RefusalCode.WRONG_FILES, f"asked for {version}, got {name_and_number[0]} v{name_and_number[1]}"
        )
