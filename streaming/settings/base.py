"""What the settings are made of: frozen sections that refuse unknown keys, and the types of their values."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

Port = Annotated[int, Field(ge=0, le=65535)]
Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]
_NAME, _TOPIC = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,100}$", r"^[A-Za-z0-9._-]{1,249}$"
_MODEL = r"^[^/:{}\x00]+$"
Name = Annotated[str, Field(pattern=_NAME)]
Topic = Annotated[str, Field(pattern=_TOPIC)]
ModelName = Annotated[str, Field(pattern=_MODEL)]
PATTERNS = {
    _NAME: "must have 1 to 101 letters, digits, dots, dashes and underscores, and begin with a letter or digit",
    _TOPIC: "must have 1 to 249 letters, digits, dots, dashes and underscores",
    _MODEL: "must be a registered model's name, which is not empty and has no slash, colon or brace",
}
"""What a value has to be like, for people, where a pattern says it to the machine."""


def _text_values(value: Any) -> Any:
    """YAML reads ``true`` and ``9092`` as other types; Kafka's and Spark's settings are all text."""
    if not isinstance(value, dict):
        return value
    return {str(k): str(v).lower() if isinstance(v, bool) else str(v) for k, v in value.items()}


TextMap = Annotated[dict[str, str], BeforeValidator(_text_values)]


def _filled(secret: SecretStr) -> SecretStr:
    """Refuse an empty secret: whoever set a variable to nothing would believe that something is asked for."""
    if not secret.get_secret_value().strip():
        raise ValueError("is empty; set it to the secret, or to null for none")
    return secret


Secret = Annotated[SecretStr, AfterValidator(_filled)]


class Section(BaseModel):
    """A frozen part of the settings that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False)
