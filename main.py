"""The command line: train a network, test it on a split or on your own photos, look at data.

    python main.py train                                   (toy streets, the defaults)
    python main.py train --datadir cityscapes --cities-train hamburg --cities-val frankfurt
    python main.py test --modelpath runs/NAME/model.onnx --datadir cityscapes --split val
    python main.py test --modelpath model.onnx --image photo.jpg
    python main.py compare runs
    python main.py show | stats | augment | check | prepare --datadir cityscapes

Each command imports what it needs when it runs: `--help` answers at once, and inference with a
`model.onnx` needs no torch.
"""

import argparse
import os
import shlex
import sys
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands.command_line import (
    CommandLine,
    below_one,
    non_negative,
    positive,
    run_command,
    whole,
)
from commands.train import (
    DEFAULT_EPOCHS,
    DEFAULT_GAMMA,
    TRAIN_DEFAULTS,
    sizes_in_words,
    training_options,
)
from utils import LabError, python_command

if TYPE_CHECKING:
    from deploy import Segmenter
    from support.engine.processes import Processes
    from support.engine.session import StopRequest, TrainingState
    from training import Setup

MODEL_NAMES = (
    "unet",
    "my_fcn",
    *(f"fcn_resnet{depth}" for depth in (18, 34, 50, 101, 152)),
    *(f"deeplabv3_resnet{depth}" for depth in (50, 101)),
    *(f"deeplabv3plus_resnet{depth}" for depth in (50, 101)),
    *(f"segformer_b{size}" for size in range(6)),
    "hrnet_w18",
    "hrnet_w48",
    "hrnet_ocr_w48",
    "hrnet_ocr_aspp_w48",
    "hrnet_ocr_ms_w48",
)
LOSS_NAMES = ("ce", "wce", "focal", "topk", "dice", "dice_ce", "dice_topk", "tversky", "lovasz")
LOSS_NAMES += ("mcc", "rmi", "wrmi")
CLASS_WEIGHT_NAMES = ("none", "inverse", "sqrt", "median", "effective")
OPTIMIZER_NAMES = ("adam", "adamw", "sgd")
SCHEDULER_NAMES = ("constant", "poly", "cosine", "exponential", "plateau")
DEVICE_NAMES = ("auto", "cuda", "mps", "cpu")
METRIC_NAMES = ("macro_f1", "mean_iou")
PRECISION_NAMES = ("auto", "fp32", "bf16", "fp16")

DRY_RUN_STEPS = 2
MAX_WORKERS = 64


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    return run_command(build_parser(), argv)


