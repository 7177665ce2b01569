"""Certified gains of Theorem 4.2's construction: rational games under KL, in ball arithmetic."""

from fractions import Fraction as F

from mechanism.certificates.gradient import THIRDS, Instance, gain

INSTANCES = {
    "summation": Instance(
        ((F(1, 2), F(1, 3), F(1, 6)), (F(1, 4), F(1, 4), F(1, 2))), (2, 3), THIRDS,
        (F(7, 12), F(1, 3), F(1, 12)),
    ),
    "maximum": Instance(
        ((F(1), F(1, 2), F(1, 4)), (F(1, 4), F(1, 2), F(1))), (2, 3), THIRDS,
        (F(1), F(1, 2), F(1, 8)),
    ),
}  # fmt: skip


def certified_gains() -> dict[str, tuple[float, float]]:
    """Lower and upper end of the ball that holds each gain, rounded outwards by one float.

    >>> all(low > 0 for low, _ in certified_gains().values())
    True
    """
    balls = {name: gain(instance) for name, instance in INSTANCES.items()}
    return {
        name: (float(ball.lower()) * (1 - 1e-15), float(ball.upper()) * (1 + 1e-15))
        for name, ball in balls.items()
    }
