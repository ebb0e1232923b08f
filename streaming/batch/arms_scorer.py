"""Units scored by both versions of a rollout's step: each row by the version of its arm, into the same folders.

One version after the other reads the files and scores its own rows, because each reads them by its own signature.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from streaming.batch.columns import BatchStamp
from streaming.batch.counts import BatchCounts
from streaming.batch.plan import Unit
from streaming.batch.scorer import UnitScorer
from streaming.batch.staging import REJECTED, SCORED


@dataclass(frozen=True)
class ArmsUnitScorer:
    """Implements :class:`streaming.batch.run.ScoresUnits` by the scorers of the arms, the champion's first."""

    scorers: tuple[UnitScorer, ...]

    def score(self, unit: Unit, folder: Path, stamp: BatchStamp) -> BatchCounts:
        """Write each arm's rows; raises as :meth:`UnitScorer.score`."""
        counts = [_scored(scorer, unit, folder / str(number), stamp) for number, scorer in enumerate(self.scorers)]
        # Each arm has counted all rows of the files.
        together = replace(sum(counts, BatchCounts()), rows=counts[0].rows)
        for number in range(len(self.scorers)):
            for kind in (SCORED, REJECTED):
                _merge(folder / str(number) / kind, folder / kind)
            shutil.rmtree(folder / str(number))
        return together


def _scored(scorer: UnitScorer, unit: Unit, folder: Path, stamp: BatchStamp) -> BatchCounts:
    folder.mkdir()
    return scorer.score(unit, folder, replace(stamp, version=scorer.model.version))


def _merge(source: Path, target: Path) -> None:
    """Move the files of a folder into another one, whose names Spark has made unlike."""
    for path in [path for path in source.rglob("*") if path.is_file()]:
        moved = target / path.relative_to(source)
        moved.parent.mkdir(parents=True, exist_ok=True)
        path.rename(moved)
