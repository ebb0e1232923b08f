"""Which of pytest-xdist's workers runs a test: one has the shared Spark session, the other starts processes."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

_GROUPS = {"spark": "session", "broker": "session", "e2e": "processes"}


class ByLevel(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Keeps the levels of a group in one worker, and gives out the other files one by one."""

    def _split_scope(self, nodeid: str) -> str:
        """Return the name of the work that ``nodeid``, such as ``tests/spark/test_scoring.py::test_x``, is part of."""
        file = nodeid.partition("::")[0]
        return _GROUPS.get(file.split("/")[1], file)
