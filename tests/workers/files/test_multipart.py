"""Multipart bodies: the parts come out the same however the body is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.files.multipart import (
    MAX_HEADER_BYTES,
    MalformedError,
    MultipartReader,
    PartBegins,
    PartData,
    PartEnds,
    boundary_of,
)

BOUNDARY = b"b"


def encoded(parts: list[bytes], preamble: bytes = b"", blanks: bytes = b"") -> bytes:
    begun = b"".join(b"\r\n--b" + blanks + b"\r\nA: %d\r\n\r\n%s" % (number, part) for number, part in enumerate(parts))
    return preamble + begun + b"\r\n--b--\r\nrest"


def read(pieces: list[bytes]) -> list[tuple[str, bytes]]:
    reader, found, open_parts = MultipartReader(BOUNDARY), list[tuple[str, bytes]](), 0
    for piece in pieces:
        for event in reader.feed(piece):
            if isinstance(event, PartBegins):
                found.append((event.headers.get("a", ""), b""))
                open_parts += 1
            elif isinstance(event, PartData):
                found[-1] = (found[-1][0], found[-1][1] + event.content)
            elif isinstance(event, PartEnds):
                open_parts -= 1
    reader.close()
    assert open_parts == 0
    return found


@given(
    st.lists(
        st.binary(max_size=40) | st.sampled_from([b"\r\n", b"\r\n-", b"--b", b"\r\n\r\n"]), min_size=1, max_size=4
    ),
    st.lists(st.integers(1, 60), max_size=20),
    st.sampled_from([b"", b" ", b" \t "]),
)
def test_the_cuts_do_not_matter(parts: list[bytes], cuts: list[int], blanks: bytes) -> None:
    body, pieces = encoded(parts, blanks=blanks), []
    rest = body
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    wanted = [(str(number), part) for number, part in enumerate(parts)]
    if any(b"\r\n--b" in b"\r\n" + part for part in parts):
        return  # the boundary occurs in the content: the sender chose it wrongly
    assert read([*pieces, rest]) == read([body]) == wanted
    assert read([bytes([byte]) for byte in body]) == wanted


def test_a_preamble_is_skipped() -> None:
    assert read([encoded([b"x"], preamble=b"words")]) == [("0", b"x")]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"--b\r\n\r\nx", id="no end"),
        pytest.param(b"--b?\r\n", id="no line break"),
        pytest.param(b"--b\r\n" + b"A: " + b"x" * (MAX_HEADER_BYTES + 1), id="endless headers"),
    ],
)
def test_broken_bodies(body: bytes) -> None:
    with pytest.raises(MalformedError):
        read([body])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('multipart/related; type="application/dicom"; boundary=abc', b"abc"),
        ('Multipart/Related; boundary="a b"', b"a b"),
        ("multipart/form-data; boundary=abc", None),
        ("multipart/related", None),
        ("multipart/related; boundary=" + "x" * 201, None),
        ("", None),
    ],
)
def test_boundaries(text: str, found: bytes | None) -> None:
    if found is None:
        with pytest.raises(MalformedError):
            boundary_of(text)
    else:
        assert boundary_of(text) == found
