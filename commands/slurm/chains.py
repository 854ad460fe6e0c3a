"""Chains: trainings of which each begins with the best weights of the one before.

Standard library only.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from commands.slurm.sweeps import file_lines, repeated, require_apart
from commands.slurm.trainings import JobError, Training, options_of

Chain = list[Training]


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
    for number, line in enumerate(lines[1:], start=2):
        if "--finetune-from" in options_of(line):
            raise JobError(f"{path}: stage {number} begins with the weights of the one before it")
    names = [options_of(line).get("--name") for line in lines]
    if len({str(name) for name in names if name}) < len([name for name in names if name]):
        raise JobError(f"{path}: two stages have one name")
    stages = [
        line if name else [*line, "--name", f"stage{number}"]
        for number, (line, name) in enumerate(zip(lines, names, strict=True), start=1)
    ]
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
