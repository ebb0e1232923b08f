"""``penstock record`` and ``penstock replay``, each importing its work only when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.command.options import PROVE, Alias, Config, Html, Json, Set, VersionNumber, examples
from jobs.terminal.json_output import JsonOutput

app = typer.Typer()

Topic = Annotated[str | None, typer.Option(metavar="TOPIC", help="Read this topic. The default is the input topic.")]
Since = Annotated[str | None, typer.Option("--from", metavar="TIME", help="Take events sent then or later, ISO 8601.")]
Until = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Take events sent before then, ISO 8601.")]
Offsets = Annotated[
    list[str],
    typer.Option(metavar="P:START-END", help="Take offsets START to END - 1 of partition P. It may be repeated."),
]
Plans = Annotated[
    str | None,
    typer.Option(metavar="A..B", help="Take what the ledger's plans from A to B covered."),
]


@app.command(
    rich_help_panel=PROVE,
    epilog=examples(
        "penstock record -c penstock.yaml --out week-47 --from 2026-11-16 --to 2026-11-23",
        "penstock record -c penstock.yaml --out june --lines june.jsonl.gz --partitions 4",
    ),
)
def record(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Write the recording to this new folder.")],
    config: Config = None,
    set_: Set = [],
    topic: Topic = None,
    since: Since = None,
    until: Until = None,
    offsets: Offsets = [],
    plans: Plans = None,
    lines: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Record this file of JSON lines (plain, .gz or .zst) instead of a topic."),
    ] = None,
    partitions: Annotated[
        int, typer.Option(min=1, metavar="N", help="Divide a file of JSON lines into this many partitions.")
    ] = 1,
    json: Json = None,
) -> None:
    """Record a topic, or a part of it, as Parquet that gives every byte back."""
    from jobs.verbs.record.options import RecordOptions
    from jobs.verbs.record.run import record as run
    from jobs.wiring.stretch import Stretch

    output = JsonOutput(json)
    stretch = Stretch(since, until, tuple(offsets), plans)
    made = run(config, set_, RecordOptions(out=out, topic=topic, stretch=stretch, lines=lines, partitions=partitions))
    output.write({"folder": str(out), "topic": made.topic, "rows": made.rows, "digest": made.digest})
    if not output.replaces_text:
        typer.echo(f"Recorded {made.rows:,} events of {made.topic}, {len(made.parts)} partitions, in {out}.")


@app.command(
    rich_help_panel=PROVE,
    epilog=examples(
        "penstock replay -c penstock.yaml --recording week-47 --model-version 5 --out v5",
        "penstock replay -c penstock.yaml --from 2026-11-22 --alias challenger --to-topic trial",
        "penstock replay -c penstock.yaml --recording week-47 --alias challenger --compare report",
    ),
)
def replay(
    config: Config = None,
    set_: Set = [],
    recording: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Read the recording in this folder instead of a topic.")
    ] = None,
    topic: Topic = None,
    since: Since = None,
    until: Until = None,
    offsets: Offsets = [],
    plans: Plans = None,
    model_version: VersionNumber = None,
    alias: Alias = None,
    as_served: Annotated[
        bool, typer.Option("--as-served", help="Score each event with the version that served it.")
    ] = False,
    to_topic: Annotated[
        str | None, typer.Option(metavar="TOPIC", help="Write the predictions to this topic, exactly once.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the predictions to this folder, as Parquet.")
    ] = None,
    speed: Annotated[
        str,
        typer.Option(metavar="SPEED", help="Replay into a topic at this speed: original, max, or N times faster."),
    ] = "max",
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name a replay into a topic. The default is made of its source and version."),
    ] = None,
    rows: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Score at most this many events at a time.")
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Compare with what the job wrote, and put the report into this folder."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Compare with the predictions in another replay's folder instead."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Read the true outcomes, event_id and label, from Parquet, CSV or JSON."),
    ] = None,
    metric: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Decide by this metric. The default is AUC, accuracy or the mean absolute error."
        ),
    ] = "",
    positive: Annotated[
        str, typer.Option(metavar="CLASS", help="Take this class as positive for AUC, precision and recall.")
    ] = "",
    html: Html = None,
    json: Json = None,
) -> None:
    """Score recorded events again. The same command continues a replay that was stopped."""
    from jobs.verbs.replay.display import show
    from jobs.verbs.replay.options import ComparisonOptions, ReplayOptions, SinkOptions, SourceOptions, VersionOptions
    from jobs.verbs.replay.run import replay as run
    from jobs.wiring.stretch import Stretch
    from streaming.backtest.options import Options

    output = JsonOutput(json)
    stretch = Stretch(since, until, tuple(offsets), plans)
    comparison = ComparisonOptions(
        report=compare,
        html=html,
        against=against,
        labels=labels,
        method=Options(metric=metric, positive=positive),
    )
    # Without a folder of their own, the candidate's predictions are kept beside the report.
    beside = compare / "predictions" if compare is not None and to_topic is None else None
    options = ReplayOptions(
        source=SourceOptions(recording, topic, stretch),
        versions=VersionOptions(model_version, alias, as_served),
        sink=SinkOptions(to_topic, out or beside, name),
        speed=speed,
        rows=rows,
        comparison=comparison,
    )
    show(run(config, set_, options), output)
