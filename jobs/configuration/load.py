"""Settings from their four sources: ``--set``, then ``PENSTOCK_*`` variables, then the YAML file, then the defaults.

pydantic-settings would do most of this, but it passes over a variable it does not know (``PENSTOCK_MODEL__ALAIS``) and
cannot name Kafka's dotted keys from the environment; see ``jobs/configuration/variables.py``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from jobs.configuration.errors import explain
from jobs.configuration.references import References, Tree
from jobs.configuration.variables import keys_of, setting_variables
from streaming.errors import ConfigurationError
from streaming.redaction import hide, redact
from streaming.secret_keys import open_values_in, secrets_in
from streaming.settings import Settings
from streaming.yaml_text import YamlTextError, read_yaml

STANDARD_INPUT = Path("-")
OPEN_MAPS = ("kafka", "spark")
"""Sections whose keys below a point are not Penstock's and may contain dots."""


def load_settings(
    path: Path | None = None, overrides: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Settings:
    """Return the settings from all sources.

    Args:
        path: The YAML file; ``-`` for standard input, ``None`` for none.
        overrides: ``a.b=value`` each; ``null`` unsets, ``[...]`` and ``{...}`` are read as YAML.
        environment: The variables; this process's own if ``None``.

    Raises:
        ConfigurationError: Something cannot be read or is not valid; the message names the key, its source, the problem
            and the remedy.
    """
    variables = os.environ if environment is None else environment
    sources = {"standard input" if path == STANDARD_INPUT else str(path): _from_file(path)} if path else {}
    for name, value in setting_variables(variables).items():
        sources[name] = _nest(keys_of(name), _parse(name, value))
    for text in overrides:
        sources[f"--set {text.split('=')[0]}"] = _from_override(text)
    merged: Tree = {}
    # References are resolved per source, so that a message can name the source of a wrong one.
    references = References(variables)
    for source, tree in sources.items():
        merged = _merge(merged, references.resolve(tree, source))
    _honour(merged, variables)
    _hide_secrets(merged, variables, references.secrets)
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        lines = [explain(detail, sources) for detail in error.errors(include_url=False)]
        raise ConfigurationError(
            "The configuration is not valid:\n" + "\n".join(f"  {line}" for line in lines)
        ) from None


def _hide_secrets(merged: Tree, variables: Mapping[str, str], referred: set[str]) -> None:
    """Mask every secret from here on, before any message about the settings."""
    # A secret that equals a default, such as "true", must not be masked wherever the default is printed.
    defaults = set(open_values_in(Settings().model_dump(mode="json")))
    hide([*secrets_in(merged), *secrets_in(dict(variables)), *referred], defaults)


def _from_file(path: Path) -> Tree:
    name = "on standard input" if path == STANDARD_INPUT else str(path)
    try:
        tree = read_yaml(sys.stdin.buffer.read() if path == STANDARD_INPUT else path.read_bytes())
    except OSError as error:
        raise ConfigurationError(
            f"The configuration file {name} cannot be read: {error.strerror}. Give its path with --config."
        ) from error
    except YamlTextError as error:
        raise ConfigurationError(f"The configuration file {name} is not valid YAML: {error}.") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigurationError(
            f"The configuration file {name} must hold `key: value` lines, not a {type(tree).__name__}."
        )
    return tree


def _from_override(text: str) -> Tree:
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise ConfigurationError(f"--set {redact(text)} must read key=value, for instance --set model.alias=champion")
    keys = key.strip().split(".")
    # Below these sections a point belongs to the key: kafka.bootstrap.servers is one key of Kafka.
    if keys[0] in OPEN_MAPS:
        fixed = 2 if keys[:2] == ["spark", "conf"] else 1
        keys = [*keys[:fixed], ".".join(keys[fixed:])] if len(keys) > fixed else keys
    return _nest(keys, _parse(f"--set {key}", value))


def _parse(source: str, value: str) -> object:
    """Keep text as text (a secret may be all digits); the settings' types turn it into numbers."""
    if value != "null" and not value.startswith(("[", "{")):
        return value
    try:
        parsed: object = read_yaml(value)
    except YamlTextError as error:
        raise ConfigurationError(f"{source}: the value is not a YAML value: {error}") from None
    return parsed


def _nest(keys: Sequence[str], value: object) -> Tree:
    for key in reversed(keys[1:]):
        value = {key: value}
    return {keys[0]: value}


def _merge(below: Tree, above: Mapping[str, object]) -> Tree:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _honour(merged: Tree, variables: Mapping[str, str]) -> None:
    """Fill values that no source has set from the variables that other tools read, too."""
    for section, key, name in (
        ("model", "tracking_uri", "MLFLOW_TRACKING_URI"),
        ("model", "registry_uri", "MLFLOW_REGISTRY_URI"),
        ("kafka", "bootstrap.servers", "KAFKA_BOOTSTRAP_SERVERS"),
    ):
        tree = merged.setdefault(section, {})
        if variables.get(name) and isinstance(tree, dict) and tree.get(key) is None:
            tree[key] = variables[name]
    # A source that sets one key of Kafka replaces the default map, and with it the default address.
    kafka = merged["kafka"]
    if isinstance(kafka, dict) and "bootstrap.servers" not in kafka:
        default = Settings.model_fields["kafka"].get_default(call_default_factory=True)
        merged["kafka"] = {**default, **kafka}
