"""A loaded version proven before it serves, in any flavor: by golden rows, or by the first event that it takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from pyspark.sql import SparkSession

from streaming.events.decode import JsonDecoder
from streaming.models.package import ModelPackage
from streaming.models.served import ServedModel
from streaming.models.topic_schema import EventSample
from streaming.scoring.recorded import MOST_RECORDED, NO_ENVELOPE, example_values
from streaming.scoring.trial import AnsweringScorer, Source, prove, prove_golden, valid_features


@dataclass(frozen=True)
class Proving:
    """Proves versions in a session; ``sample`` has the events of the job's topic."""

    session: SparkSession
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
        """The topic comes last: its events take a broker and a job, and a made-up one does where it is taken."""
        values = example_values(package)
        valid = partial(valid_features, self.session)
        names, bare = package.signature.names, replace(decoder, envelope=NO_ENVELOPE)
        return [
            Source("the input example that was logged with it", lambda: valid(bare, names, values)),
            Source("an event that was made up", lambda: [decoder.safe_row], real=False),
            Source("recent events of the topic", lambda: valid(decoder, names, self.sample.recent(MOST_RECORDED))),
        ]
