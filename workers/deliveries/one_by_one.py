"""Images and a way to send one in, what became of all of them out: one that is refused keeps no other back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workers.deliveries.errors import DeliveryRejected
from workers.deliveries.whole_images import check_whole
from workers.delivery_ports import Receipt
from workers.image_ports import ImageFile


def sent_one_by_one(
    images: Sequence[ImageFile],
    put: Callable[[ImageFile, bytes], object],
    taken: Callable[[ImageFile], None],
    *,
    what: str,
) -> Receipt:
    """Send each file as it is.

    Args:
        put: sends one; raises DeliveryRejected or Unreachable.
        taken: see image_ports.ImageTaker.
        what: what the other side has of each afterwards, e.g. "files".

    Raises:
        DeliveryRejected: some are refused, damaged, or not here any more; all others were tried.
        Unreachable: of ``put``; the rest is tried again.
        OSError: some cannot be read now; all others were tried.
    """
    refused: list[str] = []
    unread: OSError | None = None
    for image in images:
        try:
            check_whole(image)
            put(image, image.path.read_bytes())
        except FileNotFoundError:
            refused.append("the file of an image is gone")
        except DeliveryRejected as error:
            refused.append(str(error))
        except OSError as error:
            unread = error
        else:
            taken(image)
    if unread is not None:
        raise OSError(unread.errno, f"the file of an image cannot be read now ({unread.strerror})") from unread
    if refused:
        raise DeliveryRejected(f"{len(refused)} of {len(images)} images are refused: {refused[0]}")
    return Receipt(f"{len(images)} {what}", sum(one.size_bytes for one in images))
