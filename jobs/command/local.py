"""The verbs that run services on this machine, fetch what they need, or show everything at work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.command.options import LOCAL, Home, examples

app = typer.Typer()
HOME = Path(".penstock")


@app.command(
    rich_help_panel=LOCAL,
    epilog=examples("penstock up", "penstock up --detach", "penstock up --kafka-port 9192 --mlflow-port 5100"),
)
def up(
    kafka_port: Annotated[int, typer.Option(metavar="PORT", help="Let the broker listen on this port.")] = 9092,
    mlflow_port: Annotated[
        int, typer.Option(metavar="PORT", help="Let the tracking server listen on this port.")
    ] = 5000,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return when both are up; `penstock down` stops them.")
    ] = False,
    home: Home = HOME,
) -> None:
    """Start Apache Kafka and an MLflow tracking server on this machine, until Ctrl-C."""
    from jobs.verbs.up import run as services

    start = services.start_detached if detach else services.run
    start(home, kafka_port, mlflow_port)


@app.command(rich_help_panel=LOCAL, epilog=examples("penstock down"))
def down(home: Home = HOME) -> None:
    """Stop what `penstock up` started."""
    from jobs.verbs.up import run as services

    services.stop(home)


@app.command(rich_help_panel=LOCAL, epilog=examples("penstock setup", "penstock setup --class-archive"))
def setup(
    home: Home = HOME,
    class_archive: Annotated[
        bool,
        typer.Option(help="Archive Spark's classes, too, within some minutes: Spark then starts in half the time."),
    ] = False,
) -> None:
    """Download the jars that Spark and the local broker need, once."""
    from jobs.wiring.class_archive import prepare_archive
    from jobs.wiring.jars import fetch

    fetch(home)
    if class_archive:
        prepare_archive(home)


@app.command(rich_help_panel=LOCAL, epilog=examples("penstock demo"))
def demo(home: Home = HOME) -> None:
    """Train on flights, score a season of them, swap the model on the way, and report."""
    from jobs.demo.run import demo as run

    run(home)


@app.command("demo-rollout", rich_help_panel=LOCAL, epilog=examples("penstock demo-rollout"))
def demo_rollout(home: Home = HOME) -> None:
    """Roll out a better version and a bad one over recorded flights, and repair what the bad one answered."""
    from jobs.demo.rollout import demo_rollout as run

    run(home)
