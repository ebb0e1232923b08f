"""Which arm of a rollout an event belongs to: always the same one for the same key, in any process and language.

The point of an event is the first four bytes, as a big-endian number, of SHA-256 over the salt in UTF-8, a zero byte,
and the event's identity: its Kafka key, or its id in UTF-8 where the key is null. The arm is that of the point's
interval. SHA-256 is in the standard library of every language that subscribers use, and other salts give assignments
that are independent of each other. ``schemas/contracts/rollout_assignment.json`` has examples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streaming.errors import ConfigurationError, DataError
from streaming.rollout.intervals import ArmIntervals

Points = npt.NDArray[np.uint32]
ArmNumbers = npt.NDArray[np.int8]
_WORDS = hashlib.sha256().digest_size // 4


@dataclass(frozen=True)
class ArmAssignment:
    """The salt of a rollout, which stays while it lasts and when it is started again, and the intervals of a step.

    >>> intervals = ArmIntervals(("candidate", "champion"), (2**31, 2**32))
    >>> ArmAssignment("flights-7", intervals).arm_of(b"N710EV", "2013-03-31-EV-5038-LGA")
    'candidate'

    Raises:
        ConfigurationError: the salt is empty or has a zero character.
    """

    salt: str
    intervals: ArmIntervals

    def __post_init__(self) -> None:
        """Refuse a salt whose end could be taken for part of a key."""
        _prefix(self.salt)

    @property
    def prefix(self) -> bytes:
        """What is hashed in front of each event's identity."""
        return _prefix(self.salt)

    def arm_of(self, key: bytes | None, event_id: str) -> str:
        """Return the arm of one event."""
        return self.intervals.arm_at(point_of(self.salt, key, event_id))

    def arms_of(self, keys: pa.Array | pa.ChunkedArray, event_ids: pa.Array | pa.ChunkedArray) -> pa.DictionaryArray:
        """Return the arm of each event of a batch, as :meth:`arm_of` does, as a dictionary array of strings.

        Args:
            keys: the Kafka keys, binary or strings, null where an event has none.
            event_ids: the events' ids, strings, as many as keys.

        Raises:
            DataError: an event has neither key nor id, or there are not as many of either.
        """
        # The last end is 2^32, one more than uint32 holds.
        ends = np.array(self.intervals.ends, np.uint64)
        which = np.searchsorted(ends, points_of(self.salt, keys, event_ids).astype(np.uint64), side="right")
        names = list(dict.fromkeys(self.intervals.arms))
        arms = np.array([names.index(arm) for arm in self.intervals.arms], np.int32)
        return pa.DictionaryArray.from_arrays(pa.array(arms[which]), pa.array(names, pa.string()))

    def numbers_of(self, arms: Sequence[str], keys: pa.Array, event_ids: pa.Array) -> ArmNumbers:
        """Return the position in ``arms`` of each event's arm, as :func:`streaming.rollout.frames.arm_number` does.

        Args:
            arms: the arms' names, among them all that the assignment names.
            keys: as :meth:`arms_of` takes them.
            event_ids: likewise, but also null for an event without a key, which then is of the first arm.
        """
        nameless = pc.and_(keys.is_null(), event_ids.is_null())
        named = self.arms_of(keys, pc.if_else(nameless, "", event_ids))
        positions = np.array([arms.index(arm) for arm in named.dictionary.to_pylist()], np.int8)
        numbers: ArmNumbers = positions[named.indices.to_numpy()]
        numbers[nameless.to_numpy(zero_copy_only=False)] = 0
        return numbers


def point_of(salt: str, key: bytes | None, event_id: str) -> int:
    """Return the point of one event, from 0 to before 2^32.

    Raises:
        ConfigurationError: the salt is empty or has a zero character.
    """
    identity = event_id.encode() if key is None else key
    return int.from_bytes(hashlib.sha256(_prefix(salt) + identity).digest()[:4], "big")


def points_of(salt: str, keys: pa.Array | pa.ChunkedArray, event_ids: pa.Array | pa.ChunkedArray) -> Points:
    """Return the point of each event, as :func:`point_of` does; a key that comes again is hashed once.

    Raises:
        ConfigurationError: the salt is empty or has a zero character.
        DataError: an event has neither key nor id, or there are not as many of either.
    """
    if len(keys) != len(event_ids):
        raise DataError(f"{len(keys)} keys came with {len(event_ids)} event ids; give one of each for every event")
    identities = pc.coalesce(keys.cast(pa.binary()), event_ids.cast(pa.binary()))
    if identities.null_count:
        row = pc.index(identities.is_null(), True).as_py()
        raise DataError(f"row {row} of a batch has neither key nor event id; send such an event to the dead letters")
    if isinstance(identities, pa.ChunkedArray):
        identities = identities.combine_chunks()
    distinct = identities.dictionary_encode()
    which: npt.NDArray[np.int32] = distinct.indices.to_numpy()
    return _hashed(_prefix(salt), distinct.dictionary.to_pylist())[which]


def _hashed(prefix: bytes, identities: list[bytes]) -> Points:
    sha256 = hashlib.sha256
    digests = b"".join([sha256(prefix + identity).digest() for identity in identities])
    # One conversion for all digests; the first of each digest's eight words is its point.
    return np.frombuffer(digests, ">u4")[::_WORDS].astype(np.uint32)


def _prefix(salt: str) -> bytes:
    if not salt or "\0" in salt:
        raise ConfigurationError(f"a rollout's salt is text without zero characters and not empty, unlike {salt!r}")
    return salt.encode() + b"\0"
