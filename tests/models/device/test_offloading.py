"""Parts of a checkpoint on a card that may be too small for all of them at once."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tapestry_backend.models.device.offloading import Offloader, stream_layers

CARD = torch.device("cuda")
"""Only named: the parts of these tests move by themselves."""

SIZES = {"unet": 6, "vae": 3, "text_encoder": 2}


class Card:
    """Memory of so many units; work takes some too."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.held: dict[Part, int] = {}
        self.most = 0

    def take(self, part: Part, units: int) -> None:
        """Raises torch's own error when there is not enough left."""
        if sum(self.held.values()) - self.held.get(part, 0) + units > self.room:
            raise torch.OutOfMemoryError("the card is full")
        self.held[part] = units
        self.most = max(self.most, sum(self.held.values()))


class Part(nn.Module):
    """A part that takes room on a card while it is there, and more while it works."""

    def __init__(self, card: Card, units: int) -> None:
        super().__init__()
        self._card, self._units = card, units

    def to(self, device: torch.device) -> Part:
        """Move there, or fail."""
        if device == CARD:
            self._card.take(self, self._units)
        else:
            self._card.held.pop(self, None)
        return self

    def work(self, units: int) -> str:
        """Take more for a while."""
        assert self in self._card.held
        self._card.take(self, self._units + units)
        self._card.take(self, self._units)
        return "done"


def parts_on(card: Card) -> dict[str, Part]:
    """The parts of a checkpoint, at home."""
    return {name: Part(card, units) for name, units in SIZES.items()}


def test_all_parts_stay_where_there_is_room() -> None:
    """Nothing is moved again."""
    card = Card(20)
    offloader = Offloader(parts_on(card), CARD)
    assert offloader.run("vae", lambda part: part.work(5)) == "done"
    assert len(card.held) == len(SIZES)
    assert not offloader.one_at_a_time


@pytest.mark.promise("R6")
@pytest.mark.parametrize(("room", "work"), [(10, 1), (9, 3), (7, 1), (13, 6)])
def test_one_part_at_a_time_where_there_is_little(room: int, work: int, measured) -> None:
    """Whether all of them do not fit, or one of them runs out of memory at its work."""
    card = Card(room)
    offloader = Offloader(parts_on(card), CARD)
    for name in ("text_encoder", "unet", "vae", "unet"):
        assert offloader.run(name, lambda part: part.work(work)) == "done"
    assert offloader.one_at_a_time
    assert len(card.held) == 1
    assert card.most <= room
    measured(f"parts of {SIZES} on a card of {room}: one at a time")


def test_a_part_that_does_not_fit_alone_says_so() -> None:
    """And a smaller one works after it."""
    offloader = Offloader(parts_on(Card(7)), CARD)
    with pytest.raises(torch.OutOfMemoryError):
        offloader.run("unet", lambda part: part.work(2))
    assert offloader.run("vae", lambda part: part.work(2)) == "done"


@pytest.mark.parametrize(("room", "work"), [(5, 1), (7, 2)])
def test_a_part_that_does_not_fit_alone_comes_in_layers(room: int, work: int) -> None:
    """When it cannot come at all, or runs out of memory at its work; the others come whole."""
    card, streamed = Card(room), []
    parts = parts_on(card)

    def stream(part: nn.Module, device: torch.device) -> None:
        assert device == CARD
        assert not card.held, "everything is offloaded"
        streamed.append(part)
        part.work = lambda _: "in layers"

    offloader = Offloader(parts, CARD, streamable={"unet"}, stream=stream)
    said = [
        offloader.run(name, lambda part: part.work(work)) for name in ("unet", "vae", "unet", "vae")
    ]

    assert said == ["in layers", "done", "in layers", "done"]
    assert streamed == [parts["unet"]]
    assert card.most <= room


def test_layers_that_come_one_by_one_compute_the_same() -> None:
    """With diffusers' own hooks, from the processor to the processor."""
    torch.manual_seed(0)
    part = nn.Sequential(nn.Linear(4, 8), nn.SiLU(), nn.Linear(8, 2))
    given = torch.randn(3, 4)
    before = part(given)
    stream_layers(part, torch.device("cpu"))

    assert torch.equal(part(given), before)


