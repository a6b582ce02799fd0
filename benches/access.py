"""Containers in a contest: the original bytes of random images, one thread, each checked to give the same bytes.

    python benches/access.py [SOURCE] [--images 4000] [--rounds 9] [--json FILE] [--plot FILE]

SOURCE is an image folder or zip of one package, or a store; without it, a synthetic package is made. Turns are of 2,048
random rows, in batches of 256. The page cache is warm. Who takes part is in `peers/access.py`.
"""

from __future__ import annotations

import sys

from contest import Contest, run_of_images
from corpus import check_bytes

CONTEST = Contest(("bytes/list of random rows",), ("access",), "rows", "images", check_bytes)

if __name__ == "__main__":
    sys.exit(run_of_images(CONTEST, __doc__, rounds=9, turn_rows=2048, threads=1))
