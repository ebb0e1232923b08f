"""The follower of many models: one query to the registry for all, versions loaded beside the batches, one table.

A model takes part from the moment at which its first version is loaded or refused. A version that is loaded takes the
place of the one before in the next table; what is slow or broken holds up no other model.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from streaming.errors import ConfigurationError, ModelNotFoundError, RegistryUnavailableError
from streaming.models.contact import RegistryContact, existence_doubt
from streaming.models.heritage import Heritage
from streaming.models.many_ports import ManyFollowing, ManyPorts
from streaming.models.model_loads import ModelLoads
from streaming.models.polling import PollingThread
from streaming.models.ref import ModelKey, ModelVersion
from streaming.models.served import ServedModel
from streaming.models.table import ModelTable
from streaming.models.table_memory import TableMemory
from streaming.models.table_versions import TableVersions

_FIRST_TRIES_EVERY = 1.0
_TABLES = 4
"""Tables whose rows are kept, so that a batch which is just being planned can write them down."""
_LOOK_SECONDS = 0.2
"""While versions are being loaded, what has become of them is looked at so often."""
_TABLE_SECONDS = 1.0
"""While versions are being loaded, tables follow each other no sooner."""


class ManyFollower:
    """Follows on a thread of its own between :meth:`start` and :meth:`stop`."""

    def __init__(self, ports: ManyPorts, following: ManyFollowing) -> None:
        self._ports = ports
        self._following = following
        self._memory = ports.memory.load()
        self._versions = TableVersions(ports.registry, ports.maker, ports.clock, self._memory.held)
        self._loads = ModelLoads(self._versions.load, following.threads, following.patience_seconds)
        self._guard = threading.RLock()
        self._tables: dict[ModelKey, ModelTable] = {}
        self._events: Counter[str] = Counter()
        self._turns = PollingThread(self._pause, self._turn, "following the registry failed")
        self._contact = RegistryContact(ports.announcer(str(following.rule)), ports.slot.current)
        self._due = 0.0
        self._swapped = 0.0
        self._above = 0

    def load_first(self, stopping: threading.Event | None = None) -> ServedModel | None:
        """Load what the registry names, those with most events in the last run first, and make the first table.

        Returns:
            The table; ``None`` if ``stopping`` was set before.

        Raises:
            ModelNotFoundError: no model of the rule has a version that can be loaded.
            RegistryUnavailableError: the registry stayed silent, and nothing that served before is in the cache.
            ConfigurationError: it refuses this client; waiting would not mend that.
        """
        stop = stopping or self._turns.stopping
        deadline = time.monotonic() + self._following.startup_seconds
        while problem := self._ask():
            if self._memory.versions:
                self._versions.name({key.name: key.version for key in self._memory.versions}, self._memory.versions)
                break
            if time.monotonic() >= deadline:
                raise problem
            if stop.wait(_FIRST_TRIES_EVERY):
                return None
        if not self._load_named(stop):
            return None
        served = self._swap()
        if not any(row.is_loaded for row in self._versions.rows):
            raise problem or ModelNotFoundError(
                f"no model of the rule {self._following.rule} has a version under the alias {self._following.alias}"
                " that can be loaded; the log names those that were refused"
            )
        return served

    def start(self) -> None:
        """Begin to poll."""
        self._due = time.monotonic() + self._following.poll_seconds
        self._turns.start()

    def stop(self, timeout: float = 10.0) -> None:
        """End polling; what is being loaded is not waited for."""
        self._turns.end()
        self._loads.stop()
        self._turns.join(timeout)
        self._save()

    def wake(self) -> None:
        """Poll now instead of at the next turn; returns at once."""
        self._turns.wake()

    def poll(self) -> None:
        """Ask the registry, and begin to load what is new; the next :meth:`settle` has what is ready by then."""
        try:
            self._ask()
        except ConfigurationError as problem:
            self._contact.unanswered(problem)  # a right that was taken away may be given back: what serves goes on
        self._submit()

    def settle(self) -> bool:
        """Put what has been loaded into a new table; returns whether more is being loaded."""
        self._collect()
        if not self._loads or time.monotonic() - self._swapped >= _TABLE_SECONDS:
            self._swap()
        return bool(self._loads)

    def answered(self, outcomes: Mapping[str, tuple[int, int]]) -> None:
        """Note what a batch came to; any thread, returns at once.

        Args:
            outcomes: by the text of a version's key, the events that it answered and those that it threw on.
        """
        with self._guard:
            for key, (events, _) in outcomes.items():
                self._events[key.rpartition("/")[0]] += events
        if self._versions.doubt(outcomes):
            self.wake()

    def hold(self, key: ModelKey, detail: str) -> str:
        """Keep a version of a model from being served, also after a restart; the version before serves instead.

        Raises:
            ModelNotFoundError: the registry has no such version.
        """
        doubt = existence_doubt(self._ports.registry, key)
        self._versions.hold(key)
        self._ports.announcer(key.name).held(key, self._versions.row(key.name), detail)
        self._save()
        self.wake()
        return doubt

    def inherit(self, heritage: Heritage) -> None:
        """Keep to the holds of earlier drivers."""
        for key in heritage.held:
            self._versions.hold(key)
        self._swap()

    def begin_above(self, number: int) -> None:
        """Let tables have higher numbers than any that an earlier driver has planned with, whatever its clock said."""
        with self._guard:
            self._above = number
            self._swap()

    def record(self, key: ModelKey) -> Mapping[str, Any]:
        """Return what the ledger keeps of a table."""
        with self._guard:
            return self._tables[key].record()

    def recalled(self, record: Mapping[str, Any]) -> ServedModel:
        """Load a table by the ledger's record of it; models whose version cannot be loaded any more have none.

        Raises:
            RegistryUnavailableError: a version is not in the cache, and the registry does not answer.
        """
        rows = [self._versions.recalled(ModelVersion(*row[:3]), row[3]) for row in record["rows"]]
        return self._made(ModelTable.of(self._following.rule, record["table"], rows))

    def release(self, model: ServedModel) -> None:
        """Give a table back."""
        model.scorer.release()

    def paused(self, why: str) -> None:
        """Announce that the circuit breaker holds the job."""
        self._ports.announcer(str(self._following.rule)).paused(self._ports.slot.current(), why)

    def resumed(self) -> None:
        """Announce that an operator let the job go on."""
        self._ports.announcer(str(self._following.rule)).resumed(self._ports.slot.current())

    def _pause(self) -> float:
        return _LOOK_SECONDS if self._loads else max(self._due - time.monotonic(), 0)

    def _turn(self, woken: bool) -> None:
        if woken or time.monotonic() >= self._due:
            self._due = time.monotonic() + self._following.poll_seconds
            self.poll()
        self.settle()

    def _ask(self) -> RegistryUnavailableError | None:
        """Learn what the registry names; returns why that is not known, if it is silent."""
        rule = self._following.rule
        try:
            named = self._ports.registry.aliased(rule.prefix, self._following.alias)
        except RegistryUnavailableError as problem:
            self._contact.unanswered(problem)
            return problem
        self._contact.answered()
        # The search is by a prefix alone, so that it may give names that the rule does not lead to.
        own = {name: number for name, number in named.items() if rule.claims(name)}
        self._ports.announcer(str(rule)).metrics.selector_resolved(resolved=bool(own))
        self._versions.name(own)
        return None

    def _load_named(self, stop: threading.Event) -> bool:
        """Load what is named, as far as that can be done in time; returns whether nobody stopped it."""
        self._submit()
        deadline = time.monotonic() + self._following.first_seconds
        while self._loads and time.monotonic() < deadline:
            if stop.wait(_LOOK_SECONDS):
                return False
            self._collect()
        return True

    def _submit(self) -> None:
        # After a restart, the models with most events come first: the job may begin before the last is loaded.
        order = {key.name: number for number, key in enumerate(self._memory.versions)}
        self._loads.ask(sorted(self._versions.due(), key=lambda name: order.get(name, len(order))))

    def _collect(self) -> None:
        ready = list(self._loads.collect())
        for name, attempt in ready:
            before = self._versions.take(attempt)
            attempt.announce(self._ports.announcer(name), before)
        # Before the table serves: the download of another version may want the place of these in the cache.
        if ready:
            self._save()

    def _swap(self) -> ServedModel | None:
        """Serve a new table if a row has changed; returns what serves."""
        # A takeover may put versions on hold while the follower's own thread swaps.
        with self._guard:
            current = self._ports.slot.current()
            before = current.version.version if current else 0
            number = max(int(self._ports.clock().timestamp() * 1_000), before + 1, self._above + 1)
            table = ModelTable.of(self._following.rule, number, self._versions.rows)
            is_same = current is not None and current.package.digest == table.digest and before > self._above
            if not table.rows or is_same:
                return current
            served = self._made(table)
            self._tables[table.version.key] = table
            self._ports.slot.swap(served)
            self._swapped = time.monotonic()
            self._forget_tables()
            self._save()
        self._ports.seen(served, table)
        return served

    def _made(self, table: ModelTable) -> ServedModel:
        return self._ports.maker.served(table, self._following.limits)

    def _forget_tables(self) -> None:
        """Keep the rows of what the slot may still plan with."""
        for key in sorted(self._tables, key=lambda key: key.version)[:-_TABLES]:
            del self._tables[key]

    def _save(self) -> None:
        with self._guard:
            held, unsettled = self._versions.held, self._versions.unsettled
            loaded = [row for row in self._versions.rows if row.is_loaded]
            loaded.sort(key=lambda row: -self._events[row.version.name])
            versions = {row.version.key: row.digest for row in loaded}
            # Until a model has come to a version in this run, that of the last run is what a restart would go back to.
            earlier = self._memory.versions.items()
            versions |= {key: digest for key, digest in earlier if key.name in unsettled and key not in held}
            self._ports.memory.save(TableMemory(versions, held))
