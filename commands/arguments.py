"""The arguments of main.py's commands, `train` aside; each is described when it is called."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from commands.command_line import LARGEST, below_one, positive, whole
from commands.train import DEVICE_NAMES, add_reading_arguments

CALIBRATED_HELP = "divide the logits by the temperature that the model keeps (default: off)"
METRIC_NAMES = ("macro_f1", "mean_iou")
STORE_NAMES = ("mlflow", "trackio", "wandb")


def add_test_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes `test`."""
    parser.add_argument(
        "--modelpath", type=Path, required=True, metavar="MODEL", help="a model.onnx or a best.pt"
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--image",
        nargs="+",
        type=Path,
        metavar="FILE|DIR",
        help="segment photos, or folders of them",
    )
    what.add_argument("--split", metavar="SPLIT", help="evaluate the model on a split, such as val")
    add_split_arguments(parser.add_argument_group("with --split"))
    with_image = parser.add_argument_group("with --image")
    confidence_help = "write the probability of each pixel's class too, grey (default: off)"
    with_image.add_argument("--confidence", action="store_true", help=confidence_help)
    with_image.add_argument("--calibrated", action="store_true", help=CALIBRATED_HELP)
    add_view_arguments(parser.add_argument_group("how the network sees an image"))
    parser.add_argument(
        "--device",
        choices=DEVICE_NAMES,
        default="auto",
        help="where a best.pt runs; a model.onnx runs on the CPU (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for the results (default: predictions, or test_SPLIT beside the model)",
    )


def add_split_arguments(group: argparse._ArgumentGroup) -> None:
    """The part of `test` about the images of a split."""
    group.add_argument(
        "--datadir", type=Path, metavar="DIR", help="data folder (default: toy streets)"
    )
    add_reading(group, "that of the model's training")
    group.add_argument("--cities", nargs="+", metavar="CITY", help="these cities (default: all)")
    group.add_argument(
        "--limit", type=whole, metavar="N", help="at most so many images (default: all)"
    )
    group.add_argument("--batch-size", type=whole, metavar="N", help="images at once (default: 4)")
    group.add_argument(
        "--mapping",
        type=Path,
        metavar="FILE",
        help="table of lines source<TAB>target from the model's classes to the data's, or a ready "
        "one to Cityscapes: voc, coco, ade20k; not with --window (default: the same classes)",
    )
    group.add_argument(
        "--save-predictions",
        action="store_true",
        help="write each prediction as the data's own label ids, and as an overlay (default: off)",
    )


def add_view_arguments(group: argparse._ArgumentGroup) -> None:
    """The part of `test` about scales, mirror images and windows."""
    group.add_argument(
        "--scales",
        type=positives,
        metavar="S,S,...",
        help="average over these factors of the size at which the network sees an image, such as "
        "0.5,1,2; with --window, of the image's own size (default: 1)",
    )
    group.add_argument(
        "--flip", action="store_true", help="average over the mirror image too (default: off)"
    )
    group.add_argument(
        "--window",
        nargs=2,
        type=whole,
        metavar=("H", "W"),
        help="go over the image at its own size, H x W pixels at a time (default: whole image)",
    )
    group.add_argument(
        "--overlap",
        type=below_one,
        metavar="X",
        help="part of a --window that the next one sees again, at most 0.9 (default: one third)",
    )


