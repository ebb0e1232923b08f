"""The ledger's rollouts as the command line reads and writes them: beside the job, and without its lease."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from jobs.configuration.load import load_settings
from jobs.process.logs import configure_logging
from streaming.adapters.kafka.ledger_tail import LedgerTail, append_record
from streaming.clock import Clock, system_clock
from streaming.engines.rollout_ports import RolloutRecords
from streaming.errors import ConfigurationError
from streaming.ledger.arm_counts import ArmCounts, StepCounts
from streaming.ledger.rollout_story import RolloutStory
from streaming.rollout.history import Rollout, RolloutHistory
from streaming.settings import Settings


class RolloutDesk:
    """One application's rollouts, as far as the ledger goes now."""

    def __init__(self, settings: Settings, records: RolloutRecords) -> None:
        """Read nothing yet."""
        self.settings = settings
        self.clock: Clock = system_clock
        self.history = RolloutHistory(settings.application)
        self._counts = ArmCounts()
        self._stories: dict[str, RolloutStory] = {}
        self._records = records

    def read(self) -> None:
        """Read what has come since the last time; raises ``BrokerUnavailableError``."""
        for record in self._records.to_end():
            self.history = self.history.after(record)
            self._counts.add(record)
            self._tell(record)

    def _tell(self, record: Mapping[str, Any]) -> None:
        if (current := self.history.current) is not None:
            self._stories.setdefault(current.declaration.name, RolloutStory(current.declaration))
        # An outcome may be of a batch that an earlier rollout has planned.
        for story in self._stories.values():
            story.add(record)

    def current(self) -> Rollout:
        """Return the latest rollout; raises ``ConfigurationError`` if there is none."""
        rollout = self.history.current
        if rollout is None:
            raise ConfigurationError(
                f"{self.settings.application} has no rollout in {self.settings.output.ledger}; declare one with"
                " `penstock rollout plan --in FILE`"
            )
        return rollout

    def chosen(self, name: str | None) -> Rollout:
        """Return a rollout by its name, the latest without one; raises ``ConfigurationError`` if there is none."""
        if name is None:
            return self.current()
        rollouts = {rollout.declaration.name: rollout for rollout in self.history.rollouts}
        if name not in rollouts:
            names = ", ".join(rollouts) or "none"
            raise ConfigurationError(f"{self.settings.output.ledger} has no rollout {name}; it has {names}")
        return rollouts[name]

    def counts(self, rollout: Rollout) -> StepCounts:
        """Return what was counted in a rollout's present step."""
        return self._counts.of(rollout)

    def story(self, rollout: Rollout) -> RolloutStory:
        """Return what the ledger tells of a rollout that it has."""
        return self._stories[rollout.declaration.name]

    def append(self, record: dict[str, Any]) -> None:
        """Write a record and read it back; raises ``BrokerUnavailableError``."""
        settings = self.settings
        append_record(settings.kafka, settings.output.ledger, settings.application, record)
        self.read()


def rollout_settings(config: Path | None, overrides: Sequence[str]) -> Settings:
    """Return the settings of a job that can run a rollout.

    Raises:
        ConfigurationError: they are wrong, or the job that they describe cannot run one.
    """
    settings = load_settings(config, overrides)
    configure_logging(settings.log)
    if settings.lookup.source is not None:
        raise ConfigurationError(
            f"two arms look no columns up, so no rollout is followed beside {settings.lookup.source}; leave the section"
            " out"
        )
    if settings.model.arm is not None:
        raise ConfigurationError(
            "model.arm gives a version a fixed share, and no rollout is followed beside it; leave the setting out"
        )
    return settings


@contextmanager
def rollout_desk(settings: Settings) -> Iterator[RolloutDesk]:
    """Open the desk of an application, with all that is in the ledger; raises ``BrokerUnavailableError``."""
    with closing(LedgerTail(settings.kafka, settings.output.ledger, settings.application)) as tail:
        desk = RolloutDesk(settings, tail)
        desk.read()
        yield desk
