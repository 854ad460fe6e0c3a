"""Chains: trainings of which each begins with the best weights of the one before.

Standard library only.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from commands.slurm.sweeps import file_lines, repeated, require_apart
from commands.slurm.trainings import JobError, Training, options_of

Chain = list[Training]
BEGINNINGS = {"--finetune-from", "--weights", "--pretrained"}
"""What a run begins with, of which a stage has one already."""


def plan_chains(
    path: Path, repeat: int, common: Sequence[str], plan: Callable[[list[str]], Training]
) -> list[Chain]:
    """The chains that a file describes, one for each seed, each a list of its stages.

    A line of the file has the options of a stage; unless it says a name, the stages are called
    `stage1`, `stage2` and so on. Each but the first is fine-tuned from the one before.

    Args:
        path: the file.
        repeat: seeds, from the common one on.
        common: options that all stages have besides.
        plan: makes a training of options.

    Raises:
        JobError: for a file that makes no chain.
    """
    lines = file_lines(path)
    require_apart(lines, common)
    given = [options_of(line).keys() | options_of(common).keys() for line in lines]
    for number, flags in enumerate(given[1:], start=2):
        if both := BEGINNINGS & flags:
            raise JobError(
                f"{path}: stage {number} begins with the weights of the one before it, not with "
                f"{min(both)}; leave it to the first stage"
            )
    stages = [
        line if "--name" in options_of(line) else [*line, "--name", f"stage{number}"]
        for number, line in enumerate(lines, start=1)
    ]
    names = [" ".join(options_of(stage)["--name"]).casefold() for stage in stages]
    if len(set(names)) < len(names):
        raise JobError(f"{path}: two stages have one name")
    of_stages = [repeated([stage], repeat, common) for stage in stages]
    chains = []
    for seeds in zip(*of_stages, strict=True):
        chain: Chain = []
        for words in seeds:
            training = plan([*common, *words])
            if chain:
                begin = ["--finetune-from", str(chain[-1].folder)]
                training = replace(training, arguments=[*training.arguments, *begin])
            chain.append(training)
        chains.append(chain)
    return chains
