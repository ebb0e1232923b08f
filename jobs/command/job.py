"""``penstock stop``, ``resume`` and ``hold``: what an operator asks of a running job."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.command.options import RUN, Config, Set, examples

app = typer.Typer()

Url = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Ask the job at this address. The default is made of http.host and http.port."),
]


@app.command(rich_help_panel=RUN, epilog=examples("penstock stop -c penstock.yaml"))
def stop(config: Config = None, set_: Set = [], url: Url = None) -> None:
    """Let the running job finish its batch and end. The command returns when it has."""
    from jobs.verbs.job.run import stop as run

    run(config, set_, url)
    typer.echo("The job has stopped.")


@app.command(rich_help_panel=RUN, epilog=examples("penstock resume -c penstock.yaml"))
def resume(config: Config = None, set_: Set = [], url: Url = None) -> None:
    """Let a job continue that the circuit breaker has paused."""
    from jobs.verbs.job.run import resume as run

    typer.echo(run(config, set_, url))


@app.command(rich_help_panel=RUN, epilog=examples("penstock hold -c penstock.yaml 4 --reason 'wrong training data'"))
def hold(
    version: Annotated[int, typer.Argument(min=1, metavar="VERSION", help="Hold the version with this number.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Record why, for those who read the audit.")],
    config: Config = None,
    set_: Set = [],
    url: Url = None,
) -> None:
    """Keep a version from being served from now on. A version that serves stays until the next swap."""
    from jobs.verbs.job.run import hold as run

    typer.echo(run(config, set_, url, version, reason))
