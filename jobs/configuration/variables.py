"""``PENSTOCK_*`` variables: which are settings, which belong to others, and which are mistakes.

Kubernetes sets variables for every service in a namespace, and those of a service called ``penstock`` or
``penstock-mlflow`` have names that begin as ours do. Those are passed over. Any other name that is no setting is
refused: a misspelt one must not start a job with another model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from pydantic import BaseModel

from streaming.errors import ConfigurationError
from streaming.settings import Settings

PREFIX = "PENSTOCK_"
OTHERS = ("PENSTOCK_IVY_SETTINGS", "PENSTOCK_TEST_BROKER")
"""Read elsewhere: where jars are fetched from, and which broker the tests use."""

_KUBERNETES = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$")
_ADDRESS = re.compile(r"(tcp|udp|sctp)://")


def setting_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are settings, in the order of their names.

    Raises:
        ConfigurationError: A name that begins with ``PENSTOCK_`` is not a setting. The message has the nearest one.
    """
    names = [name for name in sorted(variables) if name.startswith(PREFIX) and name not in OTHERS]
    names = [name for name in names if not _is_kubernetes(name, variables[name])]
    strange = [_explain(name) for name in names if not _is_setting(name)]
    if strange:
        raise ConfigurationError("\n".join(strange))
    return {name: variables[name] for name in names}


def keys_of(name: str) -> list[str]:
    """Return where a variable's value belongs.

    >>> keys_of("PENSTOCK_MODEL__ALIAS"), keys_of("PENSTOCK_KAFKA__SASL_PASSWORD")
    (['model', 'alias'], ['kafka', 'sasl.password'])
    """
    keys = name.removeprefix(PREFIX).lower().split("__")
    if keys[0] == "kafka":  # Kafka's keys have dots, which a shell does not allow in a name
        return ["kafka", ".".join(keys[1:]).replace("_", ".")]
    return keys


def _is_setting(name: str) -> bool:
    """``PENSTOCK_A__B`` is, whether or not there is such a key: the settings say so with the nearest one."""
    return "__" in name or keys_of(name)[0] in Settings.model_fields


def _is_kubernetes(name: str, value: str) -> bool:
    """``PENSTOCK_HTTP_PORT`` may be a service called penstock-http, or a mistake; the value tells."""
    return bool(_KUBERNETES.search(name) or (name.endswith("_PORT") and _ADDRESS.match(value)))


def _explain(name: str) -> str:
    nearest = _nearest(name)
    hint = f"did you mean {nearest}?" if nearest else "a setting reads PENSTOCK_SECTION__KEY, with two underscores."
    return (
        f"The environment variable {name} names no setting; {hint} "
        "If it is not for Penstock, give it a name that does not begin with PENSTOCK_."
    )


def _nearest(name: str) -> str | None:
    setting = name.removeprefix(PREFIX).lower()
    for section in ("kafka", "spark_conf"):  # whose keys are not ours to know
        if setting.startswith(f"{section}_"):
            return f"{PREFIX}{section.replace('_', '__')}__{setting.removeprefix(f'{section}_')}".upper()
    names = {"_".join(keys): "__".join(keys).upper() for keys in _setting_keys()}
    # A lower cutoff would suggest settings that have nothing to do with the name.
    close = get_close_matches(setting, names, n=1, cutoff=0.75)
    return PREFIX + names[close[0]] if close else None


def _setting_keys() -> Iterator[tuple[str, ...]]:
    for section, field in Settings.model_fields.items():
        yield (section,)
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from ((section, key) for key in kind.model_fields)
