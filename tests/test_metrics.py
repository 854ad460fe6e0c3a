"""The confusion matrix and its scores, by hand and against torchmetrics."""

import math

import pytest
import torch
from torchmetrics.classification import MulticlassF1Score, MulticlassJaccardIndex

from metrics import (
    ConfusionMatrix,
    LossMeter,
    f1_per_class,
    iou_per_class,
    macro_f1,
    mean_accuracy,
    mean_iou,
    pixel_accuracy,
    scores,
)

SCORES = (macro_f1, mean_iou, pixel_accuracy, mean_accuracy)


def confusion_of(predictions, target, num_classes=3, ignore_index=255):
    confusion = ConfusionMatrix(num_classes, ignore_index)
    confusion.update(torch.tensor([predictions]), torch.tensor([target]))
    return confusion.matrix


def test_confusion_matrix_rows_are_truth():
    matrix = confusion_of([[1, 1, 0, 2]], [[0, 1, 0, 0]])
    assert matrix.tolist() == [[1, 1, 1], [0, 1, 0], [0, 0, 0]]
    assert matrix.dtype == torch.int64


def test_confusion_matrix_leaves_out_void_by_target_alone():
    assert confusion_of([[0, 1, 2]], [[255, 255, 2]]).sum() == 1
    with pytest.raises(ValueError, match="class ids must be 0"):
        confusion_of([[255, 1]], [[0, 1]])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_confusion_matrix_takes_uint8_and_int64(dtype):
    confusion = ConfusionMatrix(200)
    confusion.update(
        torch.tensor([[[199, 3]]], dtype=dtype), torch.tensor([[[198, 3]]], dtype=dtype)
    )
    assert confusion.matrix[198, 199] == 1 and confusion.matrix[3, 3] == 1
    assert confusion.matrix.sum() == 2


@pytest.mark.parametrize(
    ("predictions", "target"), [([[3]], [[0]]), ([[0]], [[3]]), ([[-1]], [[1]])]
)
def test_confusion_matrix_rejects_ids_outside(predictions, target):
    with pytest.raises(ValueError, match="class ids must be 0"):
        confusion_of(predictions, target)


def test_confusion_matrix_rejects_logits():
    with pytest.raises(ValueError, match="argmax"):
        ConfusionMatrix(3).update(torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long))


def test_confusion_matrix_adds_up_and_resets():
    confusion = ConfusionMatrix(2)
    for _ in range(3):
        confusion.update(torch.tensor([[[0, 1]]]), torch.tensor([[[0, 0]]]))
    assert confusion.matrix.tolist() == [[3, 3], [0, 0]]
    confusion.reset()
    assert confusion.matrix.sum() == 0


def test_scores_of_the_set_are_not_means_of_batches():
    confusion = ConfusionMatrix(2)
    confusion.update(torch.tensor([[[0, 0, 0, 0]]]), torch.tensor([[[0, 0, 0, 1]]]))
    confusion.update(torch.tensor([[[1, 1, 1, 1]]]), torch.tensor([[[1, 1, 1, 1]]]))
    expected = (2 * 3 / (2 * 3 + 1) + 2 * 4 / (2 * 4 + 1)) / 2
    assert macro_f1(confusion.matrix) == pytest.approx(expected, abs=1e-12)


def test_f1_is_nan_where_absent_and_zero_where_only_predicted():
    matrix = torch.tensor([[4, 0, 1], [0, 0, 0], [0, 0, 0]])
    f1 = f1_per_class(matrix)
    assert f1.dtype == torch.float64
    assert f1[0].item() == pytest.approx(8 / 9) and math.isnan(f1[1]) and f1[2] == 0
    iou = iou_per_class(matrix)
    assert iou[0].item() == pytest.approx(4 / 5) and math.isnan(iou[1]) and iou[2] == 0
    assert macro_f1(matrix) == pytest.approx((8 / 9) / 2)
    assert mean_iou(matrix) == pytest.approx((4 / 5) / 2)
    assert pixel_accuracy(matrix) == pytest.approx(4 / 5)
    assert mean_accuracy(matrix) == pytest.approx(4 / 5)


@pytest.mark.parametrize("score", SCORES)
def test_scores_are_floats_and_zero_without_counts(score):
    value = score(torch.zeros(3, 3, dtype=torch.int64))
    assert isinstance(value, float) and value == 0.0


@pytest.mark.parametrize("seed", range(4))
def test_scores_equal_torchmetrics(seed):
    generator = torch.Generator().manual_seed(seed)
    present = torch.randperm(19, generator=generator)[: 8 + 3 * seed]
    confusion = ConfusionMatrix(19)
    oracles = {
        macro_f1: MulticlassF1Score(19, average="macro", ignore_index=255),
        mean_iou: MulticlassJaccardIndex(19, average="macro", ignore_index=255),
    }
    for _ in range(3):
        target = present[torch.randint(len(present), (2, 40, 50), generator=generator)]
        noise = present[torch.randint(len(present), target.shape, generator=generator)]
        is_noise = torch.rand(target.shape, generator=generator) < 0.5
        predictions = torch.where(is_noise, noise, target)
        target = torch.where(torch.rand(target.shape, generator=generator) < 0.2, 255, target)
        confusion.update(predictions, target)
        for oracle in oracles.values():
            oracle.update(predictions, target)
    for score, oracle in oracles.items():
        assert score(confusion.matrix) == pytest.approx(oracle.compute().item(), abs=1e-6)


def test_scores_of_a_matrix_name_each_class():
    result = scores(torch.tensor([[6, 2, 0], [0, 0, 0], [0, 0, 0]]), ["road", "car", "train"])
    assert result["classes"] == {
        "road": {"f1": pytest.approx(12 / 14), "iou": 0.75, "pixels": 8},
        "car": {"f1": 0.0, "iou": 0.0, "pixels": 0},
        "train": {"f1": None, "iou": None, "pixels": 0},
    }
    assert (result["macro_f1"], result["mean_iou"]) == (pytest.approx(6 / 14), 0.375)
    assert (result["pixel_accuracy"], result["mean_accuracy"]) == (0.75, 0.75)


def test_loss_meter_weighs_batches_by_their_denominators():
    meter = LossMeter()
    meter.add(torch.tensor(2.0), torch.tensor(1.0))
    meter.add(torch.tensor(5.0), torch.tensor(3.0))
    assert meter.mean() == pytest.approx((2 + 15) / 4)
    assert LossMeter().mean() == 0.0
