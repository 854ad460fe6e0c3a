"""The loss of models with auxiliary heads: what they give in training, and how it is weighed."""

from collections.abc import Sequence

from torch import Tensor, nn


class WithAuxiliary(nn.Module):
    """criterion(logits) + Σ weight · criterion(auxiliary logits).

    A model with auxiliary heads returns in training mode `(logits, [auxiliary logits, ...])`, each
    (B, K, H, W), and in evaluation mode its logits alone, for which this is the criterion itself.

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
