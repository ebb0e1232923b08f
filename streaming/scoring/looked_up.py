"""Versions that score events whose columns are looked up: loaded as any other, then given the lookup, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from streaming.errors import CandidateRefusedError
from streaming.models.package import ModelPackage
from streaming.models.seams import ColumnLookup
from streaming.models.served import PipelineLoader, ServedModel
from streaming.models.signature import Signature
from streaming.refusal_codes import RefusalCode
from streaming.scoring.row_pass import JsonRowPass


@dataclass(frozen=True)
class LookupLoader:
    """A :class:`streaming.models.served.PipelineLoader` on top of another one.

    Attributes:
        loader: loads the version.
        lookup: gives events the columns of ``types``, MLflow's name of a type by the column's name.
    """

    loader: PipelineLoader
    lookup: ColumnLookup
    types: Mapping[str, str]

    def load(self, package: ModelPackage, uri: str) -> ServedModel:
        """Load the version; see :meth:`streaming.models.served.PipelineLoader.load`."""
        self._check(package.signature)
        served = self.loader.load(package, uri)
        if not isinstance(served.row_pass, JsonRowPass):
            served.scorer.release()
            raise CandidateRefusedError(
                RefusalCode.NOT_COMPILED,
                "the job looks columns up (lookup.columns), which needs a compiled form or a model of another library;"
                f" this version is scored by Spark: {served.choice.why}",
            )
        return replace(served, row_pass=replace(served.row_pass, lookup=self.lookup))

    def _check(self, signature: Signature) -> None:
        columns = {column.name: column for column in signature.columns}
        wrong = [
            f"{name} is {columns[name].kind} in the signature and {kind} in lookup.columns"
            for name, kind in self.types.items()
            if name in columns and columns[name].kind != kind
        ]
        if wrong:
            raise CandidateRefusedError(
                RefusalCode.SIGNATURE_MISMATCH, f"{'; '.join(wrong)}; log the version with these types, or change them"
            )
