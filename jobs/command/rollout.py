"""``penstock rollout``: its verbs, each importing its work only when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.command.options import Config, Html, Json, RepairDryRun, Set, examples
from jobs.terminal.json_output import JsonOutput

app = typer.Typer(
    help="Give a candidate a growing share of the keys beside the version that serves, and take it back.",
    no_args_is_help=True,
)

_SHARE = {"min": 0.0, "max": 1.0, "metavar": "SHARE"}


@app.command(
    epilog=examples(
        "penstock rollout size --error-rate 0.22 --worse-by 0.01 --disagree 0.05",
        "penstock rollout size --error-rate 0.2 --worse-by 0.01 --disagree 0.05 --events-per-day 900 --json -",
    )
)
def size(
    error_rate: Annotated[
        float, typer.Option(**_SHARE, help="Take this as the champion's share of wrong predictions.")
    ],
    worse_by: Annotated[
        float, typer.Option(**_SHARE, help="Find a candidate whose share of wrong predictions is above that by this.")
    ],
    disagree: Annotated[
        float,
        typer.Option(**_SHARE, help="Take this as the share of events on which one of the versions is wrong alone."),
    ],
    share: Annotated[
        float, typer.Option(**_SHARE, help="Give the candidate this share of the events, where each has its own.")
    ] = 0.05,
    alpha: Annotated[
        float, typer.Option(min=0.0, max=0.5, metavar="SHARE", help="Call an equal candidate worse at most so often.")
    ] = 0.01,
    power: Annotated[float, typer.Option(**_SHARE, help="Find a worse candidate at least so often.")] = 0.8,
    events_per_day: Annotated[
        float | None, typer.Option(min=0.0, metavar="N", help="Say how many days that are, with so many labels a day.")
    ] = None,
    day_deviation: Annotated[
        float,
        typer.Option(
            min=0.0, metavar="SHARE", help="Take this as the standard deviation of the difference between days."
        ),
    ] = 0.0,
    json: Json = None,
) -> None:
    """Show how many labelled events a comparison needs, on the same events for both versions and on own ones."""
    from jobs.verbs.rollout.display import show_sizes
    from jobs.verbs.rollout.options import RolloutSizeOptions
    from jobs.verbs.rollout.run import sizes_of
    from streaming.rollout.size import Question

    output = JsonOutput(json)
    question = Question(
        error_rate=error_rate, worse_by=worse_by, disagree=disagree, share=share, alpha=alpha, power=power
    )
    options = RolloutSizeOptions(question, events_per_day, day_deviation)
    comparisons = sizes_of(options)
    output.write(*(comparison.report() for comparison in comparisons))
    if not output.replaces_text:
        show_sizes(comparisons, options)


@app.command(
    epilog=examples("penstock rollout plan --in rollout.yaml -c penstock.yaml", "penstock rollout plan --in -")
)
def plan(
    file: Annotated[
        Path, typer.Option("--in", metavar="FILE", help="Read the steps from this YAML file; - is standard input.")
    ],
    config: Config = None,
    set_: Set = [],
    json: Json = None,
) -> None:
    """Declare a rollout: the candidate, its steps, and what each asks for. It begins when it is started."""
    from jobs.verbs.rollout.plan import declared

    output = JsonOutput(json)
    _show(declared(config, set_, file), output)


@app.command(epilog=examples("penstock rollout start -c penstock.yaml"))
def start(config: Config = None, set_: Set = [], json: Json = None) -> None:
    """Begin the first step of the planned rollout."""
    _order("start", config, set_, json)


@app.command(epilog=examples("penstock rollout pause -c penstock.yaml"))
def pause(config: Config = None, set_: Set = [], json: Json = None) -> None:
    """Stay in the step, with the shares as they are, until the rollout is resumed."""
    _order("pause", config, set_, json)


@app.command(epilog=examples("penstock rollout resume -c penstock.yaml"))
def resume(config: Config = None, set_: Set = [], json: Json = None) -> None:
    """Go on after a pause, or pass a step that waits for somebody."""
    _order("resume", config, set_, json)


@app.command(epilog=examples("penstock rollout promote -c penstock.yaml"))
def promote(config: Config = None, set_: Set = [], json: Json = None) -> None:
    """Make the candidate the champion now; in probation, end the rollout."""
    _order("promote", config, set_, json)


@app.command(epilog=examples("penstock rollout abort -c penstock.yaml"))
def abort(config: Config = None, set_: Set = [], json: Json = None) -> None:
    """Give all keys back to the champion from the next batch on, and end the rollout."""
    _order("abort", config, set_, json)


@app.command(
    epilog=examples(
        "penstock rollout repair -c penstock.yaml --dry-run", "penstock rollout repair flights-8 -c penstock.yaml"
    )
)
def repair(
    rollout: Annotated[
        str | None,
        typer.Argument(metavar="ROLLOUT", help="Repair this rollout, by its name. The default is the latest."),
    ] = None,
    config: Config = None,
    set_: Set = [],
    dry_run: RepairDryRun = False,
    json: Json = None,
) -> None:
    """Score again what a candidate answered before it was taken back, and publish corrections, each once."""
    from jobs.verbs.rollout.display import show_repair
    from jobs.verbs.rollout.options import RolloutRepairOptions
    from jobs.verbs.rollout.repair import repaired

    output = JsonOutput(json)
    result = repaired(config, set_, RolloutRepairOptions(rollout, dry_run))
    output.write(result)
    if not output.replaces_text:
        show_repair(result)


@app.command(
    epilog=examples(
        "penstock rollout report -c penstock.yaml --html rollout.html",
        "penstock rollout report flights-8 -c penstock.yaml --json -",
    )
)
def report(
    rollout: Annotated[
        str | None,
        typer.Argument(metavar="ROLLOUT", help="Report on this rollout, by its name. The default is the latest."),
    ] = None,
    config: Config = None,
    set_: Set = [],
    html: Html = None,
    json: Json = None,
) -> None:
    """Show how both versions compare on labelled events, day by day, and what was done when and why."""
    from jobs.verbs.rollout.display import show_report
    from jobs.verbs.rollout.options import RolloutReportOptions
    from jobs.verbs.rollout.report import reported

    output = JsonOutput(json)
    made = reported(config, set_, RolloutReportOptions(rollout, html))
    if not output.replaces_text:
        show_report(made)
    output.write(made.as_json())
    if html is not None:
        typer.echo(f"Wrote {html}.", err=output.replaces_text)


@app.command(
    epilog=examples(
        "penstock rollout status -c penstock.yaml --watch", "penstock rollout status -c penstock.yaml --json -"
    )
)
def status(
    config: Config = None,
    set_: Set = [],
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it anew every second until the rollout has ended.")
    ] = False,
    json: Json = None,
) -> None:
    """Show where the rollout stands, why it is held, and what comes next."""
    from jobs.verbs.rollout.display import watch_status
    from jobs.verbs.rollout.status import statuses, until_finished

    output = JsonOutput(json)
    with statuses(config, set_) as now:
        if watch and not output.replaces_text:
            watch_status(until_finished(now))
        else:
            _show(now(), output)


@app.command(
    epilog=examples(
        "penstock rollout judge -c penstock.yaml", "penstock rollout judge -c penstock.yaml --once --json -"
    )
)
def judge(
    config: Config = None,
    set_: Set = [],
    once: Annotated[
        bool, typer.Option("--once", help="Look once, write the verdict if it says something new, and end.")
    ] = False,
    json: Json = None,
) -> None:
    """Judge the running rollout by labels, errors and dead letters, until stopped; the job goes by the verdicts.

    With --once the exit code is 1 if there was nothing new to say.
    """
    from jobs.verbs.rollout.judge import judge_once, judge_until_stopped

    output = JsonOutput(json)
    if not once:
        judge_until_stopped(config, set_)
        return
    verdict = judge_once(config, set_)
    if verdict is None:
        raise typer.Exit(1)
    output.write(verdict.to_dict())
    if not output.replaces_text:
        from jobs.verbs.rollout.display import show_verdict

        show_verdict(verdict.to_dict())


def _order(order: str, config: Path | None, overrides: list[str], json: str | None) -> None:
    from jobs.verbs.rollout.order import give

    output = JsonOutput(json)
    _show(give(config, overrides, order), output)


def _show(result: dict[str, object], output: JsonOutput) -> None:
    from jobs.verbs.rollout.display import show_status

    output.write(result)
    if not output.replaces_text:
        show_status(result)
