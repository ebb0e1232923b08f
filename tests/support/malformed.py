"""Events as no producer should send them, made by hand, each with a name.

``CASES`` is written for ``SIGNATURE`` and the default envelope. What must become of each is not said here but by
``streaming/formats/json/rows.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from streaming.models.signature import Column, Signature

SIGNATURE = Signature(
    (
        Column("carrier", "string"),
        Column("distance", "double"),
        Column("gust", "double", required=False),
        Column("dest", "string", required=False),
        Column("weight", "float", required=False),
        Column("seats", "integer", required=False),
        Column("number", "long", required=False),
        Column("night", "boolean", required=False),
    )
)
HEAD = '"event_id":"e","event_time":"2013-01-01T05:15:00Z"'
GOOD = (
    '{"event_id":"e1", "event_time":"2013-01-01T05:15:00Z","carrier":"UA","distance":1.5e2,"gust":-0.0,'
    '"dest":"S\\u00e3o \\ud83d\\ude00é","weight":0.1,"seats":7,"number":-1,"night":true,"more":[null,{"a":{}}]}\n'
).encode()
"""Valid, with every type, escapes, characters of two and four bytes, nesting and white space."""


LISTS = Signature(
    (
        Column(name="point", type="double", length=2),
        Column(name="single", type="float", required=False, length=3),
        Column(name="number", type="long", required=False, length=1),
        Column(name="seats", type="integer", required=False, length=2),
        Column(name="dest", type="string", required=False),
        Column(name="gust", type="double", required=False),
    )
)
"""Columns that are lists of numbers, and others between them."""
LIST_TOKENS = (
    "null", "[]", "[1]", "[1,2]", "[1,2,3]", "[1,2,3,4]", "[null]", "[1,null]", "[null,null]", "[1,null,2]",
    "[1,[2]]", "[[1,2]]", "[[],[]]", "[1,{}]", '[1,{"point":[7,8],"gust":1}]', '[1,{"gust":[1,2]},2]', "[1,true]",
    '[1,"2"]', '["",1]',
    '["NaN",1]', "[1e400,1]", "[1,-1e400]", "[1e400]", "[1e400,null]", '[1e400,"x"]', "[null,true]", "[-0.0,-0]",
    "[3.4028235e38,1e-45,1.00000017881393421514957253748434595763683319091796875001]", "[1e39,1,1]",
    "[16777217,1,2]", "[9223372036854775807]", "[9223372036854775808]", "[2147483647,-2147483648]",
    "[2147483648,1]", "[1.0,2]", "[1e0]", "[1,2", "[1,]", "[,1]", "[1 2]", "[01,2]", "[NaN,1]", "{}", '{"0":1,"1":2}',
    "1", '"[1,2]"', "true", "[ 1 ,\t2\n]", f"[{'1' * 1_001},2]", f"[{'1' * 1_000},2]", f"[{'[' * 99}{']' * 99}]",
    f"[1,{'[' * 97}{']' * 97}]", f"[1,{'[' * 98}{']' * 98}]", f"[1,{'[' * 99}{']' * 99}]",
)  # fmt: skip
"""What may stand, or must not stand, where a list of numbers is."""


def with_lists() -> dict[str, bytes]:
    """Events in which a column of ``LISTS`` has a token, beside good columns and beside bad ones, by what they are."""
    good = {"point": "[1,2.5]", "gust": "1", "dest": '"SEA"'}
    bad = {"gust": '"x"', "seats": "[1]", "dest": "1"}
    events = {}
    for column in (*LISTS.names, "stranger"):
        for token in LIST_TOKENS:
            for name, others in (("alone", good), ("beside others", {**good, **bad})):
                fields = ",".join(f'"{key}":{value}' for key, value in {**others, column: token}.items())
                events[f"{column}: {token[:40]} {len(token)} {name}"] = f"{{{HEAD},{fields}}}".encode()
    return events


def with_fields(text: str) -> bytes:
    """An event that has what it must have and then ``text``, as it stands."""
    return f'{{{HEAD},"carrier":"UA","distance":1,{text}}}'.encode()


def with_value(column: str, token: str) -> bytes:
    """An event in which one column has this token."""
    fields = {"carrier": '"UA"', "distance": "1", column: token}
    return f"{{{HEAD},{','.join(f'{json.dumps(name)}:{text}' for name, text in fields.items())}}}".encode()


def with_envelope(event_id: str = '"e"', event_time: str = '"2013-01-01T05:15:00Z"') -> bytes:
    """An event with these tokens as its id and time."""
    return f'{{"event_id":{event_id},"event_time":{event_time},"carrier":"UA","distance":1}}'.encode()


TOKENS = {
    "null": "null",
    "true": "true",
    "text": '"UA"',
    "empty text": '""',
    "text of a number": '"1"',
    "text NaN": '"NaN"',
    "text Infinity": '"-Infinity"',
    "text INF": '"INF"',
    "text true": '"true"',
    "object": '{"distance":2,"night":false}',
    "empty object": "{}",
    "array": "[1,2]",
    "empty array": "[]",
    "zero": "0",
    "minus zero": "-0",
    "negative zero": "-0.0",
    "negative zero with an exponent": "-0e0",
    "one": "1",
    "one point zero": "1.0",
    "hundred with an exponent": "1E+2",
    "no digit after the point": "1.",
    "no digit before the point": ".5",
    "plus": "+1",
    "leading zero": "01",
    "hexadecimal": "0x1F",
    "exponent without digits": "1e",
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
    "1e400": "1e400",
    "-1e400": "-1e400",
    "1e-400": "1e-400",
    "largest double": "1.7976931348623157e308",
    "just beyond the largest double": "1.7976931348623159e308",
    "smallest double": "4.9e-324",
    "half of the smallest double": "2e-324",
    "largest float": "3.4028235e38",
    "rounds to the largest float": "3.4028235677973365e38",
    "just beyond the largest float": "3.4028235677973367e38",
    "smallest float": "1e-45",
    "float rounded twice": "1.00000017881393421514957253748434595763683319091796875001",
    "2^24+1": "16777217",
    "2^31-1": "2147483647",
    "2^31": "2147483648",
    "-2^31": "-2147483648",
    "-2^31-1": "-2147483649",
    "2^53+1": "9007199254740993",
    "2^53+1 as a fraction": "9007199254740993.0",
    "2^63-1": "9223372036854775807",
    "2^63": "9223372036854775808",
    "-2^63": "-9223372036854775808",
    "-2^63-1": "-9223372036854775809",
    "thirty digits": "123456789012345678901234567890",
    "forty digits": "1234567890123456789012345678901234567890",
    "four hundred digits": "9" * 400,
    "a thousand digits": "1" * 1000,
    "a thousand digits and one": "1" * 1001,
    "a thousand digits after the point": "0." + "3" * 1000,
    "a thousand and one digits after the point": "0." + "3" * 1001,
    "a thousand and one digits around the point": "1." + "3" * 1000,
    "absurd exponent": "1e99999999999",
    "absurd negative exponent": "-1e-99999999999",
    "zero with an absurd exponent": "0e99999999999",
    "wrong case": "True",
    "undefined": "undefined",
    "nothing": "",
    "lone high surrogate": '"\\ud800"',
    "lone low surrogate": '"a\\uDC00b"',
    "surrogates the wrong way round": '"\\ude00\\ud83d"',
    "two high surrogates and a low one": '"\\ud83d\\ud83d\\ude00"',
    "surrogate pair": '"\\uD83D\\uDE00"',
    "escaped backslash before ud800": '"\\\\ud800"',
    "escaped zero": '"\\u0000"',
    "escaped solidus": '"\\/"',
    "escaped apostrophe": '"\\\'"',
    "escaped x": '"\\x41"',
    "short escape": '"\\u12"',
    "raw tab": '"\t"',
    "raw newline": '"\n"',
    "raw zero": '"\x00"',
    "raw unit separator": '"\x1f"',
    "raw delete": '"\x7f"',
    "raw line separator": '"\u2028"',
    "raw byte order mark": '"\ufeff"',
    "not a character": '"\uffff"',
    "last character": '"\U0010ffff"',
    "apostrophes": "'UA'",
}
"""What may stand, or must not stand, where a value is."""

NOT_UTF8 = {
    "lone continuation": b"\x80",
    "overlong slash": b"\xc0\xaf",
    "overlong zero": b"\xc0\x80",
    "overlong in three bytes": b"\xe0\x80\xaf",
    "overlong in four bytes": b"\xf0\x80\x80\xaf",
    "high surrogate": b"\xed\xa0\x80",
    "low surrogate": b"\xed\xb0\x80",
    "surrogate pair (CESU-8)": b"\xed\xa0\xbd\xed\xb8\x80",
    "beyond the last character": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "first byte of two": b"\xc3",
    "first two bytes of three": b"\xe2\x82",
    "first three bytes of four": b"\xf0\x9f\x98",
    "0xff": b"\xff",
    "Latin-1": "São".encode("latin-1"),
}

WHOLE: dict[str, bytes | None] = {
    "good": GOOD,
    "tombstone": None,
    "empty": b"",
    "blank": b" \t\r\n",
    "vertical tab": b"\x0b",
    "no-break space": "\u00a0".encode() + GOOD,
    "zero byte": b"\x00",
    "zero byte before": b"\x00" + GOOD,
    "zero byte after": GOOD + b"\x00",
    "byte order mark": b"\xef\xbb\xbf" + GOOD,
    "byte order mark alone": b"\xef\xbb\xbf",
    "UTF-16": GOOD.decode().encode("utf-16"),
    "UTF-16 without a mark": GOOD.decode().encode("utf-16-be"),
    "UTF-32": GOOD.decode().encode("utf-32-le"),
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\x05\x00\x43\xbf\xa6\xa3\x02\x00\x00\x00",
    "schema registry's prefix": b"\x00\x00\x00\x00\x01" + GOOD,
    "two events": GOOD + GOOD,
    "two objects": b"{},{}",
    "two numbers": b"1,2",
    "ends and begins an array": b"1],[2",
    "ends and begins an object": b"{}],[{",
    "one brace more": GOOD + b"}",
    "one bracket more": GOOD + b"]",
    "a comma more": GOOD + b",",
    "a field after the end": GOOD + b',"a":1',
    "a line comment": GOOD + b"// no",
    "a hash comment": GOOD + b"# no",
    "a comment inside": with_fields('"a":1/* no */'),
    "trailing comma": with_fields('"a":1,'),
    "trailing comma in an array": with_fields('"a":[1,]'),
    "two commas": with_fields('"a":[1,,2]'),
    "no comma": with_fields('"a":1 "b":2'),
    "no colon": with_fields('"a" 1'),
    "name without quotes": with_fields("a:1"),
    "name in apostrophes": with_fields("'a':1"),
    "number as name": with_fields("1:1"),
    "wrong bracket": with_fields('"a":[1}'),
    "null alone": b"null",
    "true alone": b"true",
    "number alone": b"1.5",
    "text alone": b'"text"',
    "array alone": b"[1,2]",
    "array of an event": b"[" + GOOD + b"]",
    "comma alone": b",",
    "closing bracket alone": b"]",
    "closing brace alone": b"}",
    "opening brace alone": b"{",
    "minus alone": b"-",
    "empty object": b"{}",
    "no carrier": f'{{{HEAD},"distance":1}}'.encode(),
    "no distance": f'{{{HEAD},"carrier":"UA"}}'.encode(),
    "no id": b'{"event_time":"2013-01-01T05:15:00Z","carrier":"UA","distance":1}',
    "no time": b'{"event_id":"e","carrier":"UA","distance":1}',
    "names in capitals": GOOD.upper(),
    "a name in another case beside": with_fields('"Gust":"x","GUST":[]'),
    "a name in another case alone": f'{{{HEAD},"carrier":"UA","Distance":1}}'.encode(),
    "a name with a space": f'{{{HEAD},"carrier":"UA","distance ":1}}'.encode(),
    "a name written with escapes": f'{{{HEAD},"carrier":"UA","\\u0064istance":1}}'.encode(),
    "name twice": with_fields('"gust":1,"gust":2'),
    "name twice with the same value": with_fields('"gust":1,"gust":1'),
    "required name twice": with_fields('"distance":1'),
    "id twice": with_fields('"event_id":"f"'),
    "unread name twice": with_fields('"a":1,"a":2'),
    "nested name twice": with_fields('"a":[{"b":{"c":1,"c":2}}]'),
    "name twice by an escape": with_fields('"a":1,"\\u0061":2'),
    "required name twice by an escape": with_fields('"\\u0064istance":2'),
    "empty name": with_fields('"":1'),
    "empty name twice": with_fields('"":1,"":2'),
    "same name on two levels": with_fields('"a":{"a":{"a":1}}'),
    "lone surrogate in a name": with_fields('"\\ud800":1'),
    "two lone surrogates as names": with_fields('"\\ud800":1,"\\ud801":2'),
    "lone surrogate in an unread field": with_fields('"a":{"b":["\\udfff"]}'),
    "lone surrogate and a question mark": with_fields('"\\ud800":1,"?":2'),
    "zero byte in a name": with_fields('"a\\u0000":1,"a":2'),
    "1e400 in an unread field": with_fields('"a":1e400'),
    "NaN in an unread field": with_fields('"a":[NaN]'),
    "long name": with_fields(f'"{"n" * 50_000}":1'),
    "name too long": with_fields(f'"{"n" * 50_001}":1'),
    "ten thousand fields": with_fields(",".join(f'"f{number}":{number}' for number in range(10_000))),
    "null before a wrong type": with_fields('"gust":null,"weight":null,"number":"x"'),
    "three wrong types": with_fields('"gust":"x","seats":1.5,"night":0'),
    "a wrong type and a missing column": f'{{{HEAD},"carrier":"UA","gust":"x"}}'.encode(),
    "a thousand objects side by side": with_fields(f'"a":[{",".join(["{}"] * 1_000)}]'),
    "a thousand brackets in a string": with_fields(f'"dest":"{"[{" * 500}"'),
    "a thousand brackets after an escaped quote": with_fields(f'"dest":"\\\\\\"{"[" * 1_000}"'),
    "a thousand brackets after a string": with_fields(f'"dest":"\\\\",{"[" * 1_000}'),
    "a megabyte": with_fields(f'"dest":"{"x" * 1_000_000}"'),
}

DEPTHS = (2, 99, 100, 101, 999, 1_000, 100_000)

TIMES = (
    "2013-01-01T05:15:00Z",
    "2013-01-01T05:15",
    "2013-01-01 05:15:00+02:00",
    "2013-01-01T05:15:00.123456789-0330",
    "2013-01-01T05:15:00.5+02",
    "2016-02-29T05:15:00Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z",
    "1582-10-10T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+18:00",
    "9999-12-31T23:59:59-18:00",
    "10000-01-01T00:00:00Z",
    "-0001-01-01T00:00:00Z",
    "2013-01-01T05:15Z",
    "2013-01-01T24:00:00Z",
    "2013-01-01T23:59:60Z",
    "2013-02-29T05:15:00Z",
    "2013-00-01T05:15:00Z",
    "2013-13-01T05:15:00Z",
    "2013-01-01T05:15:00+18:01",
    "2013-01-01T05:15:00+02:60",
    "2013-01-01T05:15:00.Z",
    "2013-01-01T05:15:00,5Z",
    "2013-01-01T05:15:00.1234567890Z",
    "2013-01-01t05:15:00z",
    "2013-01-01T5:15:00Z",
    "2013-01-01T05:15:0",
    "2013-01-01T05:15:0.Z",
    "2013-01-01T05:15:0NZ",
    "2013-01-01T05:15:0 Z",
    "2013-01-01T05:15:.5Z",
    "2013-01-01T05::5:00Z",
    "2013-1--01T05:15:00Z",
    "+201-01-01T05:15:00Z",
    "+2013-1-01T05:15:00Z",
    "2013-01-01T05:15:00 ",
    " 2013-01-01T05:15:00",
    "2013-01-01T05:15:00Z\n",
    "2013-01-01T05:15:00Z\0",
    "2013-01-01T05:15:00 UTC",
    "2013-01-01T05:15:00 America/New_York",
    "2013-01-01T05:15:00EST",
    "2013-01-01T\u0660\u0665:15:00Z",
    "2013-01-01",
    "2013",
    "05:15:00",
    "now",
    "20130101T051500Z",
    "2013-W01-2T05:15:00Z",
    "",
    "\u00e9" * 100_000,
)

EPOCHS = (
    "0",
    "-1",
    "1357017300000",
    "253402300799999",
    "253402300800000",
    "-62135596800000",
    "-62135596800001",
    "9223372036854775",
    "9223372036854776",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "1.0",
    "1e3",
    "-0",
    '"1357017300000"',
    "null",
    "true",
)
"""Tokens for an ``event_time`` in milliseconds."""


def _cases() -> Iterator[tuple[str, bytes | None]]:
    yield from WHOLE.items()
    for name, token in TOKENS.items():
        yield from ((f"{column.name}: {name}", with_value(column.name, token)) for column in SIGNATURE.columns)
        yield f"event_id: {name}", with_envelope(event_id=token)
        yield f"event_time: {name}", with_envelope(event_time=token)
    for name, damage in NOT_UTF8.items():
        yield f"UTF-8, {name}", b'{"carrier":"' + damage + b'"}'
        yield f"UTF-8, {name}, at the end", GOOD + damage
    for depth in DEPTHS:
        yield f"arrays {depth} deep", with_fields(f'"a":{"[" * (depth - 1)}{"]" * (depth - 1)}')
        yield f"objects {depth} deep", with_fields('"a":' + '{"b":' * (depth - 1) + "0" + "}" * (depth - 1))
        yield f"arrays {depth} deep in a column", with_value("dest", f"{'[' * (depth - 1)}{']' * (depth - 1)}")
        yield f"{depth} open arrays", b"[" * depth
    yield from ((f"time {text[:40]!r}", with_envelope(event_time=json.dumps(text))) for text in TIMES)
    yield "id of 100,000 characters", with_envelope(event_id=json.dumps("x" * 100_000))
    yield from ((f"cut after {length} bytes", GOOD[:length]) for length in range(1, len(GOOD)))


CASES: dict[str, bytes | None] = dict(_cases())


def huge(size: int) -> dict[str, bytes]:
    """Events of about ``size`` bytes."""
    return {
        "in a column": with_value("dest", f'"{"x" * size}"'),
        "in an unread field": with_fields(f'"a":"{"é" * (size // 2)}"'),
        "in many small fields": with_fields(",".join(f'"{number}":[{" " * 1000}]' for number in range(size // 1000))),
        "in white space": with_fields(f'"gust":{" " * size}1'),
        "cut off": with_value("dest", f'"{"x" * size}"')[:-1],
        "not UTF-8 at the end": b'"' + b"x" * size + b"\xff",
    }
