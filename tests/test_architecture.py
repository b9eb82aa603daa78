"""Who may import whom, read from the source with `ast`; nothing here runs the product."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROTOCOL = ROOT / "shared" / "tapestry_protocol"
PLUGIN = ROOT / "krita_plugin" / "tapestry"
BACKEND = ROOT / "backend" / "tapestry_backend"

QT = {"PyQt5", "PyQt6", "PySide2", "PySide6", "sip"}
TORCH = {"torch", "diffusers", "transformers", "accelerate"}
DECODERS = {"PIL", "cv2", "imageio", "torchvision", "zipfile", "gzip", "pickle", "shelve"}
"""What unpacks, or runs, files from outside."""


@dataclass(frozen=True)
class Import:
    """One imported module, absolute, and whether it is imported as soon as its importer is."""

    module: str
    at_once: bool

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]


def sources(folder: Path) -> list[Path]:
    """Every module of a folder; what the plugin carries of others is no folder of ours."""
    return [path for path in sorted(folder.rglob("*.py")) if "vendor" not in path.parts]


@cache
def imports(path: Path, package_root: Path) -> frozenset[Import]:
    """Everything a module imports, relative imports made absolute against `package_root`."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    package = path.relative_to(package_root).parent.parts
    return frozenset(_walk(tree, package, at_once=True))


def _walk(node: ast.AST, package: tuple[str, ...], *, at_once: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, at_once) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from _from(child, package, at_once=at_once)
        function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _walk(child, package, at_once=at_once and not function)


def _from(node: ast.ImportFrom, package: tuple[str, ...], *, at_once: bool) -> Iterator[Import]:
    base = package[: len(package) - node.level + 1] if node.level else ()
    module = ".".join([*base, *([node.module] if node.module else [])])
    yield Import(module, at_once)
    for alias in node.names:  # `from package import module` imports the module as well
        yield Import(f"{module}.{alias.name}", at_once)


def tops(path: Path, package_root: Path) -> set[str]:
    """The first names of everything a module imports, at once or later."""
    return {found.top for found in imports(path, package_root)}


def reached_at_once(modules: list[Path]) -> dict[str, str]:
    """Module -> who imports it, for all that importing these modules of the backend imports."""
    return reached_by(modules, later=False)


def reached_by(modules: list[Path], *, later: bool = True) -> dict[str, str]:
    """The same with what is imported when it is needed, if `later`."""
    root = BACKEND.parent
    waiting = [(_module_name(path), "the folder itself") for path in modules]
    reached: dict[str, str] = {}
    while waiting:
        module, importer = waiting.pop()
        for name in _with_packages(module):
            if name in reached:
                continue
            reached[name] = importer
            path = _module_path(name)
            if path:
                found = (entry.module for entry in imports(path, root) if later or entry.at_once)
                waiting.extend((imported, name) for imported in found)
    return reached


def _module_name(path: Path) -> str:
    parts = path.relative_to(BACKEND.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _module_path(name: str) -> Path | None:
    base = BACKEND.parent / Path(*name.split("."))
    for path in (base / "__init__.py", base.with_suffix(".py")):
        if path.exists():
            return path
    return None


def _with_packages(module: str) -> list[str]:
    """A module and the packages around it: importing `a.b.c` imports `a` and `a.b` first."""
    parts = module.split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts))]


@pytest.mark.parametrize("path", sources(PROTOCOL), ids=lambda path: path.name)
def test_protocol_needs_the_standard_library_alone(path: Path) -> None:
    """The protocol runs inside Krita, where nothing can be installed, and from any folder."""
    ours = {"tapestry_protocol"}
    assert tops(path, ROOT / "shared") <= set(sys.stdlib_module_names) | ours
    absolute = [
        node.module
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and not node.level
    ]
    assert not [module for module in absolute if module and module.startswith("tapestry")]


