"""Decoders of JPEG in a contest: whole images, and crops, by one thread, each checked to give the pixels of Pillow.

    python benches/decode.py [SOURCE] [--images 4000] [--rounds 9] [--json FILE] [--plot FILE]

SOURCE is an image folder or zip of one package, or a store; without it, a synthetic package is made. Turns are of 512
random rows, in batches of 256. The page cache is warm. Who takes part is in `peers/decode.py` and `peers/crops.py`.
"""

from __future__ import annotations

import sys

from contest import Contest, run_of_images
from corpus import PIXELS, check_pixels
from peers import crops, decode

CONTEST = Contest((decode.WORK, crops.WORK), PIXELS, "rows", "images", check_pixels)

if __name__ == "__main__":
    sys.exit(run_of_images(CONTEST, __doc__, rounds=9, turn_rows=512, threads=1))
