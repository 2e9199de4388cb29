"""What is accepted of what is proposed."""

from __future__ import annotations

import pytest

from listener.associations import contexts
from workers.settings import ListenerSettings

MR, CT = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT, EXPLICIT, J2K, MPEG2 = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.100",
)


@pytest.mark.parametrize(
    ("proposed", "accepted"),
    [
        pytest.param([], {}, id="noop: nothing"),
        pytest.param([(MR, [IMPLICIT])], {MR: [IMPLICIT]}, id="one"),
        pytest.param([(MR, [J2K, IMPLICIT])], {MR: [J2K, IMPLICIT]}, id="the sender's order"),
        pytest.param([(MR, [J2K]), (MR, [IMPLICIT, J2K])], {MR: [J2K, IMPLICIT]}, id="one class in two contexts"),
        pytest.param([(MR, [MPEG2, EXPLICIT])], {MR: [EXPLICIT]}, id="unknown syntax left out"),
        pytest.param([(MR, [MPEG2])], {}, id="only an unknown syntax"),
        pytest.param([(CT, [IMPLICIT]), (MR, [IMPLICIT])], {MR: [IMPLICIT]}, id="unknown class left out"),
        pytest.param([(contexts.VERIFICATION, [J2K, IMPLICIT])], {contexts.VERIFICATION: [IMPLICIT]}, id="echo"),
    ],
)
def test_accepted(proposed: list[tuple[str, list[str]]], accepted: dict[str, list[str]]) -> None:
    assert contexts.accepted_syntaxes(proposed, contexts.STORAGE_CLASSES) == accepted


def test_classes_of_the_settings_are_added() -> None:
    assert contexts.storage_classes(ListenerSettings()) == contexts.STORAGE_CLASSES
    assert contexts.storage_classes(ListenerSettings(extra_storage_classes=(CT,))) - contexts.STORAGE_CLASSES == {CT}


def test_every_class_is_one_that_pynetdicom_serves() -> None:
    from pynetdicom.service_class import StorageServiceClass
    from pynetdicom.sop_class import uid_to_service_class

    assert {uid for uid in contexts.STORAGE_CLASSES if uid_to_service_class(uid) is not StorageServiceClass} == set()


def test_every_transfer_syntax_is_known_to_the_reader() -> None:
    from pydicom.uid import UID

    assert {uid for uid in contexts.TRANSFER_SYNTAXES if not UID(uid).is_transfer_syntax} == set()
