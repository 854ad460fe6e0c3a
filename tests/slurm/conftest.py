"""What the tests against a real Slurm share: a cluster, and a copy of the lab to submit from."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster, missing_packages
from lab_copy import Lab


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker."""
    config.addinivalue_line("markers", "slurm: needs a Slurm of its own; `make test-slurm`")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves these tests out of every run that does not name them."""
    here = Path(__file__).parent
    words = [(config.invocation_params.dir / word.split("::")[0]).resolve() for word in config.args]
    return None if any(word == here or here in word.parents for word in words) else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips, with the reason, where there is no Slurm."""
    packages = missing_packages()
    if packages:
        reason = f"no Slurm here: apt-get install {' '.join(packages)}"
        for item in items:
            if item.get_closest_marker("slurm"):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Two nodes with four CPUs each."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        with Cluster(Path(folder)) as cluster:
            assert time.monotonic() - start < 10
            yield cluster
        assert not cluster.processes()


@pytest.fixture(scope="session")
def lab(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The lab as a student has it, committed, and tiny streets beside it."""
    return Lab(tmp_path_factory.mktemp("lab") / """Ann's "own" lab""", cluster)
