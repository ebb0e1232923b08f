"""``penstock config``: its verbs, each importing its work only when it runs."""

from __future__ import annotations

import json

import typer

from jobs.command.options import Config, Set, examples

app = typer.Typer(help="Check, show and describe the configuration.", no_args_is_help=True)


@app.command(epilog=examples("penstock config validate -c penstock.yaml"))
def validate(config: Config = None, set_: Set = []) -> None:
    """Check the configuration. The exit code is 2 if it is not valid."""
    from jobs.configuration.load import load_settings

    load_settings(config, set_)
    typer.echo("The configuration is valid.")


@app.command(
    epilog=examples(
        "penstock config show -c penstock.yaml",
        "penstock config show -c penstock.yaml --set engine.kind=live",
    )
)
def show(config: Config = None, set_: Set = []) -> None:
    """Print the configuration that results from all sources, with secrets hidden."""
    import yaml

    from jobs.configuration.load import load_settings

    typer.echo(yaml.safe_dump(load_settings(config, set_).redacted(), sort_keys=False), nl=False)


@app.command(epilog=examples("penstock config schema > penstock.schema.json"))
def schema() -> None:
    """Print the JSON Schema of the configuration file, for editors and checks."""
    from streaming.settings import Settings

    typer.echo(json.dumps(Settings.model_json_schema(), indent=2))
