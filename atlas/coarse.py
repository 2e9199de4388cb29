"""Make ``coarse.npz``: the atlas at the resolutions at which it is placed on a head.

    python -m atlas.coarse    # after atlas.build, and after a change of ``triage.alignment.template.coarse_images``

Without the file every worker would spend ten seconds on it before its first study.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import atlas
from triage.alignment.template import coarse_images

FILE = Path(__file__).with_name("data") / "coarse.npz"


def main() -> None:
    fine = atlas.load_fine()
    images = coarse_images(fine)
    np.savez_compressed(FILE, version=np.array(fine.version), **images)  # type: ignore[arg-type] # a name might be allow_pickle
    print(f"{FILE.name}: {len(images)} images, {FILE.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
