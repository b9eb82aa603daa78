"""The figures as a table with their goals beside them."""

from __future__ import annotations

from collections.abc import Mapping

from ..common.goals import GOALS, Goal

Figures = Mapping[str, Mapping[str, float]]


def table(figures: Figures, errors: Figures) -> str:
    """One line for each figure: name, value, standard error, goal, whether it is met, meaning."""
    lines = [f"{'figure':<28}{'value':>9}{'+-':>8}  {'goal':<9}{'':<9}meaning"]
    for measure, found in figures.items():
        for name, value in found.items():
            goal, error = GOALS[measure][name], errors[measure].get(name)
            chance = "" if error is None else f"{error:.4f}"
            lines.append(
                f"{_key(measure, name):<28}{value:>9.4f}{chance:>8}  {goal!s:<9}"
                f"{_verdict(goal, value, error or 0):<9}{goal.text}"
            )
    return "\n".join(line.rstrip() for line in lines)


def _key(measure: str, name: str) -> str:
    return measure if measure == name else f"{measure}.{name}"


def _verdict(goal: Goal, value: float, error: float) -> str:
    """Missed by less than two standard errors is no answer: a full run has smaller ones."""
    met = goal.is_met(value)
    if met is None or met:
        return "met" if met else ""
    return (
        "in doubt" if goal.is_met(value - 2 * error) or goal.is_met(value + 2 * error) else "MISSED"
    )
