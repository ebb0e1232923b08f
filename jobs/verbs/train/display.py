"""What ``penstock train`` shows at its end."""

from __future__ import annotations

from rich.table import Table

from streaming.settings import Settings
from streaming.training.record import TrainedVersion


def summary(trained: TrainedVersion, settings: Settings) -> Table:
    """Return the table that ends the command."""
    put = [f"alias {settings.train.alias}"] if settings.train.alias else []
    put += [f"stage {settings.train.stage}"] if settings.train.stage else []
    table = Table(title=f"{trained.version}, {', '.join(put) or 'registered, not promoted'}", show_header=False)
    table.add_row("algorithm", settings.train.algorithm.replace("_", " "))
    table.add_row("data", f"{trained.tags['penstock.data.from']} to {trained.tags['penstock.data.to']}")
    table.add_row("rows", f"{int(trained.tags['penstock.data.rows']):,}")
    table.add_row(f"judged on rows from {trained.cut:%Y-%m-%d %H:%M}", "")
    for name, value in trained.metrics.items():
        table.add_row(f"  {name.replace('_', ' ')}", f"{value:.4f}")
    table.add_row("run", trained.version.run_id)
    return table
