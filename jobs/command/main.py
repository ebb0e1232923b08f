"""The ``penstock`` command: one function per verb, each importing its work only when it runs.

``penstock --help`` must not wait for Spark or MLflow, so nothing below imports them at the top.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn, Optional

import typer
from rich.console import Console
from rich.text import Text

from jobs.command.batch import app as batch_app
from jobs.command.dlq import app as dlq_app
from jobs.command.drift import app as drift_app
from jobs.command.job import app as job_app
from jobs.command.ledger import app as ledger_app
from jobs.command.options import Config, Home, Set
from jobs.command.replay import app as replay_app
from jobs.process.ending import ending
from jobs.process.stopping import ending_in_order
from jobs.process.traces import redact_traces
from streaming.redaction import redact
from streaming.version import __version__

app = typer.Typer(
    help="Score a Kafka stream with a model from the MLflow registry, and swap the model while the stream runs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config_app = typer.Typer(help="Check, show and describe the configuration.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(job_app)
app.add_typer(replay_app)
app.add_typer(batch_app)
app.add_typer(dlq_app, name="dlq")
app.add_typer(drift_app, name="drift")
app.add_typer(ledger_app, name="ledger")

HOME = Path(".penstock")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; an error becomes one message and its exit code, see :func:`jobs.process.ending.ending`.

    Args:
        arguments: the verb and its options; this process's own if ``None``.
    """
    redact_traces()
    try:
        with ending_in_order():
            app(args=arguments, prog_name="penstock")
    except Exception as error:
        _fail(*ending(error))
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(message: str, code: int) -> NoReturn:
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    shown = redact(message).encode("utf-8", "backslashreplace").decode("utf-8")  # a path need not be text
    console.print(Text.assemble(("penstock: ", "bold red"), shown))
    sys.exit(code)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)] = False,
) -> None:
    """Score a Kafka stream with a model from the MLflow registry, and swap the model while the stream runs."""
    if version:
        typer.echo(f"penstock {__version__}")
        raise typer.Exit


@app.command()
def up(
    kafka_port: Annotated[int, typer.Option(help="Port of the broker.")] = 9092,
    mlflow_port: Annotated[int, typer.Option(help="Port of the tracking server.")] = 5000,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when both are up; stop with `down`.")] = False,
    home: Home = HOME,
) -> None:
    """Start Apache Kafka and an MLflow tracking server on this machine, until Ctrl-C."""
    from jobs.verbs.up import run as services

    run = services.start_detached if detach else services.run
    run(home, kafka_port, mlflow_port)


@app.command()
def down(home: Home = HOME) -> None:
    """Stop what `penstock up` started."""
    from jobs.verbs.up import run as services

    services.stop(home)


@app.command()
def setup(home: Home = HOME) -> None:
    """Download the jars that Spark and the local broker need, once."""
    from jobs.wiring.jars import fetch

    fetch(home)


@app.command()
def train(
    config: Config = None,
    set_: Set = [],  # noqa: B006
    from_time: Annotated[Optional[str], typer.Option("--from", help="First day, ISO 8601.")] = None,  # noqa: UP045
    to_time: Annotated[Optional[str], typer.Option("--to", help="Day after the last.")] = None,  # noqa: UP045
    algorithm: Annotated[Optional[str], typer.Option(help="See train.algorithm.")] = None,  # noqa: UP045
    alias: Annotated[Optional[str], typer.Option(help="Points at the new version.")] = None,  # noqa: UP045
    stage: Annotated[Optional[str], typer.Option(help="The new version enters it.")] = None,  # noqa: UP045
) -> None:
    """Train a model, log it to MLflow and register it."""
    from jobs.verbs.train.run import train as run

    given = {"from_time": from_time, "to_time": to_time, "algorithm": algorithm, "alias": alias, "stage": stage}
    overrides = [f"train.{key}={value}" for key, value in given.items() if value is not None]
    run(config, [*set_, *overrides])


@app.command()
def score(
    config: Config = None,
    set_: Set = [],  # noqa: B006
    on_gap: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Records were deleted before they were scored: `fail`, or `skip` them.", metavar="fail|skip"),
    ] = None,
) -> None:
    """Score the stream until it is stopped."""
    from jobs.verbs.score.run import score as run

    run(config, [*set_, *([f"input.on_gap={on_gap}"] if on_gap else [])])


@app.command()
def topics(
    config: Config = None,
    set_: Set = [],  # noqa: B006
    create: Annotated[bool, typer.Option("--create", help="Create those that are missing.")] = False,
    partitions: Annotated[int, typer.Option(help="Partitions of the input topic, if it is created.")] = 4,
) -> None:
    """Show the topics that the job reads and writes, and which are missing."""
    from jobs.verbs.topics.run import topics as run

    run(config, set_, partitions if create else None)


@app.command()
def demo(home: Home = HOME) -> None:
    """Train on flights, score a season of them, swap the model on the way, and report."""
    from jobs.demo.run import demo as run

    run(home)


@config_app.command()
def validate(config: Config = None, set_: Set = []) -> None:  # noqa: B006
    """Say whether the configuration is valid; exit code 2 if not."""
    from jobs.configuration.load import load_settings

    load_settings(config, set_)
    typer.echo("The configuration is valid.")


@config_app.command()
def show(config: Config = None, set_: Set = []) -> None:  # noqa: B006
    """Print the configuration that applies, from all sources, secrets hidden."""
    import yaml

    from jobs.configuration.load import load_settings

    typer.echo(yaml.safe_dump(load_settings(config, set_).redacted(), sort_keys=False), nl=False)


@config_app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration file, for editors and checks."""
    from streaming.settings import Settings

    typer.echo(json.dumps(Settings.model_json_schema(), indent=2))
