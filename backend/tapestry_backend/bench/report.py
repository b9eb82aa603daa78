"""The figures as a table with their goals beside them; measures nothing."""

from __future__ import annotations

from collections.abc import Mapping

from .goals import GOALS

Figures = Mapping[str, Mapping[str, float]]


def table(figures: Figures, errors: Figures) -> str:
    """One line for each figure: name, value, standard error, goal, whether it is met, meaning."""
    lines = [f"{'figure':<28}{'value':>9}{'+-':>8}  {'goal':<9}{'':<9}"]
    for measure, found in figures.items():
        for name, value in found.items():
            goal, error = GOALS[measure][name], errors[measure].get(name)
            chance = "" if error is None else f"{error:.4f}"
            lines.append(
                f"{_key(measure, name):<28}{value:>9.4f}{chance:>8}  {goal!s:<9}"
                f"{_VERDICTS[goal.is_met(value)]:<9}{goal.text}"
            )
    return "\n".join(line.rstrip() for line in lines)


def _key(measure: str, name: str) -> str:
    return measure if measure == name else f"{measure}.{name}"


_VERDICTS = {True: "met", False: "NOT MET", None: ""}
