"""Which of pytest-xdist's workers runs a test: each level that shares a session or a broker stays on one worker."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

_LEVELS = {"tests/spark/": "spark", "tests/broker/": "broker", "tests/e2e/": "processes"}
_BROKER_ALONE = ("dlq", "kafka_lease", "local_services", "quality", "shadow", "writer")
"""Broker tests that need no session."""
_MOVED = {
    "tests/e2e/test_batch.py": "spark",
    "tests/e2e/test_chaos.py": "chaos",
    "tests/e2e/test_demo.py": "chaos",
    **{f"tests/broker/test_{name}.py": "processes" for name in _BROKER_ALONE},
}
"""These could run on any worker; so the levels have about as much to do, and chaos and the demonstration are the
fourth worker's first."""


class ByLevel(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Keeps each level's tests on one worker, and gives out the files of the others one by one."""

    def _split_scope(self, nodeid: str) -> str:
        """Return the name of the work that ``nodeid``, such as ``tests/spark/test_scoring.py::test_x``, is part of."""
        file = nodeid.partition("::")[0]
        level = next((name for prefix, name in _LEVELS.items() if file.startswith(prefix)), file)
        return _MOVED.get(file, level)
