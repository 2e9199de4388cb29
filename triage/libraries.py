"""SimpleITK and scipy.ndimage, loaded when something is measured for the first time.

Every process and every command checks the limits of the measurement, which stand beside the code that uses them. Both
libraries together cost 0.7 s of a core and 60 MB, and most of these processes measure nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["load_now", "ndi", "sitk"]


class _AtFirstUse:
    """A module that is imported when one of its names is asked for."""

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load

    def __getattr__(self, name: str) -> Any:
        return getattr(self._load(), name)


def _simple_itk() -> Any:
    import SimpleITK

    return SimpleITK


def _ndimage() -> Any:
    import scipy.ndimage

    return scipy.ndimage


if TYPE_CHECKING:
    from collections.abc import Callable

    import scipy.ndimage as ndi
    import SimpleITK as sitk
else:
    ndi, sitk = _AtFirstUse(_ndimage), _AtFirstUse(_simple_itk)


def load_now() -> None:
    """For a process that is going to measure: before it begins, so that no study waits for it."""
    _ndimage()
    _simple_itk()