def positives(text: str) -> list[float]:
    """An argparse type: numbers above 0, separated by commas."""
    try:
        return [positive(part) for part in text.split(",")]
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(
            f"{text} is not numbers above 0, separated by commas, such as 0.5,1,2"
        ) from error


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what all commands that look at a data folder share."""
    parser.add_argument(
        "--datadir",
        type=Path,
        metavar="DIR",
        help="data folder: your own, as downloaded, or prepared (default: toy streets)",
    )
    add_reading(parser)
    parser.add_argument(
        "--cities", nargs="+", metavar="CITY", help="only these cities (default: all)"
    )


def add_reading(group: argparse._ActionsContainer, otherwise: str = "{}") -> None:
    """Adds how a data folder is read; what is not given is None, or False for a switch."""

    def add(flag: str, text: str, default: str, **options: Any) -> None:
        group.add_argument(flag, help=f"{text} (default: {default})", **options)

    add_reading_arguments(add, otherwise)


def add_picture_arguments(parser: argparse.ArgumentParser, picture: str) -> None:
    """Adds what the commands that draw share: one split, and where the picture goes."""
    add_data_arguments(parser)
    parser.add_argument("--split", default="train", help="which split (default: %(default)s)")
    parser.add_argument(
        "--output",
        type=png_path,
        default=Path(picture),
        metavar="FILE",
        help="the picture to write (default: %(default)s)",
    )


def png_path(text: str) -> Path:
    """An argparse type: where a picture goes."""
    if Path(text).suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"{text} does not end in .png")
    return Path(text)


def add_limit(parser: argparse.ArgumentParser) -> None:
    """Adds the limit of images per split."""
    parser.add_argument(
        "--limit", type=whole, metavar="N", help="at most so many images of a split (default: all)"
    )


def add_size(parser: argparse.ArgumentParser, height: int, width: int, most: int) -> None:
    """Adds the size with its default; neither side may be above `most` pixels."""
    parser.add_argument(
        "--size",
        type=partial(whole, least=2, most=most),
        nargs=2,
        default=(height, width),
        metavar=("H", "W"),
        help=f"height and width in pixels (default: {height} {width})",
    )


def add_show_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes `show`."""
    add_picture_arguments(parser, "plots/show.png")
    add_limit(parser)
    parser.add_argument(
        "--samples", type=whole, default=4, metavar="N", help="rows to draw (default: %(default)s)"
    )


