"""``penstock record`` and ``penstock replay``, each importing its work only when it runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Optional

import typer

from jobs.command.options import Config, Set

app = typer.Typer()

Topic = Annotated[Optional[str], typer.Option(help="The topic; the input by default.", metavar="TOPIC")]  # noqa: UP045
Since = Annotated[Optional[str], typer.Option("--from", metavar="TIME", help="Sent then or later, ISO 8601.")]  # noqa: UP045
Until = Annotated[Optional[str], typer.Option("--to", metavar="TIME", help="Sent before then, ISO 8601.")]  # noqa: UP045
Offsets = Annotated[
    list[str], typer.Option(metavar="P:START-END", help="Of partition P, up to but not including END; may be repeated.")
]
Plans = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(metavar="A..B", help="What the ledger's plans from A to B covered."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


@app.command()
def record(
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to make.")],
    config: Config = None,
    set_: Set = [],  # noqa: B006
    topic: Topic = None,
    since: Since = None,
    until: Until = None,
    offsets: Offsets = [],  # noqa: B006
    plans: Plans = None,
    lines: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE", help="JSON lines, plain, .gz or .zst, in place of a topic."),
    ] = None,
    partitions: Annotated[int, typer.Option(min=1, help="Of a recording of JSON lines.")] = 1,
    json_: Json = False,
) -> None:
    """Record a topic, or a part of it, as Parquet that gives every byte back."""
    from jobs.verbs.record.options import Order
    from jobs.verbs.record.run import record as run
    from jobs.wiring.stretch import Stretch

    made = run(config, set_, Order(out, topic, Stretch(since, until, tuple(offsets), plans), lines, partitions))
    if json_:
        typer.echo(json.dumps({"folder": str(out), "topic": made.topic, "rows": made.rows, "digest": made.digest}))
    else:
        typer.echo(f"Recorded {made.rows:,} events of {made.topic}, {len(made.parts)} partitions, in {out}.")


@app.command()
def replay(
    config: Config = None,
    set_: Set = [],  # noqa: B006
    recording: Annotated[Optional[Path], typer.Option(metavar="DIR", help="What `penstock record` made.")] = None,  # noqa: UP045
    topic: Topic = None,
    since: Since = None,
    until: Until = None,
    offsets: Offsets = [],  # noqa: B006
    plans: Plans = None,
    model_version: Annotated[Optional[int], typer.Option(min=1, metavar="N", help="Score with this version.")] = None,  # noqa: UP045
    alias: Annotated[Optional[str], typer.Option(help="Score with the version it points at.")] = None,  # noqa: UP045
    as_served: Annotated[bool, typer.Option("--as-served", help="Score with the versions that served then.")] = False,
    to_topic: Annotated[Optional[str], typer.Option(metavar="TOPIC", help="Write to this topic, exactly once.")] = None,  # noqa: UP045
    out: Annotated[Optional[Path], typer.Option(metavar="DIR", help="Write Parquet to this folder.")] = None,  # noqa: UP045
    speed: Annotated[
        str, typer.Option(metavar="SPEED", help="Into a topic: original, N times faster (60), or max.")
    ] = "max",
    name: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Of a replay into a topic; by default made of source and version."),
    ] = None,
    rows: Annotated[Optional[int], typer.Option(min=1, metavar="N", help="At most so many at a time.")] = None,  # noqa: UP045
    compare: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="DIR", help="Compare with what the job wrote then, and put the report there."),
    ] = None,
    against: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="DIR", help="Compare with another replay's --out instead."),
    ] = None,
    labels: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE", help="What really happened: Parquet, CSV or JSON lines of event_id and label."),
    ] = None,
    metric: Annotated[
        str, typer.Option(help="The metric that decides; AUC, accuracy or the mean error by default.")
    ] = "",
    positive: Annotated[str, typer.Option(help="The class that AUC, precision and recall are about.")] = "",
    json_: Json = False,
) -> None:
    """Score recorded events once more; the same command goes on with a replay that was stopped."""
    from jobs.verbs.replay.display import show
    from jobs.verbs.replay.options import Order, SinkWords, SourceWords, VersionWords, comparison_words
    from jobs.verbs.replay.run import replay as run
    from jobs.wiring.stretch import Stretch
    from streaming.backtest.options import Options

    source = SourceWords(recording, topic, Stretch(since, until, tuple(offsets), plans))
    words = comparison_words(compare, against, labels, Options(metric=metric, positive=positive))
    # Without a folder of their own, the candidate's predictions are kept beside the report.
    kept = words.report / "predictions" if words is not None and to_topic is None else None
    sink = SinkWords(to_topic, out or kept, name)
    order = Order(source, VersionWords(model_version, alias, as_served), sink, speed, rows, words)
    show(run(config, set_, order), for_scripts=json_)
