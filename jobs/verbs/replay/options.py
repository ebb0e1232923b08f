"""What ``penstock replay`` is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jobs.wiring.replaying import topic_source
from jobs.wiring.stretch import Stretch
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.scan import KafkaScan
from streaming.errors import ConfigurationError
from streaming.replay.recording import open_recording
from streaming.replay.source import RecordingSource, Source
from streaming.settings import Settings

_ALL = Stretch()


@dataclass(frozen=True)
class SourceWords:
    """The command line's words: a recording's folder, or a topic (the input by default) and a stretch of it."""

    recording: Path | None = None
    topic: str | None = None
    stretch: Stretch = _ALL

    def open(self, settings: Settings, scan: KafkaScan) -> Source:
        """Return what they mean.

        Raises:
            ConfigurationError: both are named, or it is not there.
            DataError: the recording is damaged.
        """
        self.stretch.span()
        if self.recording is None:
            topic = KafkaAdmin(settings.kafka, settings.application).required_topic(self.topic or settings.input.topic)
            return topic_source(settings, scan, topic, self.stretch)
        if self.topic or self.stretch != _ALL:
            raise ConfigurationError("a recording is replayed whole; leave out which part of a topic")
        return RecordingSource(open_recording(self.recording))
