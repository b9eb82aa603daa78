"""Fixtures that many folders share: the bundled model, loaded once."""

from pathlib import Path

import pytest
from hypothesis import settings

from tapestry_backend.checkpoints.catalogue import SAMPLE, Catalogue
from tests.tiers import TIERS, may_hold, tier_of

pytest_plugins = ["tests.promises"]

KRITA = "tests/krita/"

settings.register_profile("tapestry", deadline=None)  # no clock decides whether a test passes
settings.load_profile("tapestry")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Of another tier than the one that is asked for nothing is even imported."""
    tier = config.getoption("markexpr")
    if tier not in TIERS or not collection_path.is_relative_to(config.rootpath / "tests"):
        return None
    path = collection_path.relative_to(config.rootpath).as_posix()
    return None if may_hold(f"{path}/" if collection_path.is_dir() else path, tier) else True


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each test is of a tier. Krita takes longest and comes first: others fill its pauses."""
    for item in items:
        item.add_marker(tier_of(item.nodeid))
    items.sort(key=lambda item: not item.nodeid.startswith(KRITA))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Processes that share the suite divide it by files, and all that needs Krita is one."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return KRITA if nodeid.startswith(KRITA) else nodeid.split("::", maxsplit=1)[0]

    return ByFile(config, log)


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """The catalogue of a backend that was given no model: the bundled one alone."""
    return Catalogue()


@pytest.fixture(scope="session")
def model_cache(catalogue: Catalogue):
    """A model cache in which the bundled model is loaded at most once per test run."""
    from tapestry_backend.models.model_cache import ModelCache

    return ModelCache(catalogue)


@pytest.fixture(scope="session")
def model(model_cache):
    """The bundled model in single precision."""
    return model_cache.load(SAMPLE)


@pytest.fixture(scope="session")
def double_model(catalogue: Catalogue):
    """The bundled model in double precision, for equalities."""
    import torch

    from tapestry_backend.models.stable_diffusion import StableDiffusion

    return StableDiffusion(catalogue.find(SAMPLE), torch.device("cpu"), torch.float64)
