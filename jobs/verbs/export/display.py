"""What ``penstock export`` shows: a line for each variant, and why others are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from jobs.terminal.json_output import JsonOutput
from jobs.verbs.export.options import ExportOptions

if TYPE_CHECKING:
    from streaming.export.agreement import Agreement
    from streaming.export.exporting import Export


def show(made: Export, options: ExportOptions, output: JsonOutput) -> None:
    """Print what was exported, or write the report as JSON."""
    output.write({"folder": str(options.out), **made.report()})
    if output.replaces_text:
        return
    console = Console()
    version = made.package.version
    console.print(Text(f"{version.name} v{version.version} is in {options.out}"), soft_wrap=True)
    console.print(_variants(made))
    for precision, why in made.left_out.items():
        console.print(Text(f"no {precision}: {why}"), soft_wrap=True)
    console.print(Text(f"try it: python {options.out / 'example.py'}"), soft_wrap=True)


def _variants(made: Export) -> Table:
    titles = ("bytes", "µs/row, 1", "1,000 rows", "likely differ", "edges differ", "at most")
    table = Table("variant", *(Column(title, justify="right") for title in titles), box=None)
    for variant in made.variants:
        times = (f"{time:,.2f}" for time in variant.microseconds.values())
        largest = f"{variant.likely.largest:.1e}"
        agreements = (_differing(variant.likely), _differing(variant.edges))
        table.add_row(variant.precision, f"{variant.size:,}", *times, *agreements, largest)
    return table


def _differing(agreement: Agreement) -> str:
    return f"{agreement.mismatches:,}/{agreement.events:,}"
