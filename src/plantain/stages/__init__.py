"""One module a DVC stage: read paths, call a room, write outs and a receipt."""

import os
import sys

if sys.argv[0] == "-m":  # Python looks for the stage that it was told to run, and NumPy is not here yet
    # The products of a stage are small: OpenBLAS's threads wait for one another in loops that take a core each.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