def test_where_memory_is_shared_nothing_is_moved() -> None:
    """A processor's parts are where they were: a second attempt would be the same."""
    offloader = Offloader(parts_on(Card(0)), torch.device("cpu"))
    attempts = []

    def fail(part: nn.Module) -> None:
        attempts.append(part)
        raise MemoryError

    with pytest.raises(MemoryError):
        offloader.run("unet", fail)
    assert len(attempts) == 1


def test_other_errors_are_not_taken_for_it() -> None:
    """A mistake is raised at once."""
    offloader = Offloader(parts_on(Card(20)), CARD)
    with pytest.raises(ZeroDivisionError):
        offloader.run("unet", lambda _: 1 / 0)
    assert not offloader.one_at_a_time


def test_what_does_not_fit_is_never_moved() -> None:
    """A driver that swaps raises nothing: sizes decide, before anything is on its way."""
    parts = {"unet": nn.Linear(64, 64), "vae": nn.Linear(8, 8)}
    small, large = (sum(w.nbytes for w in parts[name].parameters()) for name in ("vae", "unet"))
    streamed: list[nn.Module] = []
    device = torch.device("meta")
    together = Offloader(dict(parts), device, room=lambda: small + large - 1)
    assert together.one_at_a_time
    assert all(w.device.type == "cpu" for part in parts.values() for w in part.parameters())
    alone = Offloader(
        dict(parts),
        device,
        streamable={"unet"},
        stream=lambda part, _: streamed.append(part),
        room=lambda: large - 1,
    )
    alone.use("unet")
    assert streamed == [parts["unet"]]
    assert parts["unet"].weight.device.type == "cpu"


def test_a_network_beside_the_backbone_comes_and_goes_with_it() -> None:
    """Where all are together it stays; where they cannot be it is there when the backbone is."""
    card = Card(20)
    offloader, control = Offloader(parts_on(card), CARD), Part(card, 3)
    offloader.join("unet", control)
    assert not offloader.one_at_a_time
    assert sum(card.held.values()) == 6 + 3 + 2 + 3

    card = Card(12)
    offloader, control = Offloader(parts_on(card), CARD), Part(card, 3)
    assert not offloader.one_at_a_time
    offloader.join("unet", control)
    assert offloader.one_at_a_time
    unet = offloader.use("unet")
    assert set(card.held) == {unet, control}
    assert offloader.run("vae", lambda part: part.work(7)) == "done"
    assert set(card.held) == {offloader.use("vae")}
    offloader.use("unet")
    offloader.leave(control)
    assert set(card.held) == {unet}


def test_a_network_beside_the_backbone_comes_in_layers_where_both_are_too_large() -> None:
    """It is streamed once, and is not moved as a whole from then on."""
    card, streamed = Card(8), []
    offloader = Offloader(
        parts_on(card), CARD, streamable={"unet"}, stream=lambda part, _: streamed.append(part)
    )
    control = Part(card, 3)
    offloader.join("unet", control)
    for _ in range(2):
        unet = offloader.use("unet")
        assert set(card.held) == {unet}
        offloader.use("vae")
    assert streamed == [control]


@pytest.mark.parametrize("room", [20, 12])
def test_what_is_used_once_leaves_the_card(room: int) -> None:
    """Whether there was room beside the others or not; also when its work fails."""
    card = Card(room)
    offloader, encoder = Offloader(parts_on(card), CARD), Part(card, 3)
    assert offloader.visit(encoder, lambda part: part.work(1)) == "done"
    assert encoder not in card.held
    assert offloader.one_at_a_time == (room == 12)
    with pytest.raises(ZeroDivisionError):
        offloader.visit(encoder, lambda _: 1 / 0)
    assert encoder not in card.held


def test_parts_come_in_layers_from_the_start_if_asked() -> None:
    """Where it is a card; the autoencoder comes as a whole."""
    card, streamed = Card(20), []
    offloader = Offloader(
        parts_on(card),
        CARD,
        streamable={"unet", "text_encoder"},
        stream=lambda part, _: streamed.append(part),
        in_layers=True,
    )
    assert len(streamed) == 2
    assert offloader.is_streamed("unet")
    assert not card.held
    assert offloader.run("vae", lambda part: part.work(5)) == "done"
    assert set(card.held) == {offloader.use("vae")}
    assert not Offloader(
        parts_on(card), torch.device("cpu"), streamable={"unet"}, in_layers=True
    ).is_streamed("unet")
