"""C-STORE messages by hand against pynetdicom's own."""

from __future__ import annotations

import struct

import pytest
from pynetdicom.dimse_messages import C_STORE_RQ, C_STORE_RSP
from pynetdicom.dimse_primitives import C_STORE

from listener.receiving import dimse
from tests.listener.rawscu import MR, command, element


def library_request(message_id: int = 300, uid: str = "1.2.3") -> bytes:
    from io import BytesIO

    primitive = C_STORE()
    primitive.MessageID, primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = message_id, MR, uid
    primitive.Priority, primitive.DataSet = 2, BytesIO(b"data")
    message = C_STORE_RQ()
    message.primitive_to_message(primitive)
    [encoded, *_] = message.encode_msg(1, 16384)
    return bytes(encoded.presentation_data_value_list[0][1][1:])


@pytest.mark.parametrize("uid", ["1.2.3", "1.2.34"])
def test_reads_what_pynetdicom_writes(uid: str) -> None:
    found = dimse.parse_command(library_request(uid=uid))
    assert dimse.store_request(found) == dimse.StoreRequest(300, MR, uid)
    assert dimse.has_data_set(found)


@pytest.mark.parametrize("status", [0x0000, 0xA700, 0xB007, 0xC000])
@pytest.mark.parametrize("uid", ["1.2.3", "1.2.34"])
def test_pynetdicom_reads_what_is_written(status: int, uid: str) -> None:
    from pynetdicom.dimse_messages import DIMSEMessage
    from pynetdicom.pdu import P_DATA_TF

    pdu = P_DATA_TF()
    pdu.decode(dimse.store_response(5, dimse.StoreRequest(65535, MR, uid), status))
    message = DIMSEMessage()
    assert message.decode_msg(pdu.to_primitive())
    answer = message.message_to_primitive()
    assert isinstance(message, C_STORE_RSP)
    assert (message.context_id, answer.MessageIDBeingRespondedTo, answer.Status) == (5, 65535, status)
    assert (answer.AffectedSOPClassUID, answer.AffectedSOPInstanceUID) == (MR, uid)


@pytest.mark.parametrize(
    ("field", "data_set", "is_store"),
    [
        pytest.param(0x0001, 0x0000, True, id="noop: C-STORE"),
        pytest.param(0x0030, 0x0101, False, id="C-ECHO"),
        pytest.param(0x0140, 0x0000, False, id="N-CREATE"),
    ],
)
def test_which_command(field: int, data_set: int, is_store: bool) -> None:
    found = dimse.parse_command(command(field=field, data_set=data_set))
    assert (dimse.store_request(found) is not None) is is_store
    assert dimse.has_data_set(found) is (data_set != 0x0101)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\0", id="one byte"),
        pytest.param(struct.pack("<HHI", 8, 0x16, 0), id="another group"),
        pytest.param(struct.pack("<HHI", 0, 0x100, 0xFFFFFFFF), id="longer than the message"),
        pytest.param(b"", id="nothing"),
        pytest.param(element(0x100, b"\1\0"), id="C-STORE without its elements"),
        pytest.param(element(0x100, b"\1"), id="empty command field"),
        pytest.param(element(0x100, b"\1\0") + element(0x110, b"\1\0") + element(2, b"1" * 2000), id="endless UID"),
    ],
)
def test_what_is_no_command(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each names what is wrong in its own words
        dimse.store_request(dimse.parse_command(data))
