"""Gaussian noise with the same bytes on every machine.

``torch.randn`` and ``Generator.standard_normal`` go through vectorised transcendental functions whose last bits depend
on the instruction set. Here the integers come from Philox 4x32-10 [1]_, which is integer arithmetic, and become normal
deviates by Wichura's AS 241 [2]_ written with nothing but +, -, x, / and square root on float64, each of which IEEE 754
requires to be correctly rounded, one NumPy operation at a time so that no multiply-add can be fused. The logarithm
in the tails is built from the same operations.

.. [1] Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3. SC '11.
.. [2] Wichura: Algorithm AS 241: The percentage points of the normal distribution. Applied Statistics 37, 1988.
"""

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_A = (
    3.3871328727963666080e0,
    1.3314166789178437745e2,
    1.9715909503065514427e3,
    1.3731693765509461125e4,
    4.5921953931549871457e4,
    6.7265770927008700853e4,
    3.3430575583588128105e4,
    2.5090809287301226727e3,
)
_B = (
    1.0,
    4.2313330701600911252e1,
    6.8718700749205790830e2,
    5.3941960214247511077e3,
    2.1213794301586595867e4,
    3.9307895800092710610e4,
    2.8729085735721942674e4,
    5.2264952788528545610e3,
)
_C = (
    1.42343711074968357734e0,
    4.63033784615654529590e0,
    5.76949722146069140550e0,
    3.64784832476320460504e0,
    1.27045825245236838258e0,
    2.41780725177450611770e-1,
    2.27238449892691845833e-2,
    7.74545014278341407640e-4,
)
_D = (
    1.0,
    2.05319162663775882187e0,
    1.67638483018380384940e0,
    6.89767334985100004550e-1,
    1.48103976427480074590e-1,
    1.51986665636164571966e-2,
    5.47593808499534494600e-4,
    1.05075007164441684324e-9,
)
_E = (
    6.65790464350110377720e0,
    5.46378491116411436990e0,
    1.78482653991729133580e0,
    2.96560571828504891230e-1,
    2.65321895265761230930e-2,
    1.24266094738807843860e-3,
    2.71155556874348757815e-5,
    2.01033439929228813265e-7,
)
_F = (
    1.0,
    5.99832206555887937690e-1,
    1.36929880922735805310e-1,
    1.48753612908506148525e-2,
    7.86869131145613259100e-4,
    1.84631831751005468180e-5,
    1.42151175831644588870e-7,
    2.04426310338993978564e-15,
)
_LN2 = 0.6931471805599453
_SQRT_HALF = 0.7071067811865476


def gaussian(seed: int, shape: Sequence[int]) -> NDArray[np.float32]:
    """Standard normal deviates as a function of ``seed`` and ``shape`` alone.

    Args:
        seed: any non-negative integer.
        shape: of the result.

    Returns:
        float32 of ``shape``.
    """
    raw = np.random.Philox(seed).random_raw(prod(shape))
    # 52 bits and a half: strictly inside (0, 1), and exact in float64.
    uniform = ((raw >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
    return normal_quantile(uniform).astype(np.float32).reshape(tuple(shape))


def normal_quantile(p: Floats) -> Floats:
    """The standard normal quantile of ``p`` in (0, 1), by AS 241 (about 1e-16 relative), (values,)."""
    q = p - 0.5
    result = np.empty_like(q)
    central = np.abs(q) <= 0.425
    middle = q[central]
    r = 0.180625 - middle * middle
    result[central] = middle * _polynomial(_A, r) / _polynomial(_B, r)
    side = q[~central]
    lower = np.where(side < 0, p[~central], 1.0 - p[~central])
    tail = _tail(np.sqrt(-_log(lower)))
    result[~central] = np.where(side < 0, -tail, tail)
    return result


def _tail(r: Floats) -> Floats:
    near = r - 1.6
    far = r - 5.0
    return np.where(
        r <= 5.0,
        _polynomial(_C, near) / _polynomial(_D, near),
        _polynomial(_E, far) / _polynomial(_F, far),
    )


def _polynomial(coefficients: Sequence[float], x: Floats) -> Floats:
    total = np.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total * x
        total = total + coefficient
    return total


def _log(x: Floats) -> Floats:
    """Natural logarithm: x = m 2^k with m around 1, ln m = 2 artanh((m-1)/(m+1)) as an odd series."""
    mantissa, exponent = np.frexp(x)
    low = mantissa < _SQRT_HALF
    mantissa = np.where(low, mantissa * 2.0, mantissa)
    exponent = exponent - low
    z = (mantissa - 1.0) / (mantissa + 1.0)
    # |z| <= 0.172, so the term of order 23 is below 1e-18.
    series = _polynomial([2.0 / (2 * k + 1) for k in range(12)], z * z)
    scaled = exponent * _LN2
    tail = z * series
    return np.asarray(scaled + tail)
