"""What travels to the workers of an object, and what stays in its own process."""

from __future__ import annotations

from dataclasses import Field
from typing import Any, ClassVar


class PickledByFields:
    """A base of dataclasses that are pickled by their fields alone.

    What a process has made of the fields, such as a parser or an open file, is its own and often cannot be pickled.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __getstate__(self) -> dict[str, object]:
        """Return the fields."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}
