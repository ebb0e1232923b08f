"""``penstock shadow``: its verb, importing the work only when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.command.options import Config, Json, Set, examples
from jobs.terminal.json_output import JsonOutput

app = typer.Typer(help="Score a rollout's events by the version that did not answer them, too.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Score a rollout's events by the version that did not answer them, too."""


@app.command(
    epilog=examples(
        "penstock shadow run -c penstock.yaml",
        "penstock shadow run -c penstock.yaml --once --json -",
    )
)
def run(
    config: Config = None,
    set_: Set = [],
    once: Annotated[bool, typer.Option("--once", help="End where the topics end now.")] = False,
    json: Json = None,
) -> None:
    """Pair each prediction of a rollout with the other version's answer, on a topic of its own, until stopped.

    The exit code is 1 if a version was refused.
    """
    from jobs.verbs.shadow.run import shadow

    output = JsonOutput(json)
    summary = shadow(config, set_, once=once)
    output.write(summary)
    if not output.replaces_text and summary:
        from jobs.verbs.shadow.display import show_shadow

        show_shadow(summary)
    if summary.get("refused"):
        raise typer.Exit(1)
