"""``penstock record``: a stretch of a topic, or a file of JSON lines, as a recording that can be replayed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jobs.configuration.load import load_settings
from jobs.configuration.paths import require_readable_file, require_writable
from jobs.process.logs import configure_logging
from jobs.terminal.progress import progress_bar
from jobs.verbs.record.options import RecordOptions
from jobs.wiring.stretch import Stretch
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.recording import KafkaStretch
from streaming.adapters.kafka.scan import KafkaScan
from streaming.errors import ConfigurationError
from streaming.offsets import OffsetRange
from streaming.replay.lines import read_lines
from streaming.replay.recording import Recording, RecordingWriter, open_recording, recording_to
from streaming.settings import Settings


def record(config: Path | None, overrides: Sequence[str], options: RecordOptions) -> Recording:
    """Make a recording.

    Raises:
        ConfigurationError: the settings, the stretch or the file are wrong, or something is at ``options.out`` already.
        DataError: records were deleted while they were read.
        BrokerUnavailableError: Kafka does not answer.
    """
    settings = load_settings(config, overrides)
    configure_logging(settings.log)
    _check(options)
    require_writable(options.out, "--out")
    if options.lines is not None:
        require_readable_file(options.lines, "--lines")
    topic = options.topic or settings.input.topic
    with recording_to(options.out, topic) as writer:
        if options.lines is None:
            _record_topic(settings, topic, options.stretch, writer)
        else:
            _record_lines(settings, options.lines, options.partitions, writer)
    return open_recording(options.out)


def _check(options: RecordOptions) -> None:
    """Refuse options that would have no effect."""
    if options.lines is None and options.partitions != 1:
        raise ConfigurationError("--partitions is for --lines; a recording of a topic has the topic's own")
    if options.lines is not None and options.stretch != Stretch():
        raise ConfigurationError("--lines are recorded whole; leave out --from, --to, --offsets and --plans")
    options.stretch.span()


def _record_topic(settings: Settings, topic: str, stretch: Stretch, writer: RecordingWriter) -> None:
    info = KafkaAdmin(settings.kafka, settings.application).required_topic(topic)
    with KafkaScan(settings.kafka, settings.application) as scan, progress_bar("recording") as progress:
        ranges = stretch.ranges(settings, scan, info)
        total, done = sum(part.end - part.start for part in ranges.values()), 0
        for partition, part in ranges.items():
            for message in KafkaStretch(scan, topic).records(partition, part):
                writer.add(partition, message)
                progress(done + message.offset - part.start, total)
            writer.flush(partition)
            done += part.end - part.start
    writer.finish(info.id, ranges)


def _record_lines(settings: Settings, path: Path, partitions: int, writer: RecordingWriter) -> None:
    end = 0
    for partition, record in read_lines(path, settings.event, partitions):
        writer.add(partition, record)
        end = record.offset + 1
    writer.finish("", {partition: OffsetRange(0, end) for partition in range(partitions)})
