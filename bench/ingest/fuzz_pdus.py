"""Streams of PDUs in, other streams out: the mutations of bench.ingest.fuzz.

Knows where lengths stand and keeps most of them right, so that mutations reach what lies behind the length checks.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence

P_DATA = 4
LENGTHS_RIGHT = 0.85  # share of mutations that leave every length field as it should be

Mutate = Callable[[bytes, int], bytes]


def split(stream: bytes) -> list[bytes]:
    """Whole PDUs; what is left over is the last element."""
    found, at = [], 0
    while at + 6 <= len(stream):
        end = at + 6 + struct.unpack_from(">I", stream, at + 2)[0]
        if end > len(stream):
            break
        found.append(stream[at:end])
        at = end
    return [*found, stream[at:]] if at < len(stream) else found


def with_length(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBI", kind, 0, len(body)) + body


def other(stream: bytes, longest: int, seed: int, bits: Mutate, seeds: Sequence[Sequence[bytes]]) -> bytes:
    """A mutation of a stream. bits: (bytes, longest) -> other bytes. seeds: streams to take PDUs from."""
    chance = random.Random(seed)
    pdus = split(stream)
    if not pdus or chance.random() < 0.1:
        return bits(stream, longest)
    at = chance.randrange(len(pdus))
    action = chance.randrange(8)
    if action <= 3:
        pdus[at] = _inside(pdus[at], chance, bits)
    elif action == 4:
        pdus.insert(chance.randrange(len(pdus) + 1), chance.choice(chance.choice(seeds)))
    elif action == 5:
        pdus[at : at + 1] = [pdus[at]] * chance.randrange(0, 3)
    elif action == 6:
        where = chance.randrange(len(pdus))
        pdus[at], pdus[where] = pdus[where], pdus[at]
    else:
        pdus[at:] = _halves(pdus[at], chance) + pdus[at + 1 :]
    return b"".join(pdus)[:longest]


def _inside(pdu: bytes, chance: random.Random, bits: Mutate) -> bytes:
    if len(pdu) < 12 or chance.random() > LENGTHS_RIGHT:
        return bits(pdu, len(pdu) + 64)
    if pdu[0] == P_DATA:
        head, data = pdu[10:12], bits(pdu[12:], len(pdu) + 64)
        if chance.random() < 0.2:
            head = bytes((chance.choice((1, 3, 5, head[0])), chance.randrange(4)))
        return with_length(P_DATA, struct.pack(">I", len(data) + 2) + head + data)
    return with_length(pdu[0], bits(pdu[6:], len(pdu) + 64))


def _halves(pdu: bytes, chance: random.Random) -> list[bytes]:
    """One fragment as two: in two PDUs, or in one."""
    if pdu[0] != P_DATA or len(pdu) < 14:
        return [pdu]
    cut = chance.randrange(12, len(pdu))
    context, control = pdu[10], pdu[11]
    pieces = [
        struct.pack(">IBB", len(data) + 2, context, flags) + data
        for data, flags in ((pdu[12:cut], control & 1), (pdu[cut:], control))
    ]
    return [with_length(P_DATA, b"".join(pieces))] if chance.random() < 0.5 else [with_length(4, p) for p in pieces]
