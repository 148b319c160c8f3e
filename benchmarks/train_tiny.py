"""Train the embedded model: runs the folder ``tiny_training`` beside this file, where the phases are described."""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.pop(0)  # this folder's statistics.py would hide the standard library's, which torch imports
    runpy.run_path(str(Path(__file__).with_name("tiny_training")), run_name="__main__")
