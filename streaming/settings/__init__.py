"""What can be configured: frozen values, validated before anything starts.

The command line builds a :class:`Settings` from defaults, a YAML file, ``PENSTOCK_*`` variables and ``--set`` (see
``jobs/configuration/load.py``); nothing in this package reads the environment. Unknown keys are errors.
Each section has a module of its own.
"""

from __future__ import annotations

from streaming.settings.batch import BatchSettings
from streaming.settings.drift import DriftColumn, DriftSettings
from streaming.settings.engine import EngineSettings
from streaming.settings.event import EventSettings
from streaming.settings.fallback import DefaultScore, FallbackSettings
from streaming.settings.hooks import HookSettings
from streaming.settings.http import HttpSettings
from streaming.settings.input import InputSettings
from streaming.settings.log import LogSettings
from streaming.settings.lookup import LookupColumn, LookupSettings
from streaming.settings.lookup_redis import RedisSettings
from streaming.settings.model import ModelSettings, ScorerSetting
from streaming.settings.models import ModelsSettings
from streaming.settings.output import OutputSettings
from streaming.settings.quality import QualitySettings
from streaming.settings.root import Settings
from streaming.settings.serve import JwtSettings, ServeSettings
from streaming.settings.shadow import ShadowSettings
from streaming.settings.spark import SparkSettings
from streaming.settings.train import TrainSettings

__all__ = [
    "BatchSettings",
    "DefaultScore",
    "DriftColumn",
    "DriftSettings",
    "EngineSettings",
    "EventSettings",
    "FallbackSettings",
    "HookSettings",
    "HttpSettings",
    "InputSettings",
    "JwtSettings",
    "LogSettings",
    "LookupColumn",
    "LookupSettings",
    "ModelSettings",
    "ModelsSettings",
    "OutputSettings",
    "QualitySettings",
    "RedisSettings",
    "ScorerSetting",
    "ServeSettings",
    "Settings",
    "ShadowSettings",
    "SparkSettings",
    "TrainSettings",
]
