"""The query's side of counting: predictions and dead letters as they stand on their topics, to tallies."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from schemas import dead_letter, prediction
from schemas.dead_letter import Rejection
from streaming.drift.tally import SCHEMA, tally
from streaming.drift.windows import Tally
from streaming.models.ref import ModelKey


@dataclass(frozen=True)
class Watched:
    """Whose records are counted: ``application`` and ``model`` by what the headers say, and the two topics."""

    application: str
    model: str
    predictions: str
    dead_letters: str


def tallies(records: DataFrame, watched: Watched, tile: int) -> list[Tally]:
    """Count a batch of both topics' records; a tile is so many milliseconds long.

    Args:
        records: Kafka's columns: topic, partition, timestamp, headers.
        watched: whose records count; those of others on the same topics do not.
        tile: milliseconds.
    """
    rejected = F.col("topic") == F.lit(watched.dead_letters)
    with_our_headers = records.select(
        "topic", "partition", "timestamp", _own_headers(rejected).alias("headers"), rejected.alias("rejected")
    )
    # Several applications may share the topics.
    ours = with_our_headers.where(F.when(F.col("rejected"), _dead(watched)).otherwise(_ours(watched)))
    beside = F.coalesce(_time(_last(dead_letter.STREAM_TIME)), F.unix_millis("timestamp"))
    fields = ours.select(
        F.concat_ws("-", "topic", "partition").alias("partition"),
        F.when(F.col("rejected"), _last(dead_letter.MODEL_VERSION))
        .otherwise(_at(prediction.MODEL_VERSION))
        .cast("int")
        .alias("version"),
        F.when(F.col("rejected"), F.coalesce(_time(_last(dead_letter.EVENT_TIME)), beside))
        .otherwise(_time(_at(prediction.CE_TIME)))
        .alias("time"),
        F.when(F.col("rejected"), beside).alias("beside"),
        F.when(~F.col("rejected"), _bins()).alias("bins"),
        F.when(F.col("rejected"), F.coalesce(_last(dead_letter.REASON), F.lit(""))).alias("reason"),
        F.when(F.col("rejected"), _last(dead_letter.FIELD)).alias("field"),
    )
    complete = fields.where(F.col("version").isNotNull() & F.col("time").isNotNull())
    # A dead letter's own time may be wrong by years; it must not hold up the windows of a stream that is not.
    reached = F.coalesce("beside", "time")
    counted = complete.select(
        "*", (F.col("time") - F.expr(f"pmod(time, {tile})")).alias("tile"), reached.alias("reached")
    )
    return [_tally(row, watched.model) for row in counted.mapInArrow(tally, SCHEMA).collect()]


def _tally(row: Row, model: str) -> Tally:
    cells = dict(zip(row["cells"], row["counts"], strict=True))
    rejections = map(Rejection, row["reasons"], row["fields"])
    rejected = dict(zip(rejections, row["rejected"], strict=True))
    return Tally(
        partition=row["partition"],
        key=ModelKey(model, row["version"]),
        tile=row["tile"],
        latest=row["latest"],
        rows=row["rows"],
        cells=cells,
        rejected=rejected,
    )


def _own_headers(rejected: Column) -> Column:
    """Return the headers that Penstock wrote: a dead letter's begin behind the event's own, which are the sender's."""
    headers = F.col("headers")
    added = F.array_position(F.reverse(headers["key"]), dead_letter.ERROR_TOPIC).cast("int")
    return F.when(rejected & (added > 0), F.slice(headers, -F.greatest(added, F.lit(1)), added)).otherwise(headers)


def _time(text: Column) -> Column:
    return F.unix_millis(text.try_cast("timestamp"))


def _at(name: str) -> Column:
    """Return the header's text, from where our writers put it; another writer's is found by name."""
    expected = F.get(F.col("headers"), F.lit(prediction.HEADER_ORDER.index(name)))
    return F.when(expected["key"] == F.lit(name), expected["value"].cast("string")).otherwise(_last(name))


def _last(name: str) -> Column:
    """Return the text of the last header of the name: what an event brought along comes before what was added."""
    matches = F.filter(F.col("headers"), lambda header: header["key"] == F.lit(name))
    return F.get(matches, F.size(matches) - 1)["value"].cast("string")


def _bins() -> Column:
    newest = F.get(F.col("headers"), F.size("headers") - 1)
    matches = F.filter(F.col("headers"), lambda header: header["key"] == F.lit(prediction.BINS))
    return F.when(newest["key"] == F.lit(prediction.BINS), newest["value"]).otherwise(F.get(matches, F.lit(0))["value"])


def _ours(watched: Watched) -> Column:
    source = f"/penstock/{watched.application}/{watched.model}"
    return _at(prediction.CE_SOURCE) == F.lit(source)


def _dead(watched: Watched) -> Column:
    return _last(dead_letter.ERROR_CONNECTOR) == F.lit(watched.application)
