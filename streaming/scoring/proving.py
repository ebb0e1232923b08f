"""A loaded version proven before it serves, in any flavor: by golden rows, or by the first event that it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from pyspark.sql import SparkSession

from streaming.events.decode import JsonDecoder
from streaming.models.package import ModelPackage
from streaming.models.seams import Features
from streaming.models.served import ServedModel
from streaming.models.topic_schema import EventSample
from streaming.scoring.recorded import MOST_RECORDED, NO_ENVELOPE, example_values
from streaming.scoring.trial import AnsweringScorer, Source, prove, prove_golden, valid_features

ValidFeatures = Callable[[ModelPackage, JsonDecoder, Sequence[bytes]], Sequence[Features]]
"""A version, how its events are read, and values to the features of those that are valid events."""


def read_in(session: SparkSession) -> ValidFeatures:
    """Return what reads valid events in Spark."""
    return lambda package, decoder, values: valid_features(session, decoder, package.signature.names, values)


@dataclass(frozen=True)
class Proving:
    """Proves versions; ``valid`` reads the events they are tried on, ``sample`` has those of the job's topic."""

    valid: ValidFeatures
    sample: EventSample

    def __call__(self, package: ModelPackage, decoder: JsonDecoder, scorer: AnsweringScorer) -> ServedModel:
        """Return the version with an event on which it does not throw as its safe row, where one is known.

        Raises:
            CandidateRefusedError: ``TRIAL_FAILED``, ``GOLDEN_ROW_FAILED`` or ``UNSAFE_PLAN``.
        """
        if package.golden and package.golden.rows:
            first = package.golden.rows[0].features
            safe = {name: first.get(name, value) for name, value in decoder.safe_row.items()}
            proven = prove_golden(scorer, safe, package.golden)
            return ServedModel(package, decoder.masking_with(safe), proven)
        return prove(ServedModel(package, decoder, scorer), self._sources(package, decoder))

    def _sources(self, package: ModelPackage, decoder: JsonDecoder) -> list[Source]:
        """Return the sources of events to try. The topic's come last, because reading them takes a broker and a job."""
        values = example_values(package)
        valid = partial(self.valid, package)
        bare = replace(decoder, envelope=NO_ENVELOPE)
        return [
            Source("the input example that was logged with it", lambda: valid(bare, values)),
            Source("an event that was made up", lambda: [decoder.safe_row], real=False),
            Source("recent events of the topic", lambda: valid(decoder, self.sample.recent(MOST_RECORDED))),
        ]
