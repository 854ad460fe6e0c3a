"""What others have counted: the share of each class over a whole data set, to compare with ours.

Stanford 2D-3D-S: J. Fix, "Semantic segmentation", lab work at CentraleSupélec, section "Data
exploration": all 70,496 masks, `<UNK>` counted among the labels.
"""

from support.formats.labels import LabelSet

PERCENT = {
    "Stanford 2D-3D-S": {
        "<UNK>": 1.26, "beam": 1.57, "board": 2.71, "bookcase": 7.17, "ceiling": 9.94,
        "chair": 3.87, "clutter": 11.23, "column": 3.05, "door": 10.98, "floor": 8.45,
        "sofa": 0.33, "table": 2.88, "wall": 33.67, "window": 2.88,
    },
}  # fmt: skip
"""By the name of the label set; of the labelled pixels."""


def published_shares(labels: LabelSet) -> dict[str, float]:
    """The published share of each class of a set, 0 ... 1, among those that it learns; or none."""
    known = PERCENT.get(labels.name, {})
    shares = {name: known[name] for name in labels.names if name in known}
    total = sum(shares.values())
    return {name: share / total for name, share in shares.items()}
