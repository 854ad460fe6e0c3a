"""Chapter 4, metrics: scores of small confusion matrices, void, absent classes, batches."""

import torch
from torch import Tensor

from metrics import (
    ConfusionMatrix,
    f1_per_class,
    iou_per_class,
    macro_f1,
    mean_accuracy,
    mean_iou,
    pixel_accuracy,
)
from teacher.exam.questions.question import Draw, Question

CLASSES = ("road", "car", "person")


def draw_matrix(draw: Draw) -> Tensor:
    """Counts of three classes, the later ones rarer."""
    rows = []
    for k, most in enumerate((90, 40, 20)):
        row = [draw.whole(0, max(4, most // 6)) for _ in CLASSES]
        row[k] = draw.whole(most // 4, most)
        rows.append(row)
    return torch.tensor(rows)


def as_table(matrix: Tensor) -> list[list[object]]:
    """A matrix with its headings."""
    rows = [[name, *row] for name, row in zip(CLASSES, matrix.tolist(), strict=True)]
    return [["target ↓ prediction →", *CLASSES], *rows]


def mean_precision(matrix: Tensor) -> float:
    """The mean of TP / (TP + FP) over the classes that are predicted."""
    predicted = matrix.sum(dim=0)
    return (matrix.diagonal() / predicted)[predicted > 0].mean().item()


def macro_f1_of_a_matrix(draw: Draw) -> Question:
    """The macro F1."""
    matrix = draw_matrix(draw)
    precision, recall = mean_precision(matrix), mean_accuracy(matrix)
    return Question(
        "What is the macro F1 of this confusion matrix?",
        macro_f1(matrix),
        "2 TP / (2 TP + FP + FN) of each class, then the mean of the three.",
        {
            "this is the mean IoU: TP counts twice in the F1, above and below": mean_iou(matrix),
            "this is the pixel accuracy, which is the micro F1; take the mean of the classes' F1": (
                pixel_accuracy(matrix)
            ),
            "this is the F1 of mean precision and mean recall; take the mean of the F1s": (
                2 * precision * recall / (precision + recall)
            ),
        },
        table=as_table(matrix),
    )


def macro_f1_with_void(draw: Draw) -> Question:
    """The macro F1 of someone who counts void."""
    matrix, count, guess = draw_matrix(draw), draw.whole(10, 60), draw.whole(1, 2)
    confusion = ConfusionMatrix(3, ignore_index=255)
    confusion.matrix = matrix.clone()
    void = torch.zeros(1, 1, count, dtype=torch.int64)  # taken for class 0
    confusion.update(torch.full_like(void, guess), void)
    right = matrix.clone()
    right[guess, guess] += count
    return Question(
        f"In this matrix, void is left out. There were {count} void pixels, for which the network "
        f"said {CLASSES[guess]}. Someone turns void into class 0, road, before counting. What "
        "macro F1 do they get?",
        macro_f1(confusion.matrix),
        "The void pixels join row road: road gets FN, the predicted class as many FP.",
        {
            "this is the right macro F1, without void; asked is what the mistake gives": macro_f1(
                matrix
            ),
            "void was counted as correct; the target says road, the prediction another class": (
                macro_f1(right)
            ),
            "this is the mean IoU of that matrix": mean_iou(confusion.matrix),
        },
        table=as_table(matrix),
    )


def mean_iou_with_an_absent_class(draw: Draw) -> Question:
    """The mean IoU where a fourth class occurs nowhere."""
    matrix = torch.zeros(4, 4, dtype=torch.int64)
    matrix[:3, :3] = draw_matrix(draw)
    score = mean_iou(matrix)
    return Question(
        "A data set has four classes: these three, and train, which is neither in the target nor "
        "in a prediction. What is the mean IoU?",
        score,
        "TP / (TP + FP + FN) of each class that occurs; train has 0/0 and is left out of the mean.",
        {
            "train was counted as 0; a class that occurs nowhere is left out of the mean": score
            * 3
            / 4,
            "train was counted as 1; a class that occurs nowhere is left out of the mean": (
                score * 3 + 1
            )
            / 4,
            "this is the macro F1; in the IoU, TP counts once": macro_f1(matrix),
        },
        table=as_table(matrix[:3, :3]),
    )


def mean_accuracy_of_a_matrix(draw: Draw) -> Question:
    """The mean recall where one class has no target pixel."""
    matrix = draw_matrix(draw)
    matrix[2] = 0
    score = mean_accuracy(matrix)
    return Question(
        "No pixel of the target is a person, but some are predicted as one. What is the mean "
        "accuracy?",
        score,
        "The recall TP / (TP + FN) of each class that has target pixels, then their mean.",
        {
            "person was counted as 0; without target pixels it has no recall": score * 2 / 3,
            "this is the pixel accuracy; take the mean of the classes' recalls": pixel_accuracy(
                matrix
            ),
            "this is the mean precision: columns were taken for rows": mean_precision(matrix),
        },
        table=as_table(matrix),
    )


def f1_of_two_batches(draw: Draw) -> Question:
    """The F1 of a class over batches of unlike size."""
    small = [draw.whole(1, 9), draw.whole(0, 9), draw.whole(1, 12)]
    large = [draw.whole(60, 190), draw.whole(5, 60), draw.whole(5, 60)]

    def matrix(tp: int, fp: int, fn: int) -> Tensor:
        return torch.tensor([[0, fp], [fn, tp]])

    first, second = matrix(*small), matrix(*large)
    both = first + second
    return Question(
        "The table counts the pixels of class person in two batches. What is its F1 over both?",
        f1_per_class(both)[1].item(),
        "Add up TP, FP and FN over the batches; divide once, at the end.",
        {
            "this is the mean of the batches' F1; add the counts up first": (
                (f1_per_class(first)[1] + f1_per_class(second)[1]) / 2
            ).item(),
            "this is the IoU over both; in the F1, TP counts twice": iou_per_class(both)[1].item(),
            "this is the F1 of the second batch alone": f1_per_class(second)[1].item(),
        },
        table=[["", "TP", "FP", "FN"], ["batch 1", *small], ["batch 2", *large]],
    )


QUESTIONS = (
    macro_f1_of_a_matrix,
    macro_f1_with_void,
    mean_iou_with_an_absent_class,
    mean_accuracy_of_a_matrix,
    f1_of_two_batches,
)
