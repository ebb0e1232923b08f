"""Events by a quick generator, most of them damaged: for millions of them, where hypothesis would take hours."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random

from tests.support.malformed import HEAD, TOKENS

_PIECES = [bytes([byte]) for byte in b'{}[],:"\\/0123456789.eE+-tfn \t\n\r\x00\x1f\x7f\x80\xc0\xff']
_PIECES += [
    b"null",
    b"NaN",
    b'":"',
    b"\\u",
    b"\\ud800",
    b'\\"',
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b'"a":1,',
    b',"gust":2',
]
_TOKENS = [token for token in TOKENS.values() if len(token) < 60]
_TEXTS = ["UA", "", "São", "😀", 'say "x"', "a\\b", "\u2028", "[{", "1.5", "null"]
_STRANGERS = ["tail", "origin", "Gust", "gust ", "", "é", 'a"b']


def mutants(count: int, seed: int) -> Iterator[bytes]:
    """Yield events after up to three changes of their fields and three of their bytes; the same for the same seed."""
    random = Random(seed)
    for _ in range(count):
        fields = _fields(random)
        for _ in range(random.choice((0, 0, 1, 1, 2, 3))):
            random.choice(_FIELD_CHANGES)(random, fields)
        value = bytearray(_written(random, fields).encode())
        for _ in range(random.choice((0, 0, 0, 0, 1, 1, 2, 3))):
            random.choice(_BYTE_CHANGES)(random, value)
        yield bytes(value)


_Fields = list[tuple[str, str]]
"""Names and values as JSON writes them."""


def _fields(random: Random) -> _Fields:
    texts = [json.dumps(random.choice(_TEXTS), ensure_ascii=random.random() < 0.5) for _ in range(2)]
    fields = [tuple(pair.split(":", 1)) for pair in HEAD.split(",")]
    fields += [
        ('"carrier"', texts[0]),
        ('"distance"', _number(random)),
        ('"gust"', _number(random)),
        ('"dest"', texts[1]),
        ('"weight"', _number(random)),
        ('"seats"', str(random.randrange(-(2**31), 2**31) >> random.randrange(32))),
        ('"number"', str(random.randrange(-(2**63), 2**63) >> random.randrange(64))),
        ('"night"', random.choice(("true", "false"))),
    ]
    return [(name, text) for name, text in fields]


def _number(random: Random) -> str:
    number = random.choice(
        (random.random(), random.gauss(0, 1e3), random.uniform(-1, 1) * 10.0 ** random.randrange(-50, 50))
    )
    return random.choice(
        (repr(number), f"{number:.2f}", f"{number:.0f}", f"{number:.25e}", str(random.randrange(10**9)))
    )


def _written(random: Random, fields: _Fields) -> str:
    space = random.choice(("", "", " ", "\n", "\t\r"))
    return "{" + f",{space}".join(f"{name}:{space}{text}" for name, text in fields) + "}" + space


def _at(random: Random, fields: _Fields) -> int:
    return random.randrange(len(fields))


def _other_value(random: Random, fields: _Fields) -> None:
    at = _at(random, fields)
    fields[at] = (fields[at][0], random.choice(_TOKENS))


def _repeat(random: Random, fields: _Fields) -> None:
    name, text = random.choice(fields)
    if random.random() < 0.3 and len(name) > 2:
        name = f'"\\u{ord(name[1]):04x}{name[2:]}'
    fields.insert(_at(random, fields), (name, random.choice((text, random.choice(_TOKENS)))))


def _swap(random: Random, fields: _Fields) -> None:
    first, second = _at(random, fields), _at(random, fields)
    fields[first], fields[second] = fields[second], fields[first]


def _swap_values(random: Random, fields: _Fields) -> None:
    first, second = _at(random, fields), _at(random, fields)
    (name, text), (second_name, second_text) = fields[first], fields[second]
    fields[first], fields[second] = (name, second_text), (second_name, text)


def _drop(random: Random, fields: _Fields) -> None:
    if len(fields) > 1:
        del fields[_at(random, fields)]


def _add(random: Random, fields: _Fields) -> None:
    text = random.choice((random.choice(_TOKENS), f'{{"a":[{random.choice(_TOKENS)}]}}'))
    fields.insert(_at(random, fields), (json.dumps(random.choice(_STRANGERS)), text))


def _put_in(random: Random, value: bytearray) -> None:
    at = random.randrange(len(value) + 1)
    value[at : at + random.choice((0, 0, 1, 3))] = random.choice(_PIECES)


def _flip(random: Random, value: bytearray) -> None:
    if value:
        value[random.randrange(len(value))] ^= 1 << random.randrange(8)


def _copy(random: Random, value: bytearray) -> None:
    start, at = random.randrange(len(value) + 1), random.randrange(len(value) + 1)
    value[at:at] = value[start : start + random.randrange(30)]


def _cut(random: Random, value: bytearray) -> None:
    start = random.randrange(len(value) + 1)
    del value[start : start + random.choice((1, 2, 10, len(value)))]


_FIELD_CHANGES: tuple[Callable[[Random, _Fields], None], ...] = (
    _other_value,
    _repeat,
    _swap,
    _swap_values,
    _drop,
    _add,
)
_BYTE_CHANGES: tuple[Callable[[Random, bytearray], None], ...] = (_put_in, _flip, _copy, _cut)
