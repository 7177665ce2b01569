"""The audit's tables for people."""

from rich.console import RenderableType

from mechanism.tool.auditing.findings import Audit
from mechanism.tool.render import grid, number, plain, remarks


def audit_tables(found: Audit) -> list[RenderableType]:
    """Lies, least manipulations, noise, false names, pairs, the user's rule, warnings, notes."""
    parts: list[RenderableType] = []
    if found.chosen is not None:
        parts.append(plain(f"Chosen when all are truthful: {found.chosen}"))
    parts += [plain(f"Search: {found.method}; {found.coverage}."), _lies(found)]
    if found.chosen is not None:
        parts.append(_least(found))
    if any(group.noise for group in found.groups.values()):
        parts.append(_noise(found))
    parts += [_names(found), _pairs(found)]
    if found.rule is not None:
        parts += _rule(found)
    return [*parts, *remarks(found.warnings, found.notes)]


def _lies(found: Audit) -> RenderableType:
    columns = ["group", "lies about", "gain, free", "outcome", "welfare lost", "gain, paid"]
    table = grid("Best misreports", columns, ["gain, free", "welfare lost", "gain, paid"])
    for name, group in found.groups.items():
        for lie in group.lies:
            table.add_row(
                plain(name), lie.way, number(lie.free_gain), plain(lie.outcome or ""),
                number(lie.welfare_cost), number(lie.paid_gain),
            )  # fmt: skip
    return table


def _least(found: Audit) -> RenderableType:
    columns = ["group", "reward by", "then", "size times", "then ", "own scale set by", "can move"]
    table = grid("Least manipulations that change the outcome", columns, ["reward by"])
    for name, group in found.groups.items():
        sizes = " or ".join(number(f) for f in group.least_size_factors if f is not None)
        then = " or ".join(k for k in group.least_size_outcomes if k is not None)
        ends, moves = "", ""
        if group.scale is not None:
            ends = f"{group.scale.bottom} to {group.scale.top}"
            moves = "no"
            if group.scale.changes:
                moves = "yes, not to its gain"
            if group.scale.free_gain > 0:
                moves = f"yes: {group.scale.outcome}, gain {number(group.scale.free_gain)} if free"
        table.add_row(
            plain(name), number(group.least_reward_change), plain(group.least_reward_outcome or ""),
            sizes or "none", plain(then), plain(ends), plain(moves),
        )  # fmt: skip
    return table


def _noise(found: Audit) -> RenderableType:
    columns = ["group", "eps", "2 w eps + delta", "half spread", "sharper bound"]
    table = grid("Theorem 4.12: gain that noise lets through, with payments", columns, columns[1:])
    for name, group in found.groups.items():
        if group.noise is not None:
            noise = group.noise
            table.add_row(
                plain(name), number(noise.epsilon), number(noise.bound), number(noise.half_spread),
                number(noise.sharp_bound),
            )  # fmt: skip
    return table


def _names(found: Audit) -> RenderableType:
    counts = [entry.names for entry in next(iter(found.false_names.values()))]
    columns = ["group", *(f"{m} name{'s' if m > 1 else ''}" for m in counts)]
    table = grid("False names: total payment, size split equally", columns, columns[1:])
    for name, entries in found.false_names.items():
        table.add_row(plain(name), *(number(entry.payment) for entry in entries))
    return table


def _pairs(found: Audit) -> RenderableType:
    columns = ["pair", "utilities", "gains, sizes doubled", "best joint gain", "outcome"]
    table = grid("Agreements of two groups, with payments", columns, columns[1:4])
    for pair in found.pairs:
        table.add_row(
            plain(" + ".join(pair.groups)), ", ".join(map(number, pair.utilities)),
            ", ".join(map(number, pair.doubled_gains)), number(pair.best_gain),
            plain(pair.outcome or ""),
        )  # fmt: skip
    return table


def _rule(found: Audit) -> list[RenderableType]:
    rule = found.rule
    assert rule is not None
    columns = ["group", "payment", "utility", "best gain found"]
    table = grid(f"Payment rule {rule.rule}", columns, columns[1:])
    for name, payment in rule.payments.items():
        table.add_row(
            plain(name), number(payment), number(rule.utilities[name]), number(rule.gains[name])
        )
    return [table, plain(f"{rule.method}, {rule.evaluations} runs.")]
