"""The same paired differences through plantain and its peers, side by side, against the bare matrix product.

    python benchmarks/stats.py               10,000 flips of 30 pairs x 16,320 units, one thread each, then all cores
    python benchmarks/stats.py --exact       all flips: 25 pairs x 16,320 units, 30 pairs x 600 units

Every measurement is a fresh process; rounds go through all contestants in turn, so that other load on the machine falls
on all of them. Every contestant runs all the flips, after a smaller run that loads and compiles what it needs.
"""

import sys
from pathlib import Path

# A script's folder comes first on the path, and there this file would hide the standard module of the same name.
sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != Path(__file__).resolve().parent]

import argparse  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import resource  # noqa: E402
import subprocess  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from dataclasses import dataclass  # noqa: E402

PAIRS, UNITS, FLIPS = 30, 16_320, 10_000


@dataclass(frozen=True)
class Contestant:
    """One way to the same numbers."""

    name: str
    run: str
    precision: str
    """Of the scores that are compared."""
    gives: str


CONTESTANTS = (
    Contestant("bare matrix product", "floor", "float32", "scores only, nothing counted"),
    Contestant("plantain", "plantain", "integers of 2^-30", "p, step-down max-T, counts, q, effects"),
    Contestant("plantain, NumPy route", "plantain_numpy", "integers of 2^-30", "the same"),
    Contestant("plantain, bounds alone", "plantain_bounds", "integers of 2^-30", "simultaneous lower bounds"),
    Contestant("plantain, every flip sorted", "plantain_sorted", "integers of 2^-30", "the same bounds"),
    Contestant("MNE permutation_t_test", "mne", "float64", "single-step max-T"),
    Contestant("nilearn permuted_ols", "nilearn", "float64", "single-step max-T"),
    Contestant("SciPy permutation_test", "scipy", "float64", "p a unit"),
    Contestant("sanssouci calibration", "sanssouci", "float64", "pivots of the linear family"),
)
WARM = 100
"""Flips of the run before the one that is timed."""


def data(pairs: int = PAIRS, units: int = UNITS):
    import numpy as np

    rng = np.random.default_rng(0)
    values = rng.normal(size=(pairs, units)) + 0.7 * rng.normal(size=(pairs, 15)) @ rng.normal(size=(15, units))
    values[:, : units // 20] += 1.0
    return values


def floor(values, flips: int) -> Callable[[], object]:
    import numpy as np

    signs = np.random.default_rng(0).choice(np.array([-1, 1], np.float32), (flips, len(values)))
    parts, out = values.astype(np.float32), np.empty((500, values.shape[1]), np.float32)
    out[:] = 0

    def run() -> None:
        for start in range(0, flips, 500):
            np.matmul(signs[start : start + 500], parts, out=out[: min(500, flips - start)])

    return run


def plantain(values, flips: int) -> Callable[[], object]:
    from plantain.stats import sign_flip_test

    sign_flip_test(values[:, :4_000], flips=20_000)
    return lambda: sign_flip_test(values, flips=flips)


def plantain_numpy(values, flips: int) -> Callable[[], object]:
    from plantain.stats import sign_flip_test
    from plantain.stats.flips import engine

    engine.KERNEL_WORK = engine.KERNEL_WORK_LOADED = 10**18
    return lambda: sign_flip_test(values, flips=flips)


def plantain_bounds(values, flips: int) -> Callable[[], object]:
    from plantain.stats import item_calibration

    item_calibration(values[:, :8_000], flips=10_000)
    return lambda: item_calibration(values, flips=flips)


def plantain_sorted(values, flips: int) -> Callable[[], object]:
    from plantain.stats import bounds, item_calibration

    bounds.repays_kernel = lambda *_: False
    return lambda: item_calibration(values, flips=flips)


def mne(values, flips: int) -> Callable[[], object]:
    from mne.stats import permutation_t_test

    return lambda: permutation_t_test(values, flips, seed=0, verbose="error")


def nilearn(values, flips: int) -> Callable[[], object]:
    import numpy as np
    from nilearn.mass_univariate import permuted_ols

    ones = np.ones((len(values), 1))
    return lambda: permuted_ols(ones, values, model_intercept=False, n_perm=flips, random_state=0)


def scipy(values, flips: int) -> Callable[[], object]:
    from scipy.stats import permutation_test

    def mean(x, axis):
        return x.mean(axis=axis)

    options = {"permutation_type": "samples", "vectorized": True, "batch": 50, "rng": 0}
    return lambda: permutation_test((values,), mean, n_resamples=flips, **options)


def sanssouci(values, flips: int) -> Callable[[], object]:
    import sanssouci as peer

    def run() -> object:
        p = peer.get_permuted_p_values_one_sample(values, B=flips, seed=0)
        return peer.get_pivotal_stats(p, K=values.shape[1])

    return run


def measure(run: Callable[[], object]) -> dict[str, float]:
    """Wall and processor time of one call, and how far it raised the peak memory of the process."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    run()
    wall = time.perf_counter() - start
    after, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime + children.ru_utime + children.ru_stime
    return {"wall": wall, "cpu": cpu, "mib": (after.ru_maxrss - before.ru_maxrss) / 1024}


def one(name: str, flips: int, pairs: int, units: int) -> None:
    values = data(pairs, units)
    if flips:
        globals()[name](values, WARM)()
    print(json.dumps(measure(globals()[name](values, flips))))


def exact(values, flips: int) -> Callable[[], object]:
    from plantain.stats import sign_flip_test

    sign_flip_test(values[:22, :8], flips="exact")
    return lambda: sign_flip_test(values, flips="exact")


def naive(values, flips: int) -> Callable[[], object]:
    """The plain compiled loop over flips, pairs and units, which an enumeration is compared with."""
    import numba
    import numpy as np

    @numba.njit(parallel=True)
    def loop(parts, flips, limit):
        pairs, units = parts.shape
        counts = np.zeros(flips, np.int32)
        for flip in numba.prange(flips):
            scores = np.zeros(units, np.float32)
            for pair in range(pairs):
                sign = np.float32(-1.0 if (flip >> pair) & 1 else 1.0)
                for unit in range(units):
                    scores[unit] += sign * parts[pair, unit]
            for unit in range(units):
                counts[flip] += abs(scores[unit]) > limit
        return counts

    parts = values.astype(np.float32)
    loop(parts, 2, np.float32(3.0))
    return lambda: loop(parts, flips, np.float32(3.0))


def ask(run: str, flips: int, threads: int, pairs: int = PAIRS, units: int = UNITS) -> dict[str, float]:
    """Measure in a fresh process."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(threads))
    words = [sys.executable, __file__, "--one", run, str(flips), str(pairs), str(units)]
    answer = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    return json.loads(answer.stdout.splitlines()[-1])


def compare(threads: int, rounds: int) -> None:
    """The table of contestants: best of the rounds."""
    found: dict[str, list[dict[str, float]]] = {entry.name: [] for entry in CONTESTANTS}
    for _ in range(rounds):
        for entry in CONTESTANTS:
            found[entry.name].append(ask(entry.run, FLIPS, threads))
    wall, cpu = ({name: min(row[key] for row in rows) for name, rows in found.items()} for key in ("wall", "cpu"))
    ours, floor_cpu = cpu["plantain"], cpu[CONTESTANTS[0].name]
    print(f"\nThreads: {threads}\n")
    print("| | scores | wall s | processor s | times plantain | times the floor | extra MiB | gives |")
    print("|---|---|---|---|---|---|---|---|")
    for entry in CONTESTANTS:
        memory = max(row["mib"] for row in found[entry.name])
        ratios = f"{cpu[entry.name] / ours:.1f} | {cpu[entry.name] / floor_cpu:.2f}"
        times = f"{wall[entry.name]:.2f} | {cpu[entry.name]:.2f}"
        print(f"| {entry.name} | {entry.precision} | {times} | {ratios} | {memory:.0f} | {entry.gives} |", flush=True)


def enumerate_all(threads: int) -> None:
    """All flips, against the plain loop over 2^13 of them."""
    print("| all flips of | flips | s | processor s | plain loop, processor s (scaled) |")
    print("|---|---|---|---|---|")
    for pairs, units in ((25, UNITS), (30, 600)):
        ours, loop = ask("exact", 0, threads, pairs, units), ask("naive", 1 << 13, threads, pairs, units)
        plain = loop["cpu"] * 2 ** (pairs - 1 - 13)
        flips = f"2^{pairs - 1}"
        print(f"| {pairs} pairs x {units:,} units | {flips} | {ours['wall']:.1f} | {ours['cpu']:.1f} | {plain:.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", nargs=4, metavar=("NAME", "FLIPS", "PAIRS", "UNITS"), help="measure one, print JSON")
    parser.add_argument("--exact", action="store_true", help="enumerate all flips")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, help="that many alone, where not one and then all cores")
    options = parser.parse_args()
    if options.one:
        one(options.one[0], *(int(word) for word in options.one[1:]))
        return
    cores = os.cpu_count() or 1
    if options.exact:
        enumerate_all(options.threads or cores)
        return
    for threads in [options.threads] if options.threads else sorted({1, cores}):
        compare(threads, options.rounds)


if __name__ == "__main__":
    main()
