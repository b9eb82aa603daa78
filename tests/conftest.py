"""Fixtures that many rooms share: the bundled model, loaded once."""

import pytest
from hypothesis import settings

from tapestry_backend.models.catalogue import SAMPLE, Catalogue

pytest_plugins = ["tests.promises"]

settings.register_profile("tapestry", deadline=None)  # no clock decides whether a test passes
settings.load_profile("tapestry")


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """How processes that share the suite divide it: by files, and Krita, the longest, first."""
    for item in items:
        room = item.path.parent.name
        item.add_marker(pytest.mark.xdist_group("krita" if room == "krita" else str(item.path)))
    items.sort(key=lambda item: item.path.parent.name != "krita")


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """The catalogue of a backend that was given no model: the bundled one alone."""
    return Catalogue()


@pytest.fixture(scope="session")
def store(catalogue: Catalogue):
    """A model store in which the bundled model is loaded at most once per test run."""
    from tapestry_backend.models.store import ModelStore

    return ModelStore(catalogue)


@pytest.fixture(scope="session")
def model(store):
    """The bundled model in single precision."""
    return store.load(SAMPLE)


@pytest.fixture(scope="session")
def double_model(catalogue: Catalogue):
    """The bundled model in double precision, for equalities."""
    import torch

    from tapestry_backend.models.stable_diffusion import StableDiffusion

    return StableDiffusion(catalogue.find(SAMPLE), torch.device("cpu"), torch.float64)
