"""Files that a version's own description names: they must be the version's own."""

from __future__ import annotations

from pathlib import Path

from streaming.errors import CandidateRefusedError
from streaming.refusal_codes import RefusalCode


def own_file(root: Path, name: object, label: str) -> Path:
    """Return the path of a file or folder below ``root``, which may be missing.

    Args:
        root: the version's folder.
        name: what its MLmodel file says, so anything.
        label: names it in the message.

    Raises:
        CandidateRefusedError: ``MALFORMED``; no name, a name that leads out of the folder, or by a link.
    """
    if not isinstance(name, str) or not name:
        raise malformed(f"MLmodel names no {label}")
    own = root.resolve()
    path = own / name
    if "\0" in name or path.resolve() != path or own not in path.parents:
        raise malformed(f"{label} {name!r} is outside the version's own files, or a link")
    return path


def malformed(detail: str) -> CandidateRefusedError:
    """Return the refusal of a version whose files are not what they should be."""
    return CandidateRefusedError(RefusalCode.MALFORMED, f"{detail}; log the model again")
