"""The lease: which of an application's drivers scores, while the others stand by.

It says when to begin, and no more than that. That an earlier holder cannot write any longer is the ledger's doing,
which fences it. So a late or a wrong judgement about who is alive costs time and never a record.
"""

from __future__ import annotations

import threading
from typing import Protocol


class LeaseObserver(Protocol):
    """Observer of the lease."""

    def lease_changed(self, *, held: bool) -> None:
        """The driver got or lost the lease. One that lost it goes on until another driver fences it."""
        ...


class Lease(Protocol):
    """One driver's place in the line; ``adapters/kafka/lease.py`` implements it."""

    def wait(self, stopping: threading.Event) -> bool:
        """Stand in line until the lease is ours, and keep it from then on; false if asked to stop before."""
        ...

    def leave(self) -> None:
        """Leave the line, and the lease to the next one in it; harmless if we never stood in line."""
        ...
