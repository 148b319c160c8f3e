"""``python -m tests.campaign``: the short form; ``--long``: the campaign whose figures stand in docs/reliability.md."""

import argparse
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

PARTS = ("kills", "cuts", "probes", "tables", "crowd")


def main() -> int:
    """Run the parts that were asked for, print the table, and end with 1 where something was lost."""
    asked = _asked()
    from tests.campaign import small
    from tests.campaign.tally import table

    sizes = LONG if asked.long else SHORT
    tallies = []
    with tempfile.TemporaryDirectory(prefix="campaign-") as folder:
        for part in asked.only or PARTS:
            place = Path(folder, part)
            place.mkdir()
            made = small.whole if asked.long or part in ("cuts",) else small.brief
            began = time.process_time()
            subject = made(place) if part in ("kills", "cuts", "crowd") else place
            limit = {} if part == "crowd" else {"minutes": asked.minutes}
            tally = import_module(f"tests.campaign.{part}").campaign(
                subject, sizes[part], asked.seed, asked.log, **limit
            )
            tallies.append(tally)
            print(table([tally]), *tally.losses, f"{time.process_time() - began:.0f} s here", sep="\n", flush=True)
    print(table(tallies))
    return int(any(tally.lost for tally in tallies))


LONG = {"kills": 200, "cuts": 200, "probes": 100_000, "tables": 10_000, "crowd": 8}
SHORT = {"kills": 1, "cuts": 3, "probes": 200, "tables": 20, "crowd": 2}


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--long", action="store_true", help="the whole campaign: about an hour of one core")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="these parts alone")
    parser.add_argument("--seed", type=int, default=1, help="what every random choice follows")
    parser.add_argument("--minutes", type=float, default=240, help="of each part: nothing is begun after so many")
    parser.add_argument("--log", type=Path, default=Path(tempfile.gettempdir(), "campaign.log"), help="progress")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
