"""Several versions over one read of the events: each scores its own arm's, and a row has what its version said.

All of it is projections, as for one version, so that a batch stays one job and a partition one transaction. Every
version runs over every row, those of other arms with the features of its safe row, so the costs of arms add up. What a
row has already travels in the place of its headers, which decoders and scorers pass on untouched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.dead_letter import Reason
from streaming.events import columns as c
from streaming.events.rules import quoted, sql_type
from streaming.models.seams import Features
from streaming.models.served import ServedModel

_OWN = (c.VERDICT, c.PREDICTION, c.PROBABILITY, c.CONFIDENCE, c.LABEL, c.BINS)
"""What each version says of its events."""
_SHARED = tuple(name for name in c.ENVELOPE if name != c.VERDICT)
"""What the decoders of one job read alike."""
_HEADERS, _VALUE, _ARM, _POISON = "headers", "value", "arm", "poison"
_LUGGAGE = (_HEADERS, _VALUE, _ARM, _POISON, *_SHARED)


@dataclass(frozen=True)
class ArmScorer:
    """A :class:`streaming.models.seams.FrameScorer` over what the champion's decoder has read.

    Attributes:
        models: the versions, the champion first.
        number: each row's arm, a byte, by the source columns and the envelope.
    """

    models: tuple[ServedModel, ...]
    number: Column

    @property
    def is_proven(self) -> bool:
        """True if each version did not throw on its own safe row."""
        return all(model.scorer.is_proven for model in self.models)

    def score(self, events: DataFrame) -> DataFrame:
        """Score each event by its arm's version.

        A row that the decoder rejects because a version throws on it is kept from all of them.

        Returns:
            What one version's scorer returns, without the features, and ``columns.ARM``.
        """
        champion, *others = self.models
        scored = _answered(champion.scorer.score(_masked(self._with_luggage(events), champion)), 0)
        for number, model in enumerate(others, 1):
            scored = _answered(model.score(_records_of(scored, number)), number)
        return self._unpacked(scored)

    def tried(self, features: Features) -> ArmScorer:
        """Return the scorer with each version as proven by an event; raises as each version's own scorer."""
        return replace(self, models=tuple(model.proven_by(features) for model in self.models))

    def release(self) -> None:
        """Release each version."""
        for model in self.models:
            model.scorer.release()

    def _with_luggage(self, events: DataFrame) -> DataFrame:
        poisoned = F.coalesce(F.col(c.VERDICT)["reason"] == Reason.SCORING_FAILED.value, F.lit(False))
        luggage = F.struct(
            F.col(c.HEADERS).alias(_HEADERS),
            F.col(c.VALUE).alias(_VALUE),
            self.number.alias(_ARM),
            poisoned.alias(_POISON),
            *(F.col(name) for name in _SHARED),
        )
        return events.withColumn(c.HEADERS, luggage)

    def _unpacked(self, frame: DataFrame) -> DataFrame:
        picked = [self._own(name) for name in _OWN if name != c.VERDICT]
        # Only the champion's decoder knows the rows that are kept from all of them.
        verdict = F.when(_packed(_POISON), _answer(0, c.VERDICT)).otherwise(self._own(c.VERDICT)).alias(c.VERDICT)
        source = [_packed(_HEADERS).alias(c.HEADERS), *(F.col(name) for name in c.SOURCE if name != c.HEADERS)]
        shared = [_packed(name).alias(name) for name in _SHARED]
        return frame.select(*source, *shared, verdict, *picked, _packed(_ARM).alias(c.ARM))

    def _own(self, name: str) -> Column:
        value = F.when(_packed(_ARM) == 0, _answer(0, name))
        for number in range(1, len(self.models)):
            value = value.when(_packed(_ARM) == number, _answer(number, name))
        return value.alias(name)


def _packed(name: str) -> Column:
    """Return what travels in the place of the headers."""
    return F.col(c.HEADERS)[name]


def _answer(number: int, name: str) -> Column:
    return _packed(_answers(number))[name]


def _answers(number: int) -> str:
    return f"answers_{number}"


def _is_of(number: int) -> Column:
    """Return whether a row is to be scored by an arm's version."""
    return (_packed(_ARM) == number) & ~_packed(_POISON)


def _masked(events: DataFrame, champion: ServedModel) -> DataFrame:
    """Put the safe row's features in the place of those of other arms' rows."""
    features = []
    for column in champion.package.signature.columns:
        safe = F.lit(champion.decoder.safe_row[column.name]).cast(sql_type(column))
        features.append(F.when(_is_of(0), F.col(quoted(column.name))).otherwise(safe).alias(column.name))
    return events.select(*c.SOURCE, *c.ENVELOPE, *features)


def _records_of(frame: DataFrame, number: int) -> DataFrame:
    """Return Kafka's columns again, without the values of other arms' rows, which a decoder then has not to read."""
    own = F.when(_is_of(number), F.col(c.VALUE))
    values = {name: own if name == c.VALUE else F.col(name) for name in c.SOURCE}
    return frame.select(*(value.alias(name.removeprefix(c.PREFIX)) for name, value in values.items()))


def _answered(scored: DataFrame, number: int) -> DataFrame:
    """Return the source columns, with the version's answers packed beside what was packed before."""
    before = [_packed(name).alias(name) for name in (*_LUGGAGE, *map(_answers, range(number)))]
    answers = F.struct(*(F.col(name) for name in _OWN)).alias(_answers(number))
    source = [F.col(name) for name in c.SOURCE if name not in (c.HEADERS, c.VALUE)]
    return scored.select(*source, _packed(_VALUE).alias(c.VALUE), F.struct(*before, answers).alias(c.HEADERS))
