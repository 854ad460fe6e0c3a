"""The contract of auxiliary heads, which help a deep network to train and are not used afterwards.

A model says by `aux_count` how many it has, and by `default_aux_weights` what their losses weigh.
In training mode it returns `(logits, [auxiliary logits, ...])`, each (B, K, H, W); in evaluation
mode its logits alone. Source: Zhao et al., "Pyramid Scene Parsing Network" (CVPR 2017, section
3.3).
"""

from collections.abc import Sequence

from torch import Tensor, nn

from utils import LabError


class WithAuxiliary(nn.Module):
    """criterion(logits) + Σ weight · criterion(auxiliary logits).

    In evaluation mode a model gives no auxiliary logits, and this is the criterion itself.

    Args:
        criterion: the loss of logits and target.
        aux_weights: one weight for each auxiliary head.
    """

    def __init__(self, criterion: nn.Module, aux_weights: Sequence[float]) -> None:
        super().__init__()
        self.criterion, self.aux_weights = criterion, tuple(aux_weights)
        if hasattr(criterion, "denominator"):
            self.denominator = criterion.denominator

    def forward(self, output: Tensor | tuple[Tensor, list[Tensor]], target: Tensor) -> Tensor:
        """Returns the loss, a scalar."""
        if isinstance(output, Tensor):
            return self.criterion(output, target)
        logits, auxiliary = output
        loss = self.criterion(logits, target)
        for weight, each in zip(self.aux_weights, auxiliary, strict=True):
            loss = loss + weight * self.criterion(each, target)
        return loss


def with_auxiliary(
    criterion: nn.Module, model: nn.Module, aux_weights: Sequence[float] | None = None
) -> nn.Module:
    """As `zoo.with_auxiliary`.

    Raises:
        LabError: for weights of heads that the model does not have.
    """
    count = getattr(model, "aux_count", 0)
    if aux_weights is not None and len(aux_weights) != count:
        raise LabError(
            f"--aux-weights takes {count} numbers for this model, not {len(aux_weights)}"
        )
    return WithAuxiliary(criterion, aux_weights or model.default_aux_weights)