def add_stats_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes `stats`."""
    add_picture_arguments(parser, "plots/stats.png")
    add_limit(parser)


def add_augment_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes `augment`."""
    add_picture_arguments(parser, "plots/augment.png")
    add_size(parser, 128, 256, most=4096)
    add = partial(parser.add_argument, metavar="N")
    add("--index", type=int, default=0, help="which sample (default: %(default)s)")
    add("--draws", type=whole, default=6, help="how many draws (default: %(default)s)")
    add("--seed", type=int, default=0, help="of the draws (default: %(default)s)")


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes `check`."""
    add_data_arguments(parser)
    parser.add_argument("--split", help="only this split (default: all)")


def add_prepare_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes `prepare`."""
    add_data_arguments(parser)
    parser.add_argument(
        "--splits", nargs="+", metavar="SPLIT", help="only these splits (default: all)"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to make")
    add_limit(parser)
    add_size(parser, 256, 512, most=LARGEST)


def add_classes_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes `classes`."""
    parser.add_argument("folder", type=Path, help="a folder with images/ and masks/")


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes `export`."""
    add = parser.add_argument
    add("--output", type=Path, required=True, metavar="FILE", help="the file to write, .onnx")
    run_help = "folder of a run (either this, or --model, --weights and --classes)"
    add("--run", type=Path, dest="run_folder", metavar="RUN", help=run_help)
    add("--model", metavar="NAME", help="network of published weights, as in train --model")
    weights_help = "state dict for --model; with --run another checkpoint of its folder, such as "
    weights_help += "last.pt (default: best.pt)"
    add("--weights", type=Path, metavar="FILE", help=weights_help)
    classes_help = "label set of published weights: ade20k, camvid, cityscapes, mapillary, "
    add("--classes", metavar="SET", help=classes_help + "pascal_voc, or a classes.json")
    size_help = "height and width at which images are seen, pixels (default: the run's; 512 512 "
    size = {"type": partial(whole, least=2), "metavar": ("H", "W")}
    add("--size", nargs=2, **size, help=size_help + "for published weights)")
    opset_help = "version of ONNX's operators (default: the exporter's own)"
    add("--opset", type=whole, metavar="N", help=opset_help)
    add("--argmax", action="store_true", help="class ids come out, uint8 (default: logits)")


def add_quantize_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes `quantize`."""
    parser.description = "writes MODEL.fp16.onnx and MODEL.int8.onnx beside it, and compares all"
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help="a model.onnx")
    add("--datadir", type=Path, metavar="DIR", help="data folder (default: toy streets)")
    split_help = "split on which the files are compared (default: %(default)s)"
    add("--split", default="val", help=split_help)
    images_help = "training images on which the ranges are measured (default: %(default)s)"
    add("--images", type=whole, default=64, metavar="N", help=images_help)
    add_limit(parser)
    most_help = "largest accepted fall of macro F1 or mean IoU, 0 to 1; a larger one ends with "
    most_help += "exit code 1 (default: %(default)s)"
    add("--most", type=below_one, default=0.02, metavar="X", help=most_help)


def add_errors_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes `errors`."""
    add = parser.add_argument
    model_help = "a model.onnx, a best.pt, or the folder of a run"
    add("model", type=Path, metavar="MODEL", help=model_help)
    add("--datadir", type=Path, metavar="DIR", help="data folder (default: toy streets)")
    add("--split", default="val", help="which split (default: %(default)s)")
    add("--cities", nargs="+", metavar="CITY", help="only these cities (default: all)")
    add_limit(parser)
    add_reading(parser, "that of the model's training")
    device_help = "where a best.pt runs (default: %(default)s)"
    add("--device", choices=DEVICE_NAMES, default="auto", help=device_help)
    output_help = "folder for the files (default: errors_SPLIT beside the model, errors_SPLIT_NAME "
    output_help += "for one that is not called model.onnx)"
    add("--output", type=Path, metavar="DIR", help=output_help)
    keep_help = "put the temperature that mends the confidence into the model.onnx (default: off)"
    add("--keep-temperature", action="store_true", help=keep_help)
    add("--calibrated", action="store_true", help=CALIBRATED_HELP)


def add_serve_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes `serve`."""
    add = parser.add_argument
    models_help = "a model.onnx; with several, the page shows them side by side"
    add("models", type=Path, nargs="+", metavar="MODEL", help=models_help)
    host_help = "address to listen at; 0.0.0.0 for the whole network (default: %(default)s)"
    add("--host", default="127.0.0.1", metavar="HOST", help=host_help)
    port_help = "port to listen at; 0 for any that is free (default: %(default)s)"
    port = {"type": partial(whole, least=0, most=65535), "default": 8000, "metavar": "N"}
    add("--port", **port, help=port_help)


def add_web_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes `web`."""
    add = parser.add_argument
    output_help = "folder to write; one of an earlier call is written anew"
    add("output", type=Path, metavar="OUT", help=output_help)
    models_help = "a model.onnx; with several, the page shows them side by side"
    models = {"type": Path, "nargs": "+", "required": True, "metavar": "FILE"}
    add("--model", dest="models", help=models_help, **models)
    runtime_help = "onnxruntime-web, unpacked from its npm package (default: npm fetches it)"
    add("--runtime", type=Path, metavar="FOLDER", help=runtime_help)


def add_compare_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes `compare`."""
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="folders of runs, or folders full of them",
    )
    parser.add_argument(
        "--metric",
        choices=METRIC_NAMES,
        default=METRIC_NAMES[0],
        help="score to sort by and to draw (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for the tables and pictures (default: comparison, beside the runs)",
    )
    parser.add_argument(
        "--beside",
        type=Path,
        metavar="FILE",
        help="table of others' scores, printed below and, where runs differ in their labelled "
        "pixels, drawn over these; such as docs/studies/half_published.tsv (default: none)",
    )


def add_track_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes `track`."""
    parser.description = "replays runs into a local store; a second call adds only what is new"
    add = parser.add_argument
    add(
        "runs",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="folders of runs, finished or running, or full of them",
    )
    add("--to", choices=STORE_NAMES, required=True, help="whose store")
    store_help = "folder of the store (default: tracking/mlflow, and so on)"
    add("--store", type=Path, metavar="DIR", help=store_help)


ARGUMENTS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "test": add_test_arguments,
    "compare": add_compare_arguments,
    "track": add_track_arguments,
    "export": add_export_arguments,
    "quantize": add_quantize_arguments,
    "errors": add_errors_arguments,
    "serve": add_serve_arguments,
    "web": add_web_arguments,
    "show": add_show_arguments,
    "stats": add_stats_arguments,
    "augment": add_augment_arguments,
    "check": add_check_arguments,
    "prepare": add_prepare_arguments,
    "classes": add_classes_arguments,
}
