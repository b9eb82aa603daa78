"""What is said without Ray, or with one that has holes."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import pytest

from tapestry_backend.workers import cluster_extra
from tapestry_backend.workers.cluster_extra import check_ray, is_too_old
from tapestry_protocol.errors import TapestryError


@pytest.mark.parametrize("version", ["2.59.9", "2.6.0", "1.13", "", "nightly"])
def test_old_releases_are_refused(version: str, monkeypatch) -> None:
    """Before anything of them is imported."""
    monkeypatch.setattr(cluster_extra, "version", lambda _: version)
    with pytest.raises(TapestryError, match="known holes"):
        check_ray()


@pytest.mark.parametrize("version", ["2.60.0", "2.61.1", "2.100.0rc0", "3.0.0.dev0"])
def test_newer_ones_are_not(version: str) -> None:
    """By their numbers, not their digits."""
    assert not is_too_old(version)


def test_without_ray_it_is_said_what_to_install(monkeypatch) -> None:
    """In one line."""

    def missing(_name: str) -> str:
        raise PackageNotFoundError

    monkeypatch.setattr(cluster_extra, "version", missing)
    with pytest.raises(TapestryError) as caught:
        check_ray()
    assert "pip install 'tapestry[cluster]'" in caught.value.advice


def test_nothing_of_ray_is_imported_by_server_and_worker() -> None:
    """It is in the process of the cluster alone."""
    code = (
        "import sys; import tapestry_backend.cli.serve, tapestry_backend.workers.worker;"
        "import tapestry_backend.tasks.run; assert 'ray' not in sys.modules"
    )
    paths = {"PYTHONPATH": ":".join(path for path in sys.path if path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=paths)


def test_a_clusters_workers_hold_models_as_local_ones_do() -> None:
    """What changes numbers, 8 bits for instance, is the same for all."""
    from tapestry_backend.workers.cluster_supervisor import cluster_command

    command = cluster_command("auto", cores=4, models=["a"], card=["--fp8", "--attention=sdpa"])
    assert command[-3:] == ["--card=--fp8", "--card=--attention=sdpa", "--model=a"]