def test_engine_knows_torch_and_nothing_else() -> None:
    """The engine is maths on tensors: no files, no models, no protocol."""
    allowed = set(sys.stdlib_module_names) | {"torch", "tapestry_backend"}
    for path in sources(BACKEND / "engine"):
        found = imports(path, BACKEND.parent)
        assert {entry.top for entry in found} <= allowed, path
        ours = {entry.module for entry in found if entry.top == "tapestry_backend"}
        outside = {name for name in ours if not name.startswith("tapestry_backend.engine")}
        assert not outside, path


def test_server_never_imports_torch() -> None:
    """The server starts in a tenth of a second and survives everything that a GPU can do."""
    for module, importer in reached_at_once(sources(BACKEND / "server")).items():
        assert module.partition(".")[0] not in TORCH, f"{importer} imports {module}"
    for path in sources(BACKEND / "server"):
        assert not tops(path, BACKEND.parent) & TORCH, path


@pytest.mark.promise("S6")
def test_no_image_decoder_is_behind_the_socket(measured) -> None:
    """What server and worker import of ours, at once or later: pixels are never unpacked there."""
    folders = [path for folder in ("server", "workers") for path in sources(BACKEND / folder)]
    reached = reached_by(folders)
    for module, importer in reached.items():
        assert module.partition(".")[0] not in DECODERS, f"{importer} imports {module}"
        assert not module.startswith("tapestry_backend.openraster"), importer
    assert "tapestry_backend.tasks.run" in reached
    measured(f"{len(reached)} modules behind the socket, no image decoder")


def test_command_line_starts_without_torch() -> None:
    """`tapestry serve`, every --help and every complaint about options come at once."""
    for module, importer in reached_at_once(sources(BACKEND / "cli")).items():
        assert module.partition(".")[0] not in TORCH, f"{importer} imports {module}"


def test_what_lies_on_disk_is_told_without_torch() -> None:
    """Neither now nor later: the server lists checkpoints, and must not load a network."""
    for module, importer in reached_by(sources(BACKEND / "checkpoints")).items():
        assert module.partition(".")[0] not in TORCH - {"transformers"}, f"{importer}: {module}"
        assert not module.startswith("tapestry_backend.models"), f"{importer} imports {module}"


def folders_imported(root: Path) -> dict[str, set[str]]:
    """Of each folder of a package, and each module outside of any, the others that it imports."""

    def folder(path: Path) -> str:
        is_alone = path.parent == root and path.stem != "__init__"
        return path.stem if is_alone else path.parent.relative_to(root).as_posix()

    found: dict[str, set[str]] = {}
    for path in sources(root):
        for entry in imports(path, root.parent):
            target = root.parent.joinpath(*entry.module.split("."))
            files = (target.with_suffix(".py"), target / "__init__.py")
            for file in (each for each in files if entry.top == root.name and each.exists()):
                found.setdefault(folder(path), set()).add(folder(file))
    return {each: others - {each, "."} for each, others in found.items() if each != "."}


@pytest.mark.parametrize("root", [BACKEND, PLUGIN], ids=["backend", "plugin"])
def test_no_folders_import_each_other(root: Path) -> None:
    """Not by way of others either: each can be read with what lies below it in mind.

    A module that lies in no folder, such as the docker's model, counts as one.
    """
    imported = folders_imported(root)
    for folder in imported:
        waiting, reached = [folder], set()
        while waiting:
            new = imported.get(waiting.pop(), set()) - reached
            reached |= new
            waiting += new
        assert folder not in reached, f"{folder} is imported by {reached & imported.keys()}"


def test_the_protocol_of_models_imports_no_implementation() -> None:
    """A family is whatever has these methods."""
    found = {e.module for e in imports(BACKEND / "models" / "denoiser.py", BACKEND.parent)}
    ours = {name for name in found if name.startswith("tapestry_backend.models.")}
    allowed = (
        "tapestry_backend.models.adapters.control_input",
        "tapestry_backend.models.attention_pairs",
    )
    assert not {name for name in ours if not name.startswith(allowed)}


