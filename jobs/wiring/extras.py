"""Libraries that a plain installation does not have."""

from __future__ import annotations

from importlib.util import find_spec

from streaming.errors import SetupError


def require_extra(extra: str, *libraries: str) -> None:
    """Check that the libraries of an extra are installed; none of them is imported.

    Raises:
        SetupError: some are not.
    """
    absent = [name for name in libraries if find_spec(name) is None]
    if absent:
        raise SetupError(f'{" and ".join(absent)} cannot be imported; install with: pip install "penstock[{extra}]"')
