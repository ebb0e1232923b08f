"""Which version a command means: that of its options, else that of the settings."""

from __future__ import annotations

from streaming.errors import ConfigurationError
from streaming.models.ref import ModelSelector
from streaming.settings import ModelSettings


def selector_of(model: ModelSettings, model_version: int | None, alias: str | None) -> ModelSelector:
    """Return the selector for ``--model-version`` and ``--alias``.

    Raises:
        ConfigurationError: both were given.
    """
    if model_version is not None and alias is not None:
        raise ConfigurationError("--model-version and --alias are both given; keep one of them")
    if model_version is not None:
        return ModelSelector(model.name, "version", str(model_version))
    if alias is not None:
        return ModelSelector(model.name, "alias", alias)
    return ModelSelector.from_settings(model)
