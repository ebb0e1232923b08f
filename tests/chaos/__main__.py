"""``python -m tests.chaos``: run seeds one after the other, say what each did, and fail if a promise was broken."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from jobs.demo.rig import interrupted_once
from jobs.process.quiet import stderr_to
from streaming.accounting.check import STRANGE
from tests.chaos import summary
from tests.chaos.drivers import can_bound_a_disk
from tests.chaos.rig import Rig, rig
from tests.chaos.schedule import HANDS, Kind, Schedule, schedule
from tests.chaos.trial import Verdict, run
from tests.support.commands import ROOT

BUILD = ROOT / "build" / "chaos"


def main(
    seeds: Annotated[int, typer.Option(help="How many seeds.")] = HANDS,
    first: Annotated[int, typer.Option(help="The first of them.")] = 1,
    only: Annotated[list[int], typer.Option(help="Run this seed instead; may be repeated.")] = [],  # noqa: B006
    rollout: Annotated[bool, typer.Option("--rollout", help="Give each seed a rollout, not every fourth.")] = False,
    build: Annotated[Path, typer.Option(help="Where the results go.")] = BUILD,
) -> None:
    """Run the seeds; exit code 1 if anything was lost, doubled, mixed or out of order, or if the run does not count."""
    console = Console(highlight=False, soft_wrap=True)
    build, chosen = build.resolve(), only or list(range(first, first + seeds))
    os.environ["PYSPARK_PYTHON"] = sys.executable
    plans = [schedule(seed, with_rollout=rollout or None) for seed in chosen]
    if any(plan.has(Kind.DISK_FULL) for plan in plans) and not can_bound_a_disk():
        console.print("A full disk cannot be made here: `unshare -Urm` may not mount. See docs/chaos.md.")
        raise typer.Exit(1)
    verdicts: list[Verdict] = []
    fresh_folder(build)
    # The clients' complaints about a broker that is being killed; what counts is on standard output.
    with interrupted_once(console.print), stderr_to(build / "noise.log"), rig(build, console.print) as shared:
        for plan in plans:
            verdicts.append(_shown(shared, plan, plans, console))
            summary.append(build / "seeds.jsonl", verdicts[-1])
            summary.write(build / "summary.json", verdicts)
    sys.exit(_report(verdicts, build, console))


def fresh_folder(build: Path) -> None:
    """Forget the last run."""
    shutil.rmtree(build, ignore_errors=True)
    build.mkdir(parents=True)


def _shown(shared: Rig, plan: Schedule, of: list[Schedule], console: Console) -> Verdict:
    seed = plan.seed
    columns = (SpinnerColumn(), TextColumn("seed {task.fields[seed]}: {task.description}"), BarColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task("", total=len(of), completed=of.index(plan), seed=seed)
        verdict = run(shared, plan, lambda text: progress.update(task, description=text))
    reported = summary.line(verdict)
    colour = "green" if verdict.clean else "red"
    counts = ", ".join(
        f"{reported[what]} {what}" for what in ("kills", "events", "candidates", "skipped", "fenced", "aborted")
    )
    wrong = ", ".join(f"{reported[what]} {what}" for what in (*summary.WRONG, STRANGE) if reported[what]) or "exact"
    console.print(f"[{colour}]seed {seed:3}[/] {verdict.seconds:4.0f} s  {escape(verdict.failure) or wrong}  {counts}")
    console.print(f"          {verdict.story}", style="dim")
    if verdict.clean:  # its records lie on the topics; its logs tell nothing any more
        shutil.rmtree(shared.folder / str(seed))
    return verdict


def _report(verdicts: list[Verdict], build: Path, console: Console) -> int:
    for verdict in verdicts:
        if not verdict.clean:
            console.print(f"[red]seed {verdict.seed} broke a promise[/]; its logs: {build / str(verdict.seed)}")
            for what, examples in verdict.findings.examples.items():
                console.print(f"  {what}: {'; '.join(examples)}", markup=False)
            console.print(f"  again: make chaos FIRST={verdict.seed} SEEDS=1{_with_rollout(verdict)}")
    for lack in summary.shortcomings(verdicts):
        console.print(f"[red]the run does not count:[/] {lack}")
    console.print(f"The numbers are in {build / 'summary.json'}.")
    return int(not all(verdict.clean for verdict in verdicts) or bool(summary.shortcomings(verdicts)))


def _with_rollout(verdict: Verdict) -> str:
    return " ROLLOUT=1" if verdict.tally.kinds[Kind.ROLLOUT_BEGINS] else ""


if __name__ == "__main__":
    typer.run(main)