def test_the_product_does_not_know_its_benchmark() -> None:
    """Nothing that paints may depend on how pictures are measured; the command line starts it."""
    for path in sources(BACKEND):
        if not {"cli", "bench"} & set(path.relative_to(BACKEND).parts):
            found = {entry.module for entry in imports(path, BACKEND.parent)}
            assert not [name for name in found if "tapestry_backend.bench" in name], path


def test_measures_of_pictures_know_no_model() -> None:
    """The benchmark's metrics are numbers about arrays, so that synthetic pictures test them."""
    for path in sources(BACKEND / "bench" / "metrics"):
        assert tops(path, BACKEND.parent) <= set(sys.stdlib_module_names) | {"numpy"}, path


def test_the_papers_loop_uses_nothing_of_the_engines_fusion() -> None:
    """What is compared with must not share what is compared."""
    shared = {"noise", "windows"}
    for module in ("paper", "diffusers_panorama"):
        found = imports(BACKEND / "bench" / "peers" / f"{module}.py", BACKEND.parent)
        engine = {e.module.split(".")[2] for e in found if ".engine." in e.module}
        assert engine <= shared, module


def test_plugin_and_backend_do_not_know_each_other() -> None:
    """They meet in the protocol alone."""
    for path in sources(PLUGIN):
        assert "tapestry_backend" not in tops(path, PLUGIN.parent), path
    for path in sources(BACKEND):
        assert not tops(path, BACKEND.parent) & {"tapestry", "krita", "krita_plugin"}, path


def test_plugin_needs_nothing_that_krita_lacks() -> None:
    """Krita brings Qt and the standard library; the rest travels in vendor/."""
    carried = {"krita", "tapestry", "tapestry_protocol", "websockets"} | QT
    for path in sources(PLUGIN):
        assert tops(path, PLUGIN.parent) <= set(sys.stdlib_module_names) | carried, path


def test_one_room_knows_krita() -> None:
    """Everything but the adapter can be tested without a Krita."""
    for path in sources(PLUGIN):
        if path.parent != PLUGIN / "krita_adapter":
            assert "krita" not in tops(path, PLUGIN.parent), path


def test_one_room_knows_which_qt_it_is() -> None:
    """Krita 5 brings PyQt5, Krita 6 brings PyQt6."""
    for path in sources(PLUGIN):
        if path.parent != PLUGIN / "qt":
            assert not tops(path, PLUGIN.parent) & QT, path


QT_FOLDERS = ("qt", "ui", "krita_adapter", "connection/websocket.py")
"""Of the plugin: where Qt may be used. All else is plain Python."""


@pytest.mark.parametrize("path", sources(PLUGIN), ids=lambda path: str(path.relative_to(PLUGIN)))
def test_the_plugins_core_has_no_qt(path: Path) -> None:
    """The model of the docker and the way from layers to regions are plain Python."""
    folder = str(path.relative_to(PLUGIN))
    if folder == "__init__.py" or folder.startswith(QT_FOLDERS):
        return
    found = {entry.module for entry in imports(path, PLUGIN.parent)}
    assert not {entry.partition(".")[0] for entry in found} & QT
    assert not [name for name in found if name.startswith(("tapestry.qt", "tapestry.ui"))]


def test_the_installer_needs_the_standard_library_alone() -> None:
    """It runs before anything is installed."""
    for path in sources(ROOT / "installer"):
        ours = {"installer", "tapestry_protocol"}
        assert tops(path, ROOT) <= set(sys.stdlib_module_names) | ours, path


def test_what_tests_share_is_in_no_test_module() -> None:
    """Helpers have modules of their own, so that one test can be read without another."""
    shared = {
        (path.name, each.module)
        for path in sources(ROOT / "tests")
        for each in imports(path, ROOT)
        if each.module.rpartition(".")[2].startswith("test_")
    }
    assert not shared
