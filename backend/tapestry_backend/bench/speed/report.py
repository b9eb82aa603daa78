"""The figures of `bench speed` as a table."""

from __future__ import annotations

from collections.abc import Mapping

from .cases import MOST_OVER_FLOOR, MOST_OVERHEAD, SAME_PICTURE, Case
from .known_shapes import ShapesRun
from .run import CaseResult, SpeedRun

_MIB = 2**20


def speed_table(speed: SpeedRun) -> str:
    """How it was run, then some lines for each case."""
    about = speed.run
    lines = [
        (
            f"{about['device']}, {about['dtype']}, {about['threads']} threads, seconds of the "
            f"{about['clock']}; best batch size {about['best_batch_size']}"
        )
    ]
    for case, found in speed.cases:
        lines.extend(_lines(case, found))
    return "\n".join(lines)


def shapes_table(shapes: ShapesRun) -> str:
    """How it was run, then some lines for each picture."""
    about = shapes.run
    lines = [
        (
            f"{about['model']}, random weights; {about['device']}, {about['dtype']}, batches of up "
            f"to {about['batch_size']} rows (best {about['best_batch_size']})"
        ),
        (
            f"matrices {about['matmul_flops_a_second'] / 1e12:.2f} TFLOP/s; one evaluation "
            f"{about['evaluation_flops'] / 1e9:.2f} GFLOP"
        ),
    ]
    for case in shapes.cases:
        lines += [
            (
                f"{case.name:<24}{case.seconds:9.3f} s, {case.num_inference_steps} steps, "
                f"{case.evaluations} evaluations, {case.launches_per_step:.0f} launches a step"
            ),
            (
                f"    of the matrices' throughput {case.matmul_share:.1%} in the U-Net, "
                f"{case.matmul_share_of_run:.1%} in all"
            ),
            (
                f"    floor {case.floor_s:.3f} s, run over floor {case.run_over_floor:.3f}; "
                f"overhead {case.overhead_share:.1%}; peak {case.peak_bytes / _MIB:.0f} MiB"
            ),
            f"    seconds: {_seconds(case.stages_s)}",
        ]
    return "\n".join(lines)


def _seconds(stages_s: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {seconds:.3f}" for name, seconds in stages_s.items())


def _lines(case: Case, found: CaseResult) -> list[str]:
    lines = [
        (
            f"{found.name:<18}{found.ratio:8.2f}  {case.goal!s:<7}"
            f"{_verdict(met=case.goal.is_met(found.ratio))}  {case.goal.text}"
        ),
        (
            f"    Tapestry {found.tapestry_s:.3f} s, {found.evaluations} evaluations; {found.peer} "
            f"{found.peer_s:.3f} s, {found.peer_evaluations} evaluations"
        ),
        (
            f"    floor {found.floor_s:.3f} s, run over floor {found.run_over_floor:.3f} "
            f"{_limit(found.run_over_floor, MOST_OVER_FLOOR)}; overhead {found.overhead_share:.1%} "
            f"{_limit(found.overhead_share, MOST_OVERHEAD)}; peak {found.peak_bytes / _MIB:.0f} MiB"
        ),
        (
            f"    seconds: {_seconds(found.stages_s)}; the U-Net alone, in batches of these sizes "
            f"{found.in_batches_s:.3f}"
        ),
    ]
    if found.latents_differ_by is not None:
        same = _limit(found.latents_differ_by, SAME_PICTURE)
        lines.append(f"    latents differ by {found.latents_differ_by:.1e} {same}")
    for title, figures in (("loss", found.loss), ("worth", found.worth)):
        if figures is not None:
            said = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
            lines.append(f"    {title}: {said}")
    if found.peer_peak_bytes is not None:
        lines.append(f"    peak of {found.peer}: {found.peer_peak_bytes / _MIB:.0f} MiB")
    return lines


def _limit(value: float, most: float) -> str:
    return f"(<= {most:g}: {_verdict(met=value <= most)})"


def _verdict(*, met: bool | None) -> str:
    return {True: "met", False: "MISSED", None: ""}[met]
