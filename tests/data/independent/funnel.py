"""Funnel limits and over-dispersion by SciPy and NumPy: what src/analysis is checked against.

    python3 -m venv venv && venv/bin/pip install scipy==1.17.1 numpy==2.4.6
    venv/bin/python tests/data/independent/funnel.py

writes funnel_limits.csv and dispersion.csv beside itself. Limits: Spiegelhalter 2005, appendix A.1, with SciPy's
distributions, the upper ones mirrored (docs/decisions/0021). Over-dispersion: Spiegelhalter 2005, A.3, and Spiegelhalter et al. 2012, with NumPy.
"""

import csv
import pathlib

import numpy as np
from scipy.stats import binom, poisson

HERE = pathlib.Path(__file__).parent


def lower(law, tail):
    count = law.ppf(tail)
    while count > 0 and law.cdf(count - 1) >= tail:
        count -= 1
    return max(count - (law.cdf(count) - tail) / law.pmf(count), 0.0)


def upper(law, tail, most):
    """The greatest count that comes, or is exceeded, with the tail's probability at least, and the fraction to the next."""
    # By the survival function: 1 - F loses digits in this tail.
    count = law.isf(tail)
    while count > 0 and law.sf(count - 1) <= tail:
        count -= 1
    while law.sf(count) > tail:
        count += 1
    return min(count + (law.sf(count - 1) - tail) / law.pmf(count), most)


def limits(law, most):
    return [lower(law, 0.001), lower(law, 0.025), upper(law, 0.025, most), upper(law, 0.001, most)]


def cases():
    shares = [1e-6, 1e-4, 0.001, 0.004, 0.01, 0.042, 0.1, 0.25, 0.461, 0.5, 0.75, 0.86, 0.95, 0.99, 0.999, 0.999999]
    trials = [1, 2, 3, 5, 7, 10, 17, 30, 49, 75, 100, 220, 500, 999, 2500, 5000, 9300, 20000, 41000, 75000, 100000,
              250000, 1000000, 2000000]
    for n in trials:
        for share in shares:
            yield "binomial", n, share, binom(n, share)
    rng = np.random.default_rng(2005)
    for _ in range(200):
        n = int(np.exp(rng.uniform(0, np.log(60000))))
        share = float(np.round(rng.beta(0.7, 2.0), 9))
        if 0 < share < 1:
            yield "binomial", n, share, binom(n, share)
    means = [1e-6, 0.001, 0.01, 0.0253178, 0.1, 0.5, 0.69314718, 1, 1.5, 2, 3, 4.2, 5, 7.5, 10, 15, 22, 30, 50, 99.5, 150,
             220, 400, 999.9, 2500, 5000, 8123.4, 15000, 30000, 60000, 100000, 250000, 1000000, 3000000, 10000000]
    means += [float(mean) for mean in np.exp(rng.uniform(-3, 11, 120))]
    for mean in means:
        yield "poisson", 0, mean, poisson(mean)


def dispersion(kind, counts, sizes):
    """phi and tau squared, z-scores winsorised at a tenth of each end."""
    counts, sizes = np.array(counts, float), np.array(sizes, float)
    target = counts.sum() / sizes.sum()
    if kind == "binomial":
        values, centre, deviation = np.arcsin(np.sqrt(counts / sizes)), np.arcsin(np.sqrt(target)), 1 / (2 * np.sqrt(sizes))
    else:
        expected = sizes * target
        values, centre, deviation = np.sqrt(counts / expected), 1.0, 1 / (2 * np.sqrt(expected))
    z = (values - centre) / deviation
    low, high = np.quantile(z, [0.1, 0.9])
    phi = np.mean(np.clip(z, low, high) ** 2)
    weights = deviation ** -2
    spread = weights.sum() - (weights ** 2).sum() / weights.sum()
    tau2 = max(0.0, (len(z) * phi - (len(z) - 1)) / spread)
    # The limits of the first practice, widened on the transformed scale.
    law = binom(sizes[0], target) if kind == "binomial" else poisson(sizes[0] * target)
    widening = np.sqrt(1 + tau2 / deviation[0] ** 2)
    widened = []
    for limit in limits(law, sizes[0] if kind == "binomial" else np.inf):
        if kind == "binomial":
            angle = centre + (np.arcsin(np.sqrt(limit / sizes[0])) - centre) * widening
            widened.append(np.sin(np.clip(angle, 0, np.pi / 2)) ** 2)
        else:
            root = 1 + (np.sqrt(limit / (sizes[0] * target)) - 1) * widening
            widened.append(target * max(root, 0.0) ** 2)
    return [phi, tau2, *widened]


def groups():
    rng = np.random.default_rng(2012)
    for at in range(120):
        size = int(rng.integers(10, 200))
        kind = ("binomial", "poisson")[at % 2]
        sizes = np.maximum(1, np.exp(rng.normal(7, 1, size))).astype(int)
        between = (0.0, 0.02, 0.2, 0.6)[at % 4]
        if kind == "binomial":
            odds = np.log(0.05) + rng.normal(0, between, size)
            counts = rng.binomial(sizes, 1 / (1 + np.exp(-odds)))
        else:
            counts = rng.poisson(sizes * 1.3 * np.exp(rng.normal(0, between, size)))
        if at % 10 == 3:
            counts[: size // 5] = 0
        yield kind, counts, sizes


with open(HERE / "funnel_limits.csv", "w", newline="") as file:
    out = csv.writer(file, lineterminator="\n")
    out.writerow(["law", "trials", "share_or_mean", "lower_998", "lower_95", "upper_95", "upper_998"])
    for name, n, parameter, law in cases():
        out.writerow([name, n, repr(parameter), *(repr(float(limit)) for limit in limits(law, n if name == "binomial" else np.inf))])

with open(HERE / "dispersion.csv", "w", newline="") as file:
    out = csv.writer(file, lineterminator="\n")
    out.writerow(["law", "phi", "tau2", "lower_998", "lower_95", "upper_95", "upper_998", "counts", "sizes"])
    for kind, counts, sizes in groups():
        figures = [repr(float(figure)) for figure in dispersion(kind, counts, sizes)]
        out.writerow([kind, *figures, " ".join(map(str, counts)), " ".join(map(str, sizes))])
