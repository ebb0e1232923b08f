"""``penstock fallback``: its verb, which imports its work only when it runs."""

from __future__ import annotations

import typer

from jobs.command.options import Config, Json, RepairDryRun, Set, VersionNumber, examples
from jobs.terminal.json_output import JsonOutput

app = typer.Typer(help="Correct what the fallback chain has answered.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Keep the verb's name: a group of one verb would lose it."""


@app.command(
    epilog=examples("penstock fallback repair -c penstock.yaml --dry-run", "penstock fallback repair -c penstock.yaml")
)
def repair(
    config: Config = None,
    set_: Set = [],
    model_version: VersionNumber = None,
    dry_run: RepairDryRun = False,
    json: Json = None,
) -> None:
    """Score degraded answers' events again with the champion, and publish corrections, each once."""
    from jobs.verbs.fallback.display import show_repair
    from jobs.verbs.fallback.options import FallbackRepairOptions
    from jobs.verbs.fallback.run import repaired

    output = JsonOutput(json)
    result = repaired(config, set_, FallbackRepairOptions(model_version, dry_run))
    output.write(result)
    if not output.replaces_text:
        show_repair(result)
