"""What a saved pipeline's stages say of themselves, read from their files: the guards of a version without Spark."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from streaming.models.seams import Guard
from streaming.models.signature import Signature
from streaming.scoring.compiled.fitted import entry
from streaming.scoring.compiled.saved import SavedStage
from streaming.scoring.guarding import guards_of


def saved_guards(stages: Iterable[SavedStage], signature: Signature) -> tuple[Guard, ...]:
    """Return the guards of stages that have a compiled form: what :func:`streaming.scoring.stages.guards` finds.

    Raises:
        StageUnreadableError: a stage's files are damaged, or laid out in an unknown way.
    """
    return guards_of(map(_SavedFacts, stages), signature)


@dataclass(frozen=True)
class _SavedFacts:
    """The :class:`streaming.scoring.guarding.StageFacts` of a stage's files; building its step has checked them."""

    stage: SavedStage

    @property
    def kind(self) -> str:
        return self.stage.kind.rsplit(".", 1)[-1]

    @property
    def inputs(self) -> list[str]:
        return self._columns("input")

    @property
    def outputs(self) -> list[str]:
        return self._columns("output")

    @property
    def strict(self) -> bool:
        return self.stage.parameters.get("handleInvalid") == "error"

    def labels(self, position: int) -> list[str]:
        labels: list[str] = entry(self.stage, self.stage.row(), "labelsArray")[position]
        return labels

    def category_size(self, position: int) -> float:
        return float(entry(self.stage, self.stage.row(), "categorySizes")[position])

    def splits(self, position: int) -> list[float]:
        stage = self.stage
        return stage.lists("splitsArray")[position] if stage.has("splitsArray") else stage.numbers("splits")

    def categories(self) -> dict[int, list[float]]:
        maps = entry(self.stage, self.stage.row(), "categoryMaps")
        return {int(element): [float(value) for value, _ in values] for element, values in maps}

    def _columns(self, side: str) -> list[str]:
        named = self.stage.has(f"{side}Cols") or self.stage.has(f"{side}Col")
        return self.stage.columns(side) if named else []