def build_parser() -> argparse.ArgumentParser:
    """The parser with its commands, in two groups."""
    parser = CommandLine(
        prog="main.py",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Semantic segmentation of street scenes.\n\n" + commands_in_groups(),
        epilog="Begin with: python main.py train    (toy streets, about two minutes)",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", help="one of those above")
    for group in COMMANDS.values():
        for name, (text, add_arguments) in group.items():
            add_arguments(commands.add_parser(name, description=text))
    return parser


def commands_in_groups() -> str:
    """The commands by group, a line each, for the help."""
    lines = []
    for title, group in COMMANDS.items():
        lines += [f"{title}:", *(f"  {name:<10}{text}" for name, (text, _) in group.items()), ""]
    return "\n".join(lines)


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes `train`. Only what is given gets into args, so that a resumed run can compare."""
    parser.set_defaults(run=train)
    parser.argument_default = argparse.SUPPRESS
    height, width = TRAIN_DEFAULTS["img_size"]
    data = parser.add_argument_group("data")
    add = partial(add_with_default, data)
    add("--datadir", "Cityscapes folder, as downloaded or prepared", "toy streets", metavar="DIR")
    add("--cities-train", "cities to train on", "all", nargs="+", metavar="CITY")
    add("--cities-val", "cities to validate on", "all", nargs="+", metavar="CITY")
    add("--limit", "at most so many images of each split", "all", type=whole, metavar="N")
    size_help = "height and width in pixels that the network sees"
    add(
        "--img-size",
        size_help,
        f"{height} {width}",
        nargs=2,
        type=partial(whole, least=2),
        metavar=("H", "W"),
    )
    add = partial(add_with_default, parser.add_argument_group("model"))
    model_help = f"architecture: {', '.join(MODEL_NAMES)}"
    add("--model", model_help, choices=MODEL_NAMES, metavar="NAME")
    blocks_help = "number of poolings of unet and my_fcn"
    add("--num-blocks", blocks_help, sizes_in_words("num_blocks"), type=whole, metavar="N")
    width_help = "channels of their first block; the paper's 64 want a GPU"
    add("--base-channels", width_help, sizes_in_words("base_channels"), type=whole, metavar="N")
    pretrained_help = "begin with torchvision's ImageNet weights (models on a ResNet)"
    add("--pretrained", pretrained_help, "off", action="store_true")
    weights_help = "begin with a published state dict of the reference implementation"
    add("--weights", weights_help, "random weights", metavar="FILE")
    aux_help = "what the losses of the auxiliary heads weigh; 0 for nothing"
    aux_options = {"nargs": "+", "type": non_negative, "metavar": "X"}
    add("--aux-weights", aux_help, "the model's own", **aux_options)
    finetune_help = "begin with the weights of a best.pt, a run or a state dict, where they fit"
    add("--finetune-from", finetune_help, "random weights", metavar="PATH")
    fix_help = "batch normalisation keeps its statistics (fine-tuning, tiny batches)"
    add("--fix-batchnorm", fix_help, "off", action="store_true")
    add = partial(add_with_default, parser.add_argument_group("loss"))
    loss_help = f"what is minimised: {', '.join(LOSS_NAMES)}"
    add("--loss", loss_help, choices=LOSS_NAMES, metavar="NAME")
    weights_help = "how rare classes weigh more, by their pixels"
    weights_default = "sqrt for wce and wrmi, none for the others"
    add("--class-weights", weights_help, weights_default, choices=CLASS_WEIGHT_NAMES)
    gamma_help = "exponent of the focal loss, 0 or more"
    add("--gamma", gamma_help, DEFAULT_GAMMA, type=non_negative, metavar="G")
    add_loop_arguments(parser)


def add_loop_arguments(parser: argparse.ArgumentParser) -> None:
    """The part of `train` about the loop, the machine and the run's folder."""
    add = partial(add_with_default, parser.add_argument_group("training"))
    add("--epochs", "passes over the images", DEFAULT_EPOCHS, type=whole, metavar="N")
    steps_help = "optimiser steps; with --epochs, whichever ends first"
    add("--max-steps", steps_help, "no limit", type=whole, metavar="N")
    minutes_help = "minutes within which the run ends, over all its sessions, export included"
    add("--max-minutes", minutes_help, "no limit", type=positive, metavar="N")
    patience_help = "end after so many evaluations without a better macro F1"
    add("--patience", patience_help, "train to the end", type=whole, metavar="N")
    add("--batch-size", "images at once, in each process", type=whole, metavar="N")
    accumulate_help = "batches whose gradients are added up before each optimiser step"
    add("--accumulate", accumulate_help, type=whole, metavar="N")
    add("--optimizer", "optimiser; sgd has momentum 0.9", choices=OPTIMIZER_NAMES)
    add("--lr", "highest learning rate", type=positive, metavar="X")
    add("--weight-decay", "pull of the weights towards 0", type=non_negative, metavar="X")
    clip_help = "shorten gradients whose norm is larger than this"
    add("--clip-norm", clip_help, "never", type=positive, metavar="X")
    add("--scheduler", "how the rate falls", choices=SCHEDULER_NAMES)
    warm_up_help = "share of the steps in which the rate first rises"
    warm_up_default = "0.05; none for constant"
    add("--warm-up", warm_up_help, warm_up_default, type=below_one, metavar="X")
    add("--seed", "seed of all random choices", type=partial(whole, least=0), metavar="N")
    add("--device", "where to train; auto takes a GPU if there is one", choices=DEVICE_NAMES)
    precision_help = "type of the forward pass; auto takes bf16 where the hardware is made for it"
    add("--precision", precision_help, choices=PRECISION_NAMES)
    workers_help = "processes that load images, 0 for none"
    workers_type = partial(whole, least=0, most=MAX_WORKERS)
    add("--num-workers", workers_help, "by the machine", type=workers_type, metavar="N")
    add = partial(add_with_default, parser.add_argument_group("run"))
    add("--logdir", "folder in which runs lie", metavar="DIR")
    add("--name", "name of the run's folder", "date, time, model and loss", metavar="NAME")
    save_help = "minutes between two checkpoints inside an epoch, at most"
    add("--save-minutes", save_help, type=positive, metavar="N")
    add("--resume", "go on with this run's folder", "a new run", metavar="RUN")
    auto_help = "go on with the run of --name if it is there, else begin it (for batch jobs)"
    add("--auto-resume", auto_help, "off", action="store_true", default=False)
    dry_help = "two steps through everything; keeps nothing"
    add("--dry-run", dry_help, "off", action="store_true", default=False)


def add_with_default(
    group: argparse._ArgumentGroup, flag: str, text: str, otherwise: object = None, **options: Any
) -> None:
    """Adds a flag whose help ends with what holds otherwise, by default `TRAIN_DEFAULTS`' value."""
    if otherwise is None:
        otherwise = TRAIN_DEFAULTS[flag.removeprefix("--").replace("-", "_")]
    group.add_argument(flag, help=f"{text} (default: {otherwise})", **options)


def add_test_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes `test`."""
    parser.set_defaults(run=test)
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
    what.add_argument("--split", metavar="SPLIT", help="judge the model on a split, such as val")
    split = parser.add_argument_group("with --split")
    split.add_argument(
        "--datadir", type=Path, metavar="DIR", help="Cityscapes folder (default: toy streets)"
    )
    split.add_argument("--cities", nargs="+", metavar="CITY", help="these cities (default: all)")
    split.add_argument(
        "--limit", type=whole, metavar="N", help="at most so many images (default: all)"
    )
    split.add_argument("--batch-size", type=whole, metavar="N", help="images at once (default: 4)")
    split.add_argument(
        "--save-predictions",
        action="store_true",
        help="write each prediction as official label ids, and as an overlay (default: off)",
    )
    add_view_arguments(parser.add_argument_group("how the network sees a photo"))
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


def add_view_arguments(group: argparse._ArgumentGroup) -> None:
    """The part of `test` about scales, mirror images and windows."""
    group.add_argument(
        "--scales",
        type=positives,
        metavar="S,S,...",
        help="average over these factors of the size at which the network sees a photo, such as "
        "0.5,1,2; with --window, of the photo's own size (default: 1)",
    )
    group.add_argument(
        "--flip", action="store_true", help="average over the mirror image too (default: off)"
    )
    group.add_argument(
        "--window",
        nargs=2,
        type=whole,
        metavar=("H", "W"),
        help="go over the photo at its own size, H x W pixels at a time (default: whole photo)",
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
        help="data folder, downloaded or prepared (default: toy streets)",
    )
    parser.add_argument(
        "--cities", nargs="+", metavar="CITY", help="only these cities (default: all)"
    )


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
    parser.set_defaults(run=show)
    add_picture_arguments(parser, "plots/show.png")
    add_limit(parser)
    parser.add_argument(
        "--samples", type=whole, default=4, metavar="N", help="rows to draw (default: %(default)s)"
    )


def add_stats_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes `stats`."""
    parser.set_defaults(run=stats)
    add_picture_arguments(parser, "plots/stats.png")
    add_limit(parser)


def add_augment_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes `augment`."""
    parser.set_defaults(run=augment)
    add_picture_arguments(parser, "plots/augment.png")
    add_size(parser, 128, 256, most=4096)
    add = partial(parser.add_argument, metavar="N")
    add("--index", type=int, default=0, help="which sample (default: %(default)s)")
    add("--draws", type=whole, default=6, help="how many draws (default: %(default)s)")
    add("--seed", type=int, default=0, help="of the draws (default: %(default)s)")


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes `check`."""
    parser.set_defaults(run=check)
    add_data_arguments(parser)
    parser.add_argument("--split", help="only this split (default: all)")


def add_prepare_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes `prepare`."""
    parser.set_defaults(run=prepare)
    add_data_arguments(parser)
    parser.add_argument(
        "--splits", nargs="+", metavar="SPLIT", help="only these splits (default: all)"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to make")
    add_limit(parser)
    add_size(parser, 256, 512, most=2**31 - 1)


def add_compare_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes `compare`."""
    parser.set_defaults(run=compare)
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="folders of runs, or folders full of them"
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


def train(args: argparse.Namespace) -> int:
    """The command `train`: trains, and says where the results are and what comes next."""
    from support.engine.processes import join_processes, leave_processes, tell_failure

    processes = join_processes()
    try:
        if args.dry_run:
            dry_run(args, processes)
        else:
            plan = training_options(vars(args)) if processes.is_first else None
            options, resumed = processes.share(plan)
            run = train_run(options, resumed, processes)
            if processes.is_first:
                print(next_steps(run, options["datadir"]))
    except Exception as error:
        if tell_failure(processes, str(error)):
            raise
        return 1
    leave_processes(processes)
    return 0


def dry_run(args: argparse.Namespace, processes: "Processes") -> None:
    """Two steps through everything, in a folder that is gone afterwards."""
    options, _ = training_options(vars(args))
    batch = options["batch_size"] * options["accumulate"] * processes.count
    with tempfile.TemporaryDirectory() as scratch:
        options |= {"logdir": scratch, "name": "dry-run", "epochs": None}
        options |= {"max_steps": DRY_RUN_STEPS, "limit": min(options["limit"] or batch, batch)}
        train_run(options, None, processes)
    if processes.is_first:
        print("dry run passed: data, training, evaluation and export work; nothing was kept")


def train_run(options: dict[str, Any], resumed: Path | None, processes: "Processes") -> Path:
    """Trains one run, new or resumed, to its end; returns its folder."""
    from support.assembly import assemble
    from support.engine.runs import alone_in, require_new_name
    from support.engine.session import Interrupted, StopRequest
    from utils import seed_everything

    if resumed is None and processes.is_first:
        require_new_name(Path(options["logdir"]), options["name"])
    seed_everything(options["seed"])
    stop = StopRequest(is_alone=processes.count == 1)
    command = shlex.join(["python", Path(sys.argv[0]).name, *sys.argv[1:]])
    # before anything in the folder is touched
    alone = alone_in(resumed) if resumed and processes.is_first else nullcontext()
    with alone, stop.listening():
        try:
            setup, state = assemble(options, resumed, processes, command, stop)
        except Interrupted as interrupted:
            print("stopped before the first step; nothing was changed", file=sys.stderr)
            raise SystemExit(128 + interrupted.signal_number) from None
        train_assembled(setup, state, stop, options, is_new=resumed is None)
    return setup.run


def train_assembled(
    setup: "Setup",
    state: "TrainingState",
    stop: "StopRequest",
    options: dict[str, Any],
    is_new: bool,
) -> None:
    """Trains what has been put together; leaves no folder of a run that failed at once."""
    from support.assembly import describe_run, finish_run, opening_lines
    from support.engine.processes import leave_processes
    from support.engine.runs import alone_in, remove_if_unused
    from support.engine.session import Interrupted
    from training import fit

    run, is_first = setup.run, setup.processes.is_first
    try:
        with alone_in(run) if is_first and is_new else nullcontext():
            try:
                if is_first:
                    print("\n".join(opening_lines(setup, state)))
                describe_run(setup, state)
                fit(setup, state, stop)
                stop.waits = False  # an export may take longer than a job has left; it is done anew
                finish_run(setup, state, options)
            except Exception:
                if is_new and is_first:
                    remove_if_unused(run)
                raise
    except Interrupted as interrupted:
        if is_first:
            last = setup.limits.total_steps
            print(f"stopped at step {state.step} of {last}, saved in {run}", file=sys.stderr)
            print(f"go on with: {resume_command(run, setup.processes.count)}", file=sys.stderr)
        leave_processes(setup.processes)
        raise SystemExit(128 + interrupted.signal_number) from None
    finally:
        stop.waits = True
        if setup.log is not None:
            setup.log.close()


def resume_command(run: Path, processes: int) -> str:
    """What to type to go on with a run."""
    launcher = python_command()
    if processes > 1:
        here = os.environ.get("LOCAL_WORLD_SIZE", processes)
        launcher += f" -m torch.distributed.run --nproc-per-node={here}"
    return f"{launcher} main.py train --resume {shlex.quote(str(run))}"


def next_steps(run: Path, datadir: str | None) -> str:
    """What a finished run says: its scores, its folder, and the commands that come next."""
    summary = (run / "summary.txt").read_text(encoding="utf-8").strip()
    python, model = python_command(), shlex.quote(str(run / "model.onnx"))
    datadir = "" if datadir is None else f" --datadir {shlex.quote(datadir)}"
    return (
        f"\n{summary}\n"
        f"everything is in {run}; look at {run / 'samples.png'} first, then:\n"
        f"  curves      {python} -m tensorboard.main --logdir {shlex.quote(str(run.parent))}\n"
        f"  judge       {python} main.py test --modelpath {model}{datadir} --split val\n"
        f"  your photo  {python} main.py test --modelpath {model} --image photo.jpg"
    )


def test(args: argparse.Namespace) -> int:
    """The command `test`: photos, or a whole split."""
    if args.image is not None:
        for flag in ("datadir", "cities", "limit"):
            if vars(args)[flag]:
                raise LabError(f"--{flag} goes with --split, not with --image")
    from commands.test_time import extend_segmenter

    segmenter = extend_segmenter(
        open_segmenter(args.modelpath, args.device),
        args.scales,
        args.flip,
        args.window,
        args.overlap,
    )
    if args.image is not None:
        return test_images(segmenter, args.image, args.output or Path("predictions"))
    output = args.output or args.modelpath.parent / f"test_{args.split}"
    return test_split(segmenter, args, output)


def open_segmenter(path: Path, device: str) -> "Segmenter":
    """Opens a model.onnx with onnxruntime, or a best.pt with PyTorch on a device."""
    from deploy import OnnxSegmenter, TorchSegmenter

    if path.suffix != ".pt":
        return OnnxSegmenter(path)
    from models import build_model
    from support.engine.hardware import pick_device
    from support.engine.runs import load_checkpoint

    best = load_checkpoint(path, ("model", "name", "options", "classes", "palette", "size"))
    try:
        model = build_model(best["name"], len(best["classes"]), **best["options"])
        model.load_state_dict(best["model"])
        return TorchSegmenter(model, best, pick_device(device))
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise LabError(f"{path}: not a best.pt of this lab ({reason})") from error


def test_images(segmenter: "Segmenter", paths: list[Path], output: Path) -> int:
    """Segments photos, and prints what share of each every class has."""
    from deploy import segment_files

    for photo in segment_files(segmenter, paths, output):
        print(f"{photo.image} → {photo.mask}")
        for name, share in sorted(photo.shares.items(), key=lambda item: -item[1]):
            if share >= 0.0001:
                print(f"  {name:<16}{share:>7.2%}")
    print(f"masks, overlays and train ids are in {output}")
    return 0


def test_split(segmenter: "Segmenter", args: argparse.Namespace, output: Path) -> int:
    """Judges on a split, each target at its own size, and writes metrics.json."""
    from commands.evaluation import judge, score_table, scores, write_metrics
    from data import CityscapesDataset, resolve_datadir

    dataset = CityscapesDataset(resolve_datadir(args.datadir), args.split, args.cities, args.limit)
    matrix = judge(
        segmenter, dataset, args.batch_size or 4, output if args.save_predictions else None
    )
    result = scores(matrix, segmenter.classes)
    result["judged"] = {
        "model": str(args.modelpath),
        "split": args.split,
        "cities": dataset.cities,
        "images": len(dataset),
        "scales": args.scales or [1.0],
        "flip": args.flip,
        "window": args.window,
        "overlap": args.overlap,
        "data_fingerprint": dataset.fingerprint(),
    }
    path = write_metrics(output, result)
    print(score_table(result))
    print(f"the scores are in {path}")
    return 0


def compare(args: argparse.Namespace) -> int:
    """The command `compare`: tables and pictures of several runs."""
    from commands.comparison.report import compare_runs

    print(compare_runs(args.runs, args.output, args.metric, TRAIN_DEFAULTS))
    return 0


def show(args: argparse.Namespace) -> None:
    """The command `show`: a panel of images and their labels."""
    import commands.data

    commands.data.show(args.datadir, args.split, args.cities, args.limit, args.samples, args.output)


def stats(args: argparse.Namespace) -> None:
    """The command `stats`: how many pixels each class has."""
    import commands.data

    commands.data.stats(args.datadir, args.split, args.cities, args.limit, args.output)


def augment(args: argparse.Namespace) -> None:
    """The command `augment`: the random changes of training."""
    import commands.data

    commands.data.augment(
        args.datadir,
        args.split,
        args.cities,
        tuple(args.size),
        args.index,
        args.draws,
        args.seed,
        args.output,
    )


def check(args: argparse.Namespace) -> int:
    """The command `check`: every fault of a data folder."""
    import commands.data

    return commands.data.check(args.datadir, args.split, args.cities)


def prepare(args: argparse.Namespace) -> None:
    """The command `prepare`: a downsized copy that loads fast."""
    import commands.data

    commands.data.prepare_copy(
        args.datadir, args.splits, args.cities, args.limit, tuple(args.size), args.output
    )


COMMANDS: dict[str, dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]]] = {
    "networks": {
        "train": ("train a network; its folder gets scores and a model.onnx", add_train_arguments),
        "test": ("evaluate a network on a split, or segment your photos", add_test_arguments),
        "compare": ("runs side by side: tables, curves, bars", add_compare_arguments),
    },
    "data folders": {
        "show": ("a panel of images and their labels", add_show_arguments),
        "stats": ("how many pixels each class has", add_stats_arguments),
        "augment": ("the random changes of training", add_augment_arguments),
        "check": ("every fault of a data folder; exit code 1 if any", add_check_arguments),
        "prepare": ("a downsized copy that loads fast", add_prepare_arguments),
    },
}
"""By group and name: what stands in the help, and what describes the arguments."""

if __name__ == "__main__":
    sys.exit(main())
