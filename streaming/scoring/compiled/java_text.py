"""Text as Java treats it: lower case, and regular expressions on which Java and Python agree."""

from __future__ import annotations

import re

_UNSURE = re.compile("[\u03a3\u1c89\u2c2f\ua7c0-\ua7df\U00010570-\U000105bf\U00010d40-\U00010d8f]")
"""The capital sigma, whose lower case depends on the words around it, and blocks in which Unicode has got capital
letters since version 13, which is that of Java 17."""

_ESCAPE = r"\\(?:[sSwWdDtnrf]|[^\w\s])"
_LITERAL = r"[A-Za-z0-9 _,;:!%&@#~=<>'\"/`-]"
_LISTED = r"[A-Za-z0-9 _,;:!%@#=<>'\"/`.*+?(){}$]"
_CLASS = rf"\[\^?(?:[A-Za-z0-9]-[A-Za-z0-9]|{_ESCAPE}|{_LISTED})+\]"
_REPEATED = r"(?:[*+?]|\{\d{1,3}(?:,\d{0,3})?\})"
_ATOM = rf"(?:{_ESCAPE}|{_LITERAL}|{_CLASS}){_REPEATED}?"
_AGREED = re.compile(rf"(?:{_ATOM}|\((?:\?:)?|\)|\|)+", re.ASCII)
"""Letters, digits, some signs, ``\\s \\w \\d`` and their opposites, escaped signs, classes of these, ``* + ? {2,3}`` on
one of them, alternatives, and groups that are not repeated."""
_REAL = re.compile(r"-?(?:0|[1-9]\d{0,16})\.(?:0|\d{0,17}[1-9])(?P<power>E-?[1-9]\d{0,2})?", re.ASCII)


def has_sure_lower_case(text: str) -> bool:
    """Return whether Java and Python have the same lower case of a text, whatever their releases."""
    return text.isascii() or _UNSURE.search(text) is None


def agreed_pattern(pattern: str) -> re.Pattern[str] | None:
    r"""Return a regular expression of Java's as one of Python's; ``None`` where the two might not agree.

    >>> agreed_pattern(r"[^a-z]+") is None, agreed_pattern(r"\s*") is None, agreed_pattern(r"\bword") is None
    (False, True, True)
    """
    if _AGREED.fullmatch(pattern) is None:
        return None
    try:
        # Java's own classes are of ASCII unless it is told otherwise.
        compiled = re.compile(pattern, re.ASCII)
    except re.error:
        return None
    # What matches nothing at all splits a text in another way here and there.
    return None if compiled.match("") else compiled


def split(pattern: re.Pattern[str], text: str) -> list[str]:
    """Return the parts between matches as ``java.util.regex.Pattern.split`` does: none at the end is empty.

    >>> split(re.compile(" "), " a  b "), split(re.compile(" "), ""), split(re.compile(" "), " ")
    (['', 'a', '', 'b'], [''], [])
    """
    parts, start = [], 0
    for match in pattern.finditer(text):
        parts.append(text[start : match.start()])
        start = match.end()
    if not parts:
        return [text]
    parts.append(text[start:])
    while parts and not parts[-1]:
        parts.pop()
    return parts


def java_length(text: str) -> int:
    """Return ``String.length``, which counts a character beyond the first 65,536 as two."""
    return len(text) if text.isascii() else len(text) + sum(character > "\uffff" for character in text)


def is_javas_spelling(text: str) -> bool:
    """Return whether ``Double.toString`` may give a text: a plain number from 0.001 on and below ten million.

    >>> [is_javas_spelling(text) for text in ("1.0", "1", "1.50", "1.0E7", "10000000.0", "-0.0", "NaN", "1e7")]
    [True, False, False, True, False, True, True, False]
    """
    match = _REAL.fullmatch(text)
    if match is None:
        return text in ("NaN", "Infinity", "-Infinity")
    value = abs(float(text))
    return (match["power"] is None) == (value == 0.0 or 1e-3 <= value < 1e7)
