"""Objects in a bucket of a real S3 server (moto): created once, never overwritten."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.fakes import NOON
from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.deliveries.to_s3 import S3Sender
from workers.delivery_ports import Decided, Delivery
from workers.image_ports import ImageFile
from workers.result_settings import S3DestinationSettings

ONE = Delivery(Decided("1.2.3", 2, "full"), "sr", "bucket", due_at=NOON)
PLACE = "icansee/1.2.3/r2-full/sr.dcm"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(server: str) -> Iterator[Any]:
    resource = boto3.resource(
        "s3", endpoint_url=server, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    )
    made = resource.create_bucket(Bucket="results")
    yield made
    made.objects.all().delete()
    made.delete()


def sender_of(tmp_path: Path, endpoint: str, **values: Any) -> S3Sender:
    secret = tmp_path / "secret"
    secret.write_text("secret\n", encoding="utf-8")
    settings = {
        "name": "bucket", "kind": "s3", "bucket": "results", "outputs": ("sr",), "endpoint": endpoint, "timeout_s": 5,
        "access_key_id": "key", "secret_key_file": secret, **values,
    }  # fmt: skip
    return S3Sender(S3DestinationSettings.model_validate(settings))


def test_the_same_twice_is_one_object(tmp_path: Path, server: str, bucket: Any) -> None:
    sender = sender_of(tmp_path, server)
    assert sender.send(ONE, "sr.dcm", "application/dicom", b"content").text == "created"
    assert sender.send(ONE, "sr.dcm", "application/dicom", b"content").text == "already there"
    assert [one.key for one in bucket.objects.all()] == [PLACE]
    found = bucket.Object(PLACE).get()
    assert (found["Body"].read(), found["ContentType"]) == (b"content", "application/dicom")
    assert sender.probe() == ["the bucket is there"]


def test_other_content_is_never_overwritten(tmp_path: Path, server: str, bucket: Any) -> None:
    sender = sender_of(tmp_path, server)
    sender.send(ONE, "sr.dcm", "application/dicom", b"content")
    with pytest.raises(DeliveryRejected, match="other content"):
        sender.send(ONE, "sr.dcm", "application/dicom", b"other")
    assert bucket.Object(PLACE).get()["Body"].read() == b"content"


def test_an_empty_prefix_is_none(tmp_path: Path, server: str, bucket: Any) -> None:
    sender_of(tmp_path, server, prefix="").send(ONE, "sr.dcm", "application/dicom", b"content")
    assert [one.key for one in bucket.objects.all()] == [PLACE.removeprefix("icansee/")]


def test_a_bucket_that_is_missing_is_the_sites_to_repair(tmp_path: Path, server: str) -> None:
    sender = sender_of(tmp_path, server, bucket="elsewhere")
    with pytest.raises(Unreachable, match=r"404 NoSuchBucket\)$"):
        sender.send(ONE, "sr.dcm", "application/dicom", b"content")
    with pytest.raises(Unreachable, match="cannot be asked"):
        sender.probe()


def test_a_server_that_is_away_passes_and_no_study_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unreachable) as failure:
        sender_of(tmp_path, "http://127.0.0.1:9").send(ONE, "sr.dcm", "application/dicom", b"content")
    assert "1.2.3" not in str(failure.value)


def an_image(folder: Path, number: int, content: bytes = b"an image", study: str = "1.2.3") -> ImageFile:
    path, content = folder / f"{number}.dcm", bytes(128) + b"DICM" + content
    path.write_bytes(content)
    return ImageFile(path, study, "1.2.840.10008.5.1.4.1.1.4", f"1.2.3.{number}", "1.2.840.10008.1.2.1", len(content))


def test_images_are_created_once_and_never_overwritten(tmp_path: Path, server: str, bucket: Any) -> None:
    sender, taken = sender_of(tmp_path, server), list[ImageFile]()
    large = an_image(tmp_path, 2, b"x" * (6 << 20))
    images = [an_image(tmp_path, 1), large]
    for _ in range(2):  # a batch that begins anew
        assert sender.send_images(images, taken.append).text == "2 objects"
    assert taken == images * 2
    keys = ["icansee/1.2.3/images/1.2.3.1.dcm", "icansee/1.2.3/images/1.2.3.2.dcm"]
    assert [one.key for one in bucket.objects.all()] == keys
    other = [an_image(tmp_path, 2, b"other"), an_image(tmp_path, 3)]
    with pytest.raises(DeliveryRejected, match="1 of 2 images are refused: an object of this name"):
        sender.send_images(other, taken.append)
    assert bucket.Object(keys[1]).get()["Body"].read() == bytes(128) + b"DICM" + b"x" * (6 << 20)
    assert taken[4:] == [other[1]], "the others are tried"


def test_images_of_nobody_and_images_that_are_gone_are_refused(tmp_path: Path, server: str, bucket: Any) -> None:
    sender, taken = sender_of(tmp_path, server), list[ImageFile]()
    gone = an_image(tmp_path, 1)
    gone.path.unlink()
    with pytest.raises(DeliveryRejected, match="2 of 2"):
        sender.send_images([gone, an_image(tmp_path, 2, study="../../etc")], taken.append)
    assert (taken, list(bucket.objects.all())) == ([], [])


def test_images_for_a_server_that_is_away_wait(tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        sender_of(tmp_path, "http://127.0.0.1:9").send_images([an_image(tmp_path, 1)], lambda _one: None)


@pytest.mark.parametrize("uid", ["../../etc", "1.2/3", ""])
def test_noop_what_is_no_uid_never_becomes_a_name(tmp_path: Path, server: str, bucket: Any, uid: str) -> None:
    with pytest.raises(DeliveryRejected):
        sender_of(tmp_path, server).send(
            Delivery(Decided(uid, 1, "full"), "sr", "bucket", due_at=NOON), "sr.dcm", "application/dicom", b"x"
        )
    assert list(bucket.objects.all()) == []
