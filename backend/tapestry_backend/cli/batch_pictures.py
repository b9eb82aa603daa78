"""A picture of a batch: its files, what it is made from, and what of it is missing."""

from __future__ import annotations

import argparse
import json
from collections.abc import Container, Mapping, Sequence
from typing import Any, NamedTuple

from ..openraster.png import encode_grey
from .batch_scenes import BatchScene
from .scene_pictures import ReadScene


class Names:
    """What the files of a picture are called; empty for those that are not wanted.

    known: files of it that are there from an earlier run; they are wanted too, so that none of them
    belongs to another picture than the rest.
    """

    def __init__(self, stem: str, options: argparse.Namespace, known: Container[str]) -> None:
        self.picture = f"{stem}.png"
        scene, labels, classes = f"{stem}.ora", f"{stem}.labels.png", f"{stem}.classes.json"
        has_labels = options.labels or labels in known
        self.scene = scene if options.ora or scene in known else ""
        self.labels = labels if has_labels else ""
        self.classes = classes if has_labels else ""

    @property
    def all(self) -> list[str]:
        return [name for name in (self.picture, self.scene, self.labels, self.classes) if name]


class WantedPicture(NamedTuple):
    """A picture of which something is missing.

    read       its scene, which asks for its seed
    missing    those of its files that are not there, or not right
    facts      what decides it: the request as the docker sends it, SHA-256 of model and adapters
    made_from  SHA-256 of these
    notes      sentences about the scene
    """

    scene: BatchScene
    read: ReadScene
    names: Names
    missing: Sequence[str]
    facts: Mapping[str, Any]
    made_from: str
    notes: Sequence[str]

    @property
    def seed(self) -> int:
        """By which it differs from other pictures of its scene."""
        return self.read.scene.request.seed

    @property
    def is_to_paint(self) -> bool:
        """Whether more than labels is missing."""
        return bool({self.names.picture, self.names.scene} & set(self.missing))


def label_files(wanted: WantedPicture, plan: Mapping[str, Any]) -> dict[str, bytes]:
    """The map of its regions, and what its numbers mean; plan: as the picture's report tells it."""
    from ..tasks.plan import plan_as_told  # noqa: PLC0415  imports torch
    from ..tasks.region_map import region_map  # noqa: PLC0415  likewise

    request, blobs = wanted.read.scene.request, wanted.read.scene.blobs
    labels = region_map(request, blobs, plan_as_told(request, plan))
    text = json.dumps(labels.classes, indent=1, ensure_ascii=False)
    return {
        wanted.names.labels: encode_grey(labels.numbers),
        wanted.names.classes: text.encode("utf-8", "backslashreplace") + b"\n",
    }
