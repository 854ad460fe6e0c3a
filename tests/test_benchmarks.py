"""The benchmarks without the development requirements."""

import subprocess
import sys
from pathlib import Path

import pytest

LAB = Path(__file__).resolve().parent.parent
PACKAGES = ("torchmetrics", "segmentation_models_pytorch", "timm", "transformers", "monai")


def start_without(packages: tuple[str, ...], benchmark: str) -> subprocess.CompletedProcess:
    """Asks a benchmark for its help, by a Python that lacks some packages."""
    code = "import runpy, sys\n"
    code += f"sys.modules |= dict.fromkeys({packages})\nsys.argv[1:] = ['--help']\n"
    code += f"runpy.run_module('benchmarks.{benchmark}', run_name='__main__')\n"
    return subprocess.run([sys.executable, "-c", code], cwd=LAB, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("benchmark", "package"),
    [("metric", "segmentation_models_pytorch"), ("training", "segmentation_models_pytorch"),
     ("zoo", "timm"), ("zoo_losses", "monai")],
)  # fmt: skip
def test_missing_package_is_an_error_of_one_line(benchmark, package):
    done = start_without((package,), benchmark)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"error: {package} is not installed; type: ")
    assert done.stderr.endswith("-m pip install -r requirements-dev.txt\n")


@pytest.mark.parametrize(
    "benchmark",
    ["checkpoint", "compiled", "gpu_loop", "inference", "limit", "loading", "on_gpu", "speedrun"],
)
def test_benchmark_of_the_lab_alone_needs_none_of_them(benchmark):
    assert start_without(PACKAGES, benchmark).returncode == 0
