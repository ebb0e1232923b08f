"""Naming a model version: the selector a user configures and the version it resolves to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote

from streaming.settings import ModelSettings

SelectorKind = Literal["alias", "stage", "tag", "version"]
VersionStatus = Literal["READY", "PENDING", "FAILED"]

DEFAULT_ALIAS = "champion"

DEFAULT_VERSION = 0
"""The number under which the default score answers, which no version of a registry has."""
ABSENT = -1
"""The number of a champion that is not known, because none was loaded."""


@dataclass(frozen=True)
class ModelSelector:
    """Which version of a registered model should serve.

    ``value`` is the alias, the stage, ``key=value`` of a tag, or the version number as text.
    """

    name: str
    kind: SelectorKind
    value: str

    def __str__(self) -> str:
        """Return ``flights@champion``, ``flights/Production``, ``flights?tier=gold`` or ``flights#3``."""
        mark = {"alias": "@", "stage": "/", "tag": "?", "version": "#"}[self.kind]
        return f"{self.name}{mark}{self.value}"

    @classmethod
    def from_settings(cls, settings: ModelSettings) -> ModelSelector:
        """Return what the settings select; without a selector it is the alias ``champion``.

        >>> str(ModelSelector.from_settings(ModelSettings(name="flights", stage="Production")))
        'flights/Production'
        """
        if settings.stage is not None:
            return cls(settings.name, "stage", settings.stage)
        if settings.tag is not None:
            return cls(settings.name, "tag", settings.tag)
        if settings.version is not None:
            return cls(settings.name, "version", str(settings.version))
        return cls(settings.name, "alias", settings.alias or DEFAULT_ALIAS)


@dataclass(frozen=True, order=True)
class ModelKey:
    """A registered version by name and number: what is compared and remembered where only the identity counts."""

    name: str
    version: int

    def __str__(self) -> str:
        """Return ``flights/3``."""
        return f"{self.name}/{self.version}"


@dataclass(frozen=True)
class ModelVersion:
    """One registered version, as the registry described it when it was resolved."""

    name: str
    version: int
    run_id: str = ""
    source: str = ""
    aliases: tuple[str, ...] = ()
    stage: str = "None"
    tags: dict[str, str] = field(default_factory=dict, hash=False, compare=False)
    status: VersionStatus = "READY"
    """``PENDING`` while the registry still copies the files."""
    created_ms: int = 0
    """The time of registration in milliseconds since 1970; 0 where that is not known."""

    @property
    def key(self) -> ModelKey:
        """The version's name and number."""
        return ModelKey(self.name, self.version)

    def __str__(self) -> str:
        """Return ``flights v3``."""
        return f"{self.name} v{self.version}"

    def folder(self, digest: str) -> str:
        """Return where these files stay in a cache or a staging area: ``flights/3-0123456789ab``.

        >>> ModelVersion("../fraud model", 3).folder("0123456789abcdef")
        '%2E.%2Ffraud model/3-0123456789ab'
        """
        return f"{safe_folder(self.name)}/{self.version}-{digest[:12]}"


def safe_folder(name: str) -> str:
    """Return a model's name as the name of one folder: no separator, and no leading dot, which would climb or hide."""
    quoted = quote(name, safe=" ")
    return f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted
