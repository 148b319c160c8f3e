import hashlib

import numpy as np
import pytest
from scipy import special, stats

from plantain.capture.noise import gaussian, normal_quantile

# The bytes on every machine: integer Philox and correctly rounded operations leave no room for another answer.
GOLDEN = {
    (0, (1, 128, 64, 64)): "6db4a900b65d1a5bdab5135f23f0beb20008914db2a617c17bf2f6edff916a5e",
}


@pytest.mark.parametrize(("key", "expected"), GOLDEN.items())
def test_the_bytes_are_golden(key, expected):
    seed, shape = key
    noise = gaussian(seed, shape)
    assert noise.dtype == np.float32
    assert noise.shape == shape
    assert hashlib.sha256(noise.tobytes()).hexdigest() == expected


def test_the_quantile_is_that_of_scipy():
    tails = 10.0 ** -np.linspace(0.5, 15.5, 500)
    p = np.concatenate([np.random.default_rng(1).random(20_000), tails, 1 - tails])
    np.testing.assert_allclose(normal_quantile(p), special.ndtri(p), rtol=2e-15, atol=1e-15)


def test_the_noise_is_normal_and_independent():
    noise = gaussian(5, (400, 500)).astype(float)
    assert stats.kstest(noise.ravel(), "norm").pvalue > 0.01
    assert abs(np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1]) < 0.01
    assert abs(stats.kurtosis(noise.ravel())) < 0.05


def test_seeds_differ_and_the_shape_only_folds():
    assert not np.array_equal(gaussian(0, (8,)), gaussian(1, (8,)))
    np.testing.assert_array_equal(gaussian(3, (2, 4)).ravel(), gaussian(3, (8,)))
