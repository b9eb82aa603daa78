"""From a request to a picture: plan, generate, extend."""

from .events import Finished, Progressed
from .run import run

__all__ = ["Finished", "Progressed", "run"]
