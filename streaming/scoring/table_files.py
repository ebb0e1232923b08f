"""Versions and tables of many models as files for the workers: made by the driver, removed when nobody needs them."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pyspark.sql import DataFrame

from streaming.errors import CandidateRefusedError, ScoringError
from streaming.events.decode import JsonDecoder
from streaming.models.cache import Download
from streaming.models.candidate import Preparation
from streaming.models.locks import FileLock, OwnFolder, sweep
from streaming.models.many_ports import MadeVersion
from streaming.models.package import ModelPackage
from streaming.models.ref import ModelKey, ModelVersion, safe_folder
from streaming.models.seams import Features
from streaming.models.served import ScorerChoice, ServedModel
from streaming.models.signature import Signature
from streaming.models.table import ModelTable, ProgramLimits, TableRow
from streaming.refusal_codes import RefusalCode
from streaming.scoring.model_files import ModelProgram, write_file
from streaming.scoring.routed_pass import RoutedPass
from streaming.scoring.row_pass import JsonRowPass
from streaming.settings import EventSettings

_FOLDER = "programs"


@dataclass(frozen=True)
class TableScorer:
    """What stands where a version has its scorer in frames: a table has none, and is scored by its row pass alone."""

    forget: Callable[[], None]
    is_proven: bool = True

    def score(self, events: DataFrame) -> NoReturn:
        """Refuse events that are read already: which model they are for is not known of them."""
        raise ScoringError(f"{events} cannot be scored by a table of models, which reads the records themselves")

    def tried(self, features: Features) -> NoReturn:
        """Refuse, as :meth:`score`."""
        raise ScoringError(
            f"{dict(features)} cannot be scored by a table of models, which reads the records themselves"
        )

    def release(self) -> None:
        """Remove the table's files that no other table needs."""
        self.forget()


class TableFiles:
    """A folder of one process, of programs and tables; safe from every thread. It is removed by :meth:`close`."""

    def __init__(self, home: Path, preparation: Preparation, envelope: EventSettings, max_value_bytes: int) -> None:
        """Make the folder below ``home``, and remove those of processes that were killed.

        Args:
            home: where workers can read it: this machine's disk, or a folder that all machines share.
            preparation: the checks that every version goes through.
            envelope: how the job's events are read; ``max_value_bytes`` bounds them.
            max_value_bytes: see there.
        """
        self._preparation = preparation
        self._envelope = envelope
        self._bytes = max_value_bytes
        folders = home / _FOLDER
        folders.mkdir(parents=True, exist_ok=True)
        with FileLock.exclusive(folders / "lock"):
            sweep(folders)
            self._own = OwnFolder.within(folders)
        self._folder = self._own.path
        self._guard = threading.Lock()
        self._numbers = itertools.count()
        self._used: Counter[str] = Counter()

    def prepare(self, version: ModelVersion, download: Download) -> MadeVersion:
        """Check a version and write its program; the row may be put into a table.

        Raises:
            CandidateRefusedError: a check failed, or the version has no compiled form.
            UpstreamError: the registry did not answer.
        """
        return self._written(self._preparation.prepare(version, download))

    def recall(self, key: ModelKey, digest: str) -> MadeVersion | None:
        """Do the same from the cache alone; ``None`` if the version is not there."""
        served = self._preparation.recall(key, digest)
        return self._written(served) if served else None

    def served(self, table: ModelTable, limits: ProgramLimits) -> ServedModel:
        """Return a table as what the slot holds, its file written; releasing it removes what no other table needs."""
        path = self._folder / f"{table.number}-{table.digest[:12]}.table"
        write_file(path, table)
        # Counted before the table can be swapped in: the one before may be released at once.
        with self._guard:
            self._used.update(row.program for row in table.rows if row.is_loaded)
        loaded = [row for row in table.rows if row.is_loaded]
        signature = loaded[0].signature if loaded else Signature(())
        package = ModelPackage(table.version, self._folder, self._folder, table.digest, signature)
        return ServedModel(
            package=package,
            decoder=JsonDecoder(signature, self._envelope, self._bytes, {}),
            scorer=TableScorer(lambda: self._forget(path, table)),
            row_pass=RoutedPass(path, limits, self._envelope, self._bytes),
            choice=ScorerChoice("compiled", f"{len(loaded)} of {len(table.rows)} models are loaded"),
        )

    def close(self) -> None:
        """Remove everything."""
        self._own.remove()

    def _written(self, served: ServedModel) -> MadeVersion:
        package, row_pass = served.package, served.row_pass
        # The program has all that scores; the version's own files may go when the cache wants their place.
        self._preparation.cache.release(package.root)
        if not isinstance(row_pass, JsonRowPass):
            raise CandidateRefusedError(
                RefusalCode.NOT_COMPILED,
                f"a job with many models scores by compiled forms alone, and this one has none: {served.choice.why}",
            )
        # Each has a name of its own: an older one of the same version may just be on its way out.
        name = f"{safe_folder(package.version.name)}-{package.version.version}-{next(self._numbers)}.program"
        write_file(self._folder / name, ModelProgram(row_pass.guards, row_pass.scorer, package.profile))
        return MadeVersion(served, TableRow(package.version, package.digest, name, package.signature))

    def _forget(self, path: Path, table: ModelTable) -> None:
        path.unlink(missing_ok=True)
        with self._guard:
            programs = [row.program for row in table.rows if row.is_loaded]
            self._used.subtract(programs)
            unused = [program for program in programs if self._used[program] <= 0]
            for program in unused:
                del self._used[program]
                (self._folder / program).unlink(missing_ok=True)
