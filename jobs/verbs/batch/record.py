"""The record of a finished batch: its MLflow run, and the report beside the published files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from streaming.adapters.mlflow.tracking import MlflowTracker
from streaming.batch.counts import BatchCounts
from streaming.batch.plan import BatchPlan
from streaming.batch.staging import Staging
from streaming.clock import isoformat, system_clock
from streaming.models.served import ScorerChoice

BATCH_TAG = "penstock.batch.id"


@dataclass(frozen=True)
class BatchRecord:
    """The facts of a batch whose units are all finished. ``scorer`` is what scored; ``quantiles`` are of the scores."""

    plan: BatchPlan
    source: str
    scorer: ScorerChoice
    counts: BatchCounts
    quantiles: Mapping[str, float]

    def log(self, tracker: MlflowTracker, experiment: str, staging: Staging) -> str:
        """Log it to MLflow, unless an earlier attempt did; return the run's id.

        Raises:
            RegistryUnavailableError: the server does not answer. Nothing is lost: the same command tries again.
        """
        # A run that was killed between recording and publishing must not make a second MLflow run.
        earlier = staging.recorded()
        if earlier is not None:
            return earlier
        with tracker.run(experiment, f"{self.plan.model}-{self.plan.batch}") as run:
            run.log(self._params(), self._metrics(), {BATCH_TAG: self.plan.batch})
        staging.record(run.run_id)
        return run.run_id

    def report(self, run_id: str) -> dict[str, Any]:
        """Return the report that is published beside the files."""
        counts = self.counts
        return {
            "batch": self.plan.batch,
            "model": self.plan.model,
            "version": self.plan.version,
            "run_id": run_id,
            "scorer": self.scorer.kind,
            "input": self.source,
            "input_digest": f"sha256:{self.plan.input_digest}",
            "files": len(self.plan.files),
            "rows": counts.rows,
            "scored": counts.scored,
            "rejected": dict(counts.rejected),
            "score_quantiles": dict(self.quantiles),
            **self._rollout(),
            "seconds": round(counts.seconds, 3),
            "published_at": isoformat(system_clock()),
        }

    def _rollout(self) -> dict[str, object]:
        """Return the step by whose arms the rows were scored, and its versions, where there is one."""
        split = self.plan.options.get("rollout")
        if split is None:
            return {}
        return {name: split[name] for name in ("rollout", "weight_epoch", "versions")}

    def _params(self) -> dict[str, object]:
        plan = self.plan
        size = sum(file.bytes for file in plan.files)
        return {
            "model": plan.model,
            "version": plan.version,
            "model_digest": plan.model_digest,
            "scorer": self.scorer.kind,
            "input": self.source,
            "input_digest": f"sha256:{plan.input_digest}",
            "input_files": len(plan.files),
            "input_bytes": size,
            "format": plan.options["--format"],
            **self._rollout(),
        }

    def _metrics(self) -> dict[str, float]:
        counts = self.counts
        return {
            "rows": counts.rows,
            "scored": counts.scored,
            "rejected": counts.all_rejected,
            **{f"rejected.{reason}": count for reason, count in counts.rejected.items()},
            "duration_seconds": counts.seconds,
            "rows_per_second": counts.rate,
            **{f"score_{name}": value for name, value in self.quantiles.items()},
        }
