"""``make field``: run the field cases and print one line each; the exit code is 1 if one is not as it should be.

python -m tests.field              # all
python -m tests.field csv drift    # those whose name or behaviour holds one of the words
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.field import files, settings, streams
from tests.field.rig import Case, Rig, a_rig

ALL = (*settings.CASES.all, *files.CASES.all, *streams.CASES.all)


def run(case: Case, rig: Rig) -> bool:
    """Run a case and print its line; return whether it is as it should be."""
    started = time.monotonic()
    try:
        outcome, good = str(case.run(rig)), True
    except Exception as error:
        outcome, good = f"{type(error).__name__}: {' '.join(str(error).split())[:900]}", False
    seconds = time.monotonic() - started
    print(f"{'ok  ' if good else 'FAIL'} {case.name}: {case.behaviour} [{seconds:.0f} s] {outcome}", flush=True)
    return good


def main(arguments: Sequence[str]) -> int:
    """Run the cases that the arguments name."""
    chosen = [
        case for case in ALL if not arguments or any(word in f"{case.name} {case.behaviour}" for word in arguments)
    ]
    if not chosen:
        print(f"No case is called {' or '.join(arguments)}.")
        return 2
    with tempfile.TemporaryDirectory(prefix="penstock-field-") as folder, a_rig(Path(folder)) as rig:
        good = [run(case, rig) for case in chosen]
    print(f"{sum(good)} passed, {len(good) - sum(good)} failed")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
