"""Which of pytest-xdist's workers runs a test: one has the shared Spark session, the other starts processes."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

_SESSION = ("tests/spark/", "tests/broker/", "tests/e2e/test_batch.py", "tests/e2e/test_chaos.py")
"""The last two could be in either; so both workers have about as much to do."""
_PROCESSES = "tests/e2e/"
"""One after the other, as some of them listen where the documentation says."""


class ByLevel(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Keeps two groups of tests in one worker each, and gives out the other files one by one."""

    def _split_scope(self, nodeid: str) -> str:
        """Return the name of the work that ``nodeid``, such as ``tests/spark/test_scoring.py::test_x``, is part of."""
        if nodeid.startswith(_SESSION):
            return "session"
        return "processes" if nodeid.startswith(_PROCESSES) else nodeid.partition("::")[0]
