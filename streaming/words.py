"""Numbers as people read them, the same on terminals and on pages."""

from __future__ import annotations

from math import isfinite

NOT_DEFINED = "not defined"


def number(value: float) -> str:
    """Return a metric or a score.

    >>> number(0.66123), number(1234.5678), number(float("nan"))
    ('0.6612', '1,235', 'not defined')
    """
    if not isfinite(value):
        return NOT_DEFINED
    return f"{value:.4f}" if abs(value) < 10 else f"{value:,.4g}"


def signed(value: float) -> str:
    """Return a difference, with its sign.

    >>> signed(0.1), signed(-0.1)
    ('+0.1000', '-0.1000')
    """
    if not isfinite(value):
        return NOT_DEFINED
    return ("-" if value < 0 else "+") + number(abs(value))


def share(value: float) -> str:
    """Return a share in percent.

    >>> share(0.8068), share(0.99999), share(1.0)
    ('80.7%', '99.999%', '100%')
    """
    if not isfinite(value):
        return NOT_DEFINED
    if value in (0.0, 1.0):
        return f"{value:.0%}"
    for digits in range(1, 5):
        text = f"{value:.{digits}%}"
        if float(text[:-1]) not in (0.0, 100.0):
            return text
    return f"{value:.5%}"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun.

    >>> plural(1, "event"), plural(2_000, "event")
    ('1 event', '2,000 events')
    """
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
