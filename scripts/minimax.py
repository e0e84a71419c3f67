#!/usr/bin/env python3
"""Computes the polynomial coefficients of codegen/math.cpp and ir/ops/learning_rate.cpp and prints them with the error each leaves.

Weighted minimax approximation by the exchange algorithm of Remez (1934), see J.-M. Muller, Elementary Functions, 3rd
edition, chapter 3.5. Needs mpmath.
"""
from mpmath import mp, mpf, matrix, lu_solve, cos, sin, pi, exp, log, log1p, tanh, erf, erfc, sqrt, expm1

mp.prec = 160
GRID = 1500


def extrema(errors):
    """Indices of the largest error in each run of one sign."""
    best = []
    for i, error in enumerate(errors):
        if best and (errors[best[-1]] > 0) == (error > 0):
            if abs(error) > abs(errors[best[-1]]):
                best[-1] = i
        else:
            best.append(i)
    return best


def drop_weakest(found, errors, pairs):
    """Removes the weakest extremum; an inner one goes with its weaker neighbour, so that signs still alternate."""
    strength = [abs(errors[i]) for i in found]
    weakest = strength.index(min(strength))
    if not pairs or weakest in (0, len(found) - 1):
        found.pop(0 if strength[0] < strength[-1] else -1)
        return
    neighbour = weakest - 1 if strength[weakest - 1] < strength[weakest + 1] else weakest + 1
    for i in sorted((weakest, neighbour), reverse=True):
        found.pop(i)


def minimax(function, weight, low, high, degree, rounds=12):
    """Coefficients, lowest first, of the polynomial whose weighted error is smallest over [low, high]."""
    low, high = mpf(low), mpf(high)
    points = [(low + high) / 2 - (high - low) / 2 * cos(pi * i / GRID) for i in range(GRID + 1)]
    values, weights = [function(x) for x in points], [abs(weight(x)) for x in points]
    chosen = [round(GRID * (i + 0.5) / (degree + 2)) for i in range(degree + 2)]
    for _ in range(rounds):
        system, right = matrix(degree + 2, degree + 2), matrix(degree + 2, 1)
        for row, i in enumerate(chosen):
            for power in range(degree + 1):
                system[row, power] = weights[i] * points[i] ** power
            system[row, degree + 1] = (-1) ** row
            right[row] = weights[i] * values[i]
        coefficients = list(lu_solve(system, right))[: degree + 1]
        errors = [w * (mp.polyval(coefficients[::-1], x) - f) for x, f, w in zip(points, values, weights)]
        found = extrema(errors)
        while len(found) > degree + 2:
            drop_weakest(found, errors, pairs=len(found) > degree + 3)
        if len(found) < degree + 2:
            break
        chosen = found
    return coefficients, max(map(abs, errors))


def away_from_zero(x):
    return x if x else mpf(2) ** -60


APPROXIMATIONS = [
    # name, function, weight that turns its error into the relative error of the result, interval, degree
    ("exp: (e^r - 1 - r) / r^2", lambda r: (expm1(r) - r) / r**2, lambda r: r**2 / exp(r), -log(2) / 2, log(2) / 2, 4),
    ("log: (log(1 + f) - f) / f^2", lambda f: (log1p(f) - f) / f**2, lambda f: f**2 / log1p(f), mpf(-1) / 3, mpf(1) / 3, 8),
    ("tanh: (tanh(x) - x) / x^3, in x^2", lambda s: (tanh(sqrt(s)) - sqrt(s)) / sqrt(s) ** 3, lambda s: sqrt(s) ** 3 / tanh(sqrt(s)), 0, mpf("0.4"), 4),
    ("erf: (erf(x) - x) / x, in x^2", lambda s: (erf(sqrt(s)) - sqrt(s)) / sqrt(s), lambda s: sqrt(s) / erf(sqrt(s)), 0, mpf("0.86"), 5),
    ("sine of x right angles: sin(pi*x/2) / x, in x^2", lambda s: sin(pi * sqrt(s) / 2) / sqrt(s), lambda s: sqrt(s) / sin(pi * sqrt(s) / 2), 0, 1, 4),
    ("erf: -log(1 - erf(x)) / x", lambda t: -log(erfc(t)) / t, lambda t: t * erfc(t) / erf(t), mpf("0.92"), mpf(4), 6),
]

if __name__ == "__main__":
    for name, function, weight, low, high, degree in APPROXIMATIONS:
        guarded = (lambda f: lambda x: f(away_from_zero(x)))
        coefficients, error = minimax(guarded(function), guarded(weight), low, high, degree)
        print(f"{name}: error 2^{float(log(error, 2)):.1f}")
        print("  {" + ", ".join(mp.nstr(c, 11) + "f" for c in coefficients) + "}")
