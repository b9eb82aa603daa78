"""Muon: momentum whose matrices are made orthogonal, which learns more from each sample."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

# Newton-Schulz iteration of fifth order (Jordan et al., 2024).
_COEFFICIENTS = (3.4445, -4.775, 2.0315)
_ITERATIONS = 4


def orthogonal(matrices: Tensor) -> Tensor:
    """The matrices [B, R, C] with all singular values near one."""
    a, b, c = _COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    made = (matrices.mT if tall else matrices).bfloat16()
    made = made / (made.flatten(1).norm(dim=1).view(-1, 1, 1) + 1e-7)
    for _ in range(_ITERATIONS):
        square = made @ made.mT
        made = a * made + (b * square + c * square @ square) @ made
    return (made.mT if tall else made).float()


class Muon(torch.optim.Optimizer):
    """For weights of two or more dimensions; convolutions count as matrices [out, the rest].

    Steps are scaled to those of AdamW (arXiv:2502.16982), so that both share a learning rate.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # noqa: ARG002 (torch passes it)
        """One step; weights of equal shape are worked out together."""
        for group in self.param_groups:
            alike: dict[tuple[int, int], list[nn.Parameter]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    rows = parameter.shape[0]
                    alike.setdefault((rows, parameter.numel() // rows), []).append(parameter)
            for shape, parameters in alike.items():
                self._step_alike(group, shape, parameters)

    def _step_alike(
        self, group: dict, shape: tuple[int, int], parameters: list[nn.Parameter]
    ) -> None:
        directions = []
        for parameter in parameters:
            state = self.state[parameter]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(parameter)
            moving = state["momentum"]
            moving.lerp_(parameter.grad, 1 - group["momentum"])
            ahead = parameter.grad.lerp(moving, group["momentum"])
            directions.append(ahead.reshape(shape))
        made = orthogonal(torch.stack(directions))
        scale = 0.2 * max(shape) ** 0.5
        for parameter, direction in zip(parameters, made, strict=True):
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(direction.reshape(parameter.shape), alpha=-group["lr"] * scale)
