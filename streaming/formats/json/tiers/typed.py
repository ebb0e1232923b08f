r"""The first tier: msgspec decodes into declared types, and the number of quotes proves what msgspec does not check.

msgspec takes a name twice in an object, and then has the last value. To be strict it is enough to count. In JSON each
name and each text has two quotes, and there is no other quote but by the escape ``\"``. So a text without that escape,
if msgspec takes it for the declared fields alone, has two quotes for each field that is present, two for each of their
values that is text, and at least two more for each name that comes again, however it is spelt. If the numbers are
equal, no name comes again.

A declared field that is a list of numbers has no quotes in its value.

What remains are the limits of docs/events.md. There are at most two levels, as no declared field holds an object or
an array of anything but numbers. msgspec refuses a field that is not declared before it reads the value, however deep.
The names are declared and short. The length bounds the texts, and :meth:`Documents.may_have_long_numbers` the digits.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa

from streaming.formats.json.tiers.documents import Documents
from streaming.formats.json.tiers.fields import Field
from streaming.formats.json.tiers.shape import Portion, Shape


@dataclass(frozen=True)
class FirstLook:
    """What the first tier makes of some documents."""

    valid: Portion
    unproven: Documents
    """The documents that another parser may take. What msgspec calls malformed is in neither."""


class TypedReader:
    """Reads events that have no field but the declared ones."""

    def __init__(self, fields: tuple[Field, ...], schema: pa.Schema) -> None:
        """Declare the fields, also those that are not read."""
        self.declared = len(fields)
        self.shape = Shape(fields, schema, is_closed=True)
        self._decode = msgspec.json.Decoder(self.shape.struct).decode

    def read(self, documents: Documents) -> FirstLook:
        """Tell those that are proven to be valid from the others."""
        events: list[msgspec.Struct] = []
        decoded: list[int] = []
        is_unproven = np.zeros(len(documents.rows), np.bool_)
        decode = self._decode
        for number, text in enumerate(documents.texts):
            try:
                events.append(decode(text))
                decoded.append(number)
            except msgspec.ValidationError:
                is_unproven[number] = True
            # Malformed. Only the reference rejects an event, so that the reason is always its own.
            except ValueError:
                continue
        assembled = self.shape.assemble(events)
        open_question = documents.may_escape_quotes() | documents.may_have_long_numbers()
        # Mostly all are decoded, and numpy takes longer over a list of numbers than over the sums.
        chosen = slice(None) if len(decoded) == len(documents.rows) else decoded
        proven = (documents.quotes()[chosen] == assembled.quotes) & ~(open_question[chosen] | assembled.doubtful)
        is_unproven[chosen] = ~proven
        valid = Portion(documents.rows[chosen], assembled.columns).select(proven)
        return FirstLook(valid, documents.select(is_unproven))
