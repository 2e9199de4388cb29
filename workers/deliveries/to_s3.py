"""Outputs into an S3 bucket: <prefix>/STUDY_UID/r<revision>-<stage>/<file>, created and never overwritten."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.deliveries.one_by_one import sent_one_by_one
from workers.deliveries.to_folder import image_name, name_in
from workers.delivery_ports import Delivery, Receipt
from workers.image_ports import ImageFile
from workers.remote.http import secret_in
from workers.result_settings import S3DestinationSettings

if TYPE_CHECKING:
    from obstore.store import S3Config, S3Store

STATUS, CODE = re.compile(r"status code: (\d{3})"), re.compile(r"<Code>(\w{1,64})</Code>")


class S3Sender:
    """See delivery_ports.Destination.

    Raises:
        Misconfigured: the secret access key cannot be read.
    """

    def __init__(self, settings: S3DestinationSettings) -> None:
        self._settings = settings
        self._secret = None if settings.secret_key_file is None else secret_in(settings.secret_key_file)
        self._store: S3Store | None = None

    def send(self, delivery: Delivery, file_name: str, media_type: str, content: bytes) -> Receipt:
        name = f"{self._settings.prefix}/{name_in(delivery, file_name)}".lstrip("/")
        return Receipt(self._put(name, content, media_type), len(content))

    def _put(self, name: str, content: bytes, media_type: str) -> str:
        """Raises:
        DeliveryRejected, Unreachable: see ``send``.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, BaseError

        try:
            # in one piece: an upload in parts knows no condition
            attributes = {"Content-Type": media_type}
            obstore.put(self._opened(), name, content, mode="create", attributes=attributes, use_multipart=False)
        except AlreadyExistsError:
            return self._same(name, content)
        except (BaseError, OSError, ValueError) as error:
            raise Unreachable(f"the S3 server did not store the object ({_why(error)})") from None
        return "created"

    def send_images(self, images: Sequence[ImageFile], taken: Callable[[ImageFile], None]) -> Receipt:
        """See image_ports.ImageTaker. Below STUDY_UID/images, named by their SOP Instance UIDs."""

        def put(image: ImageFile, content: bytes) -> None:
            name = f"{self._settings.prefix}/{image_name(image)}".lstrip("/")
            self._put(name, content, "application/dicom")

        return sent_one_by_one(images, put, taken, what="objects")

    def probe(self) -> list[str]:
        """What the bucket answers, in words; for a person.

        Raises:
            Unreachable: it cannot be asked.
        """
        import obstore
        from obstore.exceptions import BaseError, PermissionDeniedError

        try:
            next(iter(obstore.list(self._opened(), self._settings.prefix, chunk_size=1)), None)
        except PermissionDeniedError:
            return ["it answers and refuses to list the bucket; only the first result shows whether it stores"]
        except (BaseError, OSError, ValueError) as error:
            raise Unreachable(f"the bucket cannot be asked ({_why(error)})") from None
        return ["the bucket is there"]

    def close(self) -> None:
        """The store keeps its connections for the next study."""

    def _same(self, name: str, content: bytes) -> str:
        """What is there already is ours when its content is.

        Raises:
            DeliveryRejected, Unreachable: it is not, or cannot be read.
        """
        import obstore
        from obstore.exceptions import BaseError

        try:
            there = bytes(obstore.get(self._opened(), name).bytes())
        except (BaseError, OSError) as error:
            raise Unreachable(
                f"the S3 server has an object of this name and does not show it ({_why(error)})"
            ) from None
        if there != content:
            raise DeliveryRejected("an object of this name with other content is there")
        return "already there"

    def _opened(self) -> S3Store:
        if self._store is None:
            from obstore.store import S3Store

            settings = self._settings
            config: S3Config = {
                "region": settings.region,
                "virtual_hosted_style_request": settings.endpoint is None,
            }
            if settings.endpoint is not None:
                config["endpoint"] = settings.endpoint
            if settings.access_key_id is not None:
                config["access_key_id"] = settings.access_key_id
            if self._secret is not None:
                config["secret_access_key"] = self._secret
            self._store = S3Store(
                settings.bucket,
                config=config,
                client_options={
                    "timeout": timedelta(seconds=settings.timeout_s),
                    "allow_http": (settings.endpoint or "").startswith("http:"),
                },
                retry_config={"max_retries": 0},  # the delivery is tried again
            )
        return self._store


def _why(error: Exception) -> str:
    """Status and code of the answer. Texts are left out: they hold the address of the object, and so the study."""
    found = (pattern.search(str(error)) for pattern in (STATUS, CODE))
    return " ".join([type(error).__name__, *(match[1] for match in found if match is not None)])
