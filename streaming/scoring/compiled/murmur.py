"""MurmurHash3 of texts as Spark's HashingTF has it, now and before its release 3.0."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

_SEED = 42
_MASK = 0xFFFF_FFFF


def murmur3(text: str) -> int:
    """Return the signed hash of a text's UTF-8 bytes (Appleby's MurmurHash3_x86_32), as Spark has it since 3.0."""
    data = text.encode()
    tail = data[len(data) & ~3 :]
    return _finished(_blocks(data), [int.from_bytes(tail, "little")] if tail else [], len(data))


def murmur3_before_3(text: str) -> int:
    """Return the hash of Spark before 3.0: each byte of the rest is a block of its own, with its sign."""
    data = text.encode()
    tail = struct.unpack(f"{len(data) % 4}b", data[len(data) & ~3 :])
    return _finished([*_blocks(data), *(byte & _MASK for byte in tail)], [], len(data))


def _blocks(data: bytes) -> Iterable[int]:
    count = len(data) // 4
    blocks: Iterator[int] = iter(struct.unpack(f"<{count}I", data[: count * 4]))
    return blocks


def _finished(blocks: Iterable[int], tail: list[int], length: int) -> int:
    state = _SEED
    for block in blocks:
        state = _rotated(state ^ _mixed(block), 13) * 5 + 0xE6546B64 & _MASK
    for block in tail:
        state ^= _mixed(block)
    state ^= length
    state = (state ^ state >> 16) * 0x85EBCA6B & _MASK
    state = (state ^ state >> 13) * 0xC2B2AE35 & _MASK
    state ^= state >> 16
    return state - (1 << 32) if state >> 31 else state


def _mixed(block: int) -> int:
    return _rotated(block * 0xCC9E2D51 & _MASK, 15) * 0x1B873593 & _MASK


def _rotated(value: int, by: int) -> int:
    return (value << by | value >> 32 - by) & _MASK
