"""Tables of candidates and of samples that the tests of reports and curves share."""

import numpy as np

from mechanism.tables.candidates import Candidates
from mechanism.tables.support import Support

LAM = 0.1


NAMES = ("harmless", "humor")


FEW = dict(alphas=np.array([0.0, 0.4, 1.0, 2.5]), betas=np.array([0.5, 1.0, 1.7]), replicates=20)


def soups(seed=0, k=7, prompts=12, noise=0.1):
    """A concave front with noise, and KL that grows towards its ends."""
    rng = np.random.default_rng(seed)
    share = np.linspace(0, 1, k)
    front = 0.4 + 0.3 * np.sqrt(np.stack([share, 1 - share]))
    rewards = front[..., None] + noise * rng.normal(size=(2, k, prompts))
    kl = 0.3 * (share - 0.5)[:, None] ** 2 + 0.05 * rng.normal(size=(k, prompts))
    return Candidates(tuple(f"soup {s:.2f}" for s in share), NAMES, rewards, kl, np.abs(kl))


def samples(seed=0, prompts=8, count=16):
    rng = np.random.default_rng(seed)
    raw = rng.beta(2, 2, size=(prompts, 2, count)) + 0.2 * rng.normal(size=(prompts, 1, 1))
    return Support(NAMES, raw, raw.min(axis=(0, 2)), raw.max(axis=(0, 2)))
