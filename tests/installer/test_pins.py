"""The packages that the plugin installs: those of the checkout, each known by its hashes."""

from __future__ import annotations

import re

import pytest

import installer.pins as room
from installer.console import InstallerError
from installer.paths import CONSTRAINTS, ROOT
from installer.pins import PACKAGES, TORCH_PACKAGES, write_pins
from tapestry.backend import bundled
from tapestry.backend.uv_program import VERSION as UV_VERSION
from tapestry_protocol.accelerators import TORCH
from tests.installer.pins import pins


def test_pins_are_the_releases_of_the_checkout() -> None:
    """Whatever both name."""
    tested, ours = pins(CONSTRAINTS.read_text()), pins(PACKAGES.read_text())
    both = set(tested) & set(ours)
    assert {"torch", "numpy", "diffusers", "transformers", "safetensors"} <= both
    assert {name: tested[name] for name in both} == {name: ours[name] for name in both}
    assert tested["uv"] == UV_VERSION


def test_every_package_that_is_asked_for_is_pinned() -> None:
    """Also those that a dependency of ours may bring, as the constraints do."""
    project = (ROOT / "pyproject.toml").read_text()
    wanted = re.search(r"\ndependencies = \[(.*?)\]", project, re.DOTALL)
    assert wanted
    names = re.findall(r'"([\w-]+)', wanted[1])
    assert len(names) > 5
    assert {re.sub("[-_.]+", "-", name) for name in names} <= set(pins(PACKAGES.read_text()))


@pytest.mark.parametrize("path", [PACKAGES, TORCH_PACKAGES], ids=lambda path: path.name)
def test_every_package_has_its_hashes(path) -> None:
    """But PyTorch, whose own index has builds of which the package index knows nothing."""
    entries = re.split(r"\n(?=[^\s#])", path.read_text())[1:]
    assert len(entries) > 10
    without = [entry.strip() for entry in entries if "--hash=sha256:" not in entry]
    assert without == ([TORCH] if path == PACKAGES else [])


def test_the_plugin_looks_for_these_names() -> None:
    """Beside the wheel."""
    assert PACKAGES.name == bundled.PACKAGES
    assert TORCH_PACKAGES.name == bundled.TORCH_PACKAGES


def test_both_lists_are_written(monkeypatch, tmp_path) -> None:
    """PyTorch's own packages into the second one."""
    found = {"numpy==1": "a", "nvidia-x==2": "b", "torch==3": "c"}
    said = "".join(f"{pin} \\\n    --hash=sha256:{hashed}\n" for pin, hashed in found.items())
    monkeypatch.setattr(room, "_asked", lambda: said)
    monkeypatch.setattr(room, "PACKAGES", tmp_path / "packages.txt")
    monkeypatch.setattr(room, "TORCH_PACKAGES", tmp_path / "torch.txt")
    first, second = [path.read_text() for path in write_pins()]
    assert first.endswith(f"numpy==1 \\\n    --hash=sha256:a\n{TORCH}\n")
    assert pins(second) == {"nvidia-x": "2", "torch": "3"}


def test_an_index_that_cannot_be_asked_is_a_sentence(monkeypatch, tmp_path) -> None:
    """With uv's own last words."""
    monkeypatch.setattr(room, "ROOT", tmp_path)
    with pytest.raises(InstallerError, match=r"could not be asked: .+"):
        room._asked()
