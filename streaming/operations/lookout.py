"""Regular looks at whether the job may still do what it needs to, before it tries in vain.

A writer whose topic is gone waits for minutes before it gives up, as the topic might only be slow to appear.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from streaming.errors import ConfigurationError, TopicDeletedError, UpstreamError

_EVERY_SECONDS = 5.0


class Lookout:
    """Calls ``tell`` after each look with what is wrong, empty if nothing is."""

    def __init__(self, look: Callable[[], None], tell: Callable[[str], None], every: float = _EVERY_SECONDS) -> None:
        """Do not look yet.

        Args:
            look: raises ``ConfigurationError`` or ``TopicDeletedError`` if something is wrong; any ``UpstreamError``
                else says that it could not look.
            tell: is called on a thread of its own.
            every: seconds between two looks.
        """
        self._look = look
        self._tell = tell
        self._every = every
        self._stopping = threading.Event()

    def __enter__(self) -> Lookout:
        """Begin to look, on a thread of its own."""
        threading.Thread(target=self._run, name="lookout", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look no more."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(self._every):
            try:
                self._look()
            except (ConfigurationError, TopicDeletedError) as problem:
                self._tell(str(problem))
            except UpstreamError:
                continue  # whether anything is wrong is not known; the query says that Kafka does not answer
            else:
                # Each look that finds nothing ends an earlier complaint.
                self._tell("")
