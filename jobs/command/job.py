"""``penstock stop``, ``resume`` and ``hold``: what an operator asks of a running job."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from jobs.command.options import Config, Set

app = typer.Typer()

Url = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="The job's endpoint; without it, http.host and http.port say.", metavar="URL"),
]


@app.command()
def stop(config: Config = None, set_: Set = [], url: Url = None) -> None:  # noqa: B006
    """Let the running job finish its batch and end; returns when it has."""
    from jobs.verbs.job.run import stop as run

    run(config, set_, url)
    typer.echo("The job has stopped.")


@app.command()
def resume(config: Config = None, set_: Set = [], url: Url = None) -> None:  # noqa: B006
    """Let a job go on that the circuit breaker has paused."""
    from jobs.verbs.job.run import resume as run

    typer.echo(run(config, set_, url))


@app.command()
def hold(
    version: Annotated[int, typer.Argument(min=1, help="The version's number.")],
    reason: Annotated[str, typer.Option(help="Why; for those who read the audit.")],
    config: Config = None,
    set_: Set = [],  # noqa: B006
    url: Url = None,
) -> None:
    """Keep a version from being served from now on; one that serves stays until the next swap."""
    from jobs.verbs.job.run import hold as run

    typer.echo(run(config, [*set_], url, (version, reason)))
