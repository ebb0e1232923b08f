"""The ``penstock`` command: one function per verb, each importing its work only when it runs.

``penstock --help`` must not wait for Spark or MLflow, so nothing below imports them at the top.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from jobs.command.batch import app as batch_app
from jobs.command.config import app as config_app
from jobs.command.dlq import app as dlq_app
from jobs.command.drift import app as drift_app
from jobs.command.export import app as export_app
from jobs.command.fallback import app as fallback_app
from jobs.command.job import app as job_app
from jobs.command.ledger import app as ledger_app
from jobs.command.local import app as local_app
from jobs.command.options import LOOK, PROVE, RUN, Config, Set, examples
from jobs.command.quality import app as quality_app
from jobs.command.replay import app as replay_app
from jobs.command.rollout import app as rollout_app
from jobs.command.serve import app as serve_app
from jobs.command.shadow import app as shadow_app
from jobs.command.spellings import current
from jobs.process.ending import ending
from jobs.process.stopping import ending_in_order
from jobs.process.traces import redact_traces
from streaming.redaction import redact
from streaming.version import __version__

VERBS = (
    "train", "score", "serve", "batch", "export", "stop", "resume", "hold",
    "topics", "config", "ledger", "dlq", "drift", "quality",
    "record", "replay", "rollout", "shadow", "fallback",
    "demo", "demo-rollout", "setup", "up", "down",
)  # fmt: skip
"""The verbs in the order of ``penstock --help``, group by group; others follow."""


class _InOrder(TyperGroup):
    """Lists the verbs as ``VERBS`` has them, whichever module declares them."""

    def list_commands(self, ctx: Any) -> list[str]:
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: VERBS.index(name) if name in VERBS else len(VERBS))


app = typer.Typer(
    cls=_InOrder,
    help="Score a Kafka stream with a model from the MLflow registry, and swap the model while the stream runs.",
    epilog=examples(
        "penstock demo",
        "penstock score -c penstock.yaml",
        "penstock replay --help",
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(config_app, name="config", rich_help_panel=LOOK)
app.add_typer(local_app)
app.add_typer(job_app)
app.add_typer(replay_app)
app.add_typer(serve_app)
app.add_typer(batch_app)
app.add_typer(export_app)
app.add_typer(dlq_app, name="dlq", rich_help_panel=LOOK)
app.add_typer(drift_app, name="drift", rich_help_panel=LOOK)
app.add_typer(quality_app, name="quality", rich_help_panel=LOOK)
app.add_typer(ledger_app, name="ledger", rich_help_panel=LOOK)
app.add_typer(rollout_app, name="rollout", rich_help_panel=PROVE)
app.add_typer(fallback_app, name="fallback", rich_help_panel=PROVE)
app.add_typer(shadow_app, name="shadow", rich_help_panel=PROVE)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; an error becomes one message and its exit code, see :func:`jobs.process.ending.ending`.

    Args:
        arguments: the verb and its options; the default is this process's own.
    """
    redact_traces()
    try:
        with ending_in_order():
            app(args=current(sys.argv[1:] if arguments is None else arguments), prog_name="penstock")
    except Exception as error:
        _fail(*ending(error))
    # Without a message or a trace: the person who pressed Ctrl-C knows.
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


@app.command(
    rich_help_panel=RUN,
    epilog=examples(
        "penstock train -c penstock.yaml --to 2013-02-01 --alias champion",
        "penstock train -c penstock.yaml --from 2013-02-01 --to 2013-03-01",
    ),
)
def train(
    config: Config = None,
    set_: Set = [],
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Learn from rows of this day or later, ISO 8601.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Learn from rows before this day, ISO 8601.")
    ] = None,
    algorithm: Annotated[
        str | None, typer.Option(metavar="NAME", help="Fit this algorithm. The default is train.algorithm.")
    ] = None,
    alias: Annotated[str | None, typer.Option(metavar="ALIAS", help="Point this alias at the new version.")] = None,
    stage: Annotated[
        str | None, typer.Option(metavar="STAGE", help="Put the new version into this stage of the registry.")
    ] = None,
) -> None:
    """Train a model, log it to MLflow and register it."""
    from jobs.verbs.train.run import train as run

    options = {"from_time": since, "to_time": until, "algorithm": algorithm, "alias": alias, "stage": stage}
    overrides = [f"train.{key}={value}" for key, value in options.items() if value is not None]
    run(config, [*set_, *overrides])


@app.command(
    rich_help_panel=RUN,
    epilog=examples(
        "penstock score -c penstock.yaml",
        "penstock score -c penstock.yaml --set engine.kind=live",
    ),
)
def score(
    config: Config = None,
    set_: Set = [],
    on_gap: Annotated[
        str | None,
        typer.Option(
            metavar="fail|skip",
            help="Fail if Kafka deleted records before they were scored, or skip them. The default is input.on_gap.",
        ),
    ] = None,
) -> None:
    """Score the stream until stopped."""
    from jobs.verbs.score.run import score as run

    run(config, [*set_, *([f"input.on_gap={on_gap}"] if on_gap else [])])


@app.command(
    rich_help_panel=LOOK,
    epilog=examples("penstock topics -c penstock.yaml", "penstock topics -c penstock.yaml --create --partitions 12"),
)
def topics(
    config: Config = None,
    set_: Set = [],
    create: Annotated[bool, typer.Option("--create", help="Create the topics that are missing.")] = False,
    partitions: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Create the input topic, if it is missing, with this many partitions."),
    ] = 4,
) -> None:
    """Show the topics that the job reads and writes, and which of them are missing."""
    from jobs.verbs.topics.run import topics as run

    run(config, set_, partitions if create else None)
