"""Dead letters as tables, pages and JSON. Nothing in a record can act on the terminal."""

from __future__ import annotations

import sys
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from jobs.terminal.text import printable, text_of
from streaming.clock import isoformat
from streaming.outputs.dead_letters import DeadLetter, Headers
from streaming.outputs.resend import Left

Counts = Counter[tuple[str, str, str]]
"""Reason, topic and what is done with them, to how many."""
SENT = "sent"
_WIDTH = 160
"""Columns where there is no terminal to ask."""
_MOST_BYTES = 4_096
"""Bytes of a value that a page shows; ``--raw`` writes all of them."""


def counts_table(counts: Mapping[str, int]) -> Table:
    """Return reasons and how many there are of each, the most frequent first."""
    table = Table("reason", _number("letters"), box=None)
    for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(Text(text_of(reason.encode())), f"{count:,}")
    return table


def letters_table(letters: Iterable[DeadLetter]) -> Table:
    """Return one row for each letter."""
    numbers = _number("bytes"), _number("replays")
    table = Table("place", "event", "reason", "rejected at", "what is wrong", *numbers, box=None)
    for letter in letters:
        cells = (str(letter.place), origin(letter), letter.reason, isoformat(letter.rejected_at), letter.message)
        size = "null" if letter.value is None else f"{len(letter.value):,}"
        table.add_row(*(Text(text_of(word.encode())) for word in cells), size, str(letter.replays))
    return table


def letter_page(letter: DeadLetter, topic: str) -> RenderableType:
    """Return everything about one letter."""
    facts = Table.grid(padding=(0, 2))
    for name, word in (
        ("dead letter", f"{letter.place} of {topic}"),
        ("event", origin(letter)),
        ("reason", letter.reason),
        ("what is wrong", letter.message),
        ("rejected at", isoformat(letter.rejected_at)),
        ("replays", str(letter.replays)),
        ("key", text_of(letter.key)),
        ("value", "null" if letter.value is None else f"{len(letter.value):,} bytes"),
    ):
        facts.add_row(name, Text(text_of(word.encode())))
    added = letter.headers[len(letter.own) :]
    return Group(facts, _headers("the event's headers", letter.own), _headers("added", added), "", value_text(letter))


def value_text(letter: DeadLetter) -> Text:
    """Return the value: as text where it is printable UTF-8, else as a hex dump, both up to a bound."""
    value = letter.value
    if value is None:
        return Text("null" if not letter.value_omitted else "null: left out, too large for the dead letters' topic")
    text = printable(value, "\n\t")
    shown = hex_dump(value[:_MOST_BYTES]) if text is None else text[:_MOST_BYTES]
    note = f"\n... of {len(value):,} bytes; --raw writes all" if len(text or value) > _MOST_BYTES else ""
    return Text(shown + note)


def summary(letter: DeadLetter) -> dict[str, Any]:
    """Return one entry of the list, for JSON."""
    source = letter.source
    return {
        "partition": letter.place.partition,
        "offset": letter.place.offset,
        "source_topic": letter.source_topic,
        "source_partition": source.partition if source else None,
        "source_offset": source.offset if source else None,
        "reason": letter.reason,
        "message": letter.message,
        "rejected_at": isoformat(letter.rejected_at),
        "timestamp": letter.timestamp,
        "replays": letter.replays,
        "value_bytes": None if letter.value is None else len(letter.value),
    }


def details(letter: DeadLetter) -> dict[str, Any]:
    """Return a whole letter, for JSON; bytes are base64, and null is null."""
    headers = [[name, _base64(word)] for name, word in letter.headers]
    parts = {"key": _base64(letter.key), "value": _base64(letter.value), "headers": headers}
    return {**summary(letter), **parts, "own_headers": len(letter.own)}


def origin(letter: DeadLetter) -> str:
    """Return where the event came from.

    >>> from streaming.outputs.dead_letters import Place
    >>> origin(DeadLetter(Place(0, 1), 0, None, None, (("__connect.errors.topic", b"features"),)))
    'features'
    """
    return " ".join(str(part) for part in (letter.source_topic, letter.source) if part is not None)


def hex_dump(data: bytes) -> str:
    r"""Return a hex dump, 16 bytes a line, with the printable characters on the right.

    >>> print(hex_dump(b"\xff{a"))
    00000000  ff 7b 61                                         .{a
    """
    return "\n".join(
        f"{start:08x}  {line.hex(' '):<47}  {''.join(chr(b) if 32 <= b < 127 else '.' for b in line)}"
        for start in range(0, len(data), 16)
        for line in (data[start : start + 16],)
    )


def _headers(title: str, headers: Headers) -> RenderableType:
    if not headers:
        return Text(f"\n{title}: none")
    table = Table.grid(padding=(0, 2))
    for name, word in headers:
        table.add_row("", Text(text_of(name.encode())), Text(text_of(word)))
    return Group(Text(f"\n{title}:"), table)


def _number(title: str) -> Column:
    return Column(title, justify="right")


def _base64(data: bytes | None) -> str | None:
    return None if data is None else b64encode(data).decode()


def console_for_tables() -> Console:
    """Return a console that is wide enough for tables also where it is no terminal."""
    return Console() if sys.stdout.isatty() else Console(width=_WIDTH)


def replay_json(counts: Counts, *, sent: bool) -> dict[str, Any]:
    """Return what ``dlq replay`` did, or would do, for scripts."""
    rows = [
        {
            "reason": reason,
            "topic": topic,
            "result": SENT if outcome == SENT else Left(outcome).name.lower(),
            "events": count,
        }
        for (reason, topic, outcome), count in sorted(counts.items())
    ]
    return {"sent": sent, "events": _sent(counts), "by_reason": rows}


def show_replay(counts: Counts, *, sent: bool) -> None:
    """Print what ``dlq replay`` did, or would do."""
    table = Table("reason", "to", Column("events", justify="right"), "", box=None)
    for (reason, topic, outcome), count in sorted(counts.items()):
        result = ("sent" if sent else "would be sent") if outcome == SENT else f"left: {outcome}"
        table.add_row(Text(text_of(reason.encode())), Text(text_of(topic.encode())), f"{count:,}", result)
    console = console_for_tables()
    if counts:
        console.print(table)
    console.print(_last_line(counts, sent=sent), highlight=False)


def _last_line(counts: Counts, *, sent: bool) -> str:
    if sent:
        return f"Sent: {_sent(counts):,}."
    return f"Nothing was sent. To send: {_sent(counts):,}; add --send to do it."


def _sent(counts: Counts) -> int:
    return sum(count for (_, _, outcome), count in counts.items() if outcome == SENT)
