"""Extension: which cells are preserved, how edges continue, how colours are matched."""

import pytest
import torch

from tapestry_backend.engine.extension import (
    Follow,
    continue_edges,
    find_border,
    match_colours,
    nearest_known,
    preserve_cells_until,
    pull_push,
    same_content,
    turn_to_middle,
)


def known_rectangle(height: int, width: int, top: int, left: int, bottom: int, right: int):
    """[H, W] bool, True inside the rectangle."""
    known = torch.zeros(height, width, dtype=torch.bool)
    known[top:bottom, left:right] = True
    return known


def test_a_cell_with_one_unknown_pixel_is_new() -> None:
    """Known cells are known as a whole; new ones follow the edge, the longer the nearer."""
    known = known_rectangle(8, 48, 0, 0, 8, 17)
    until = preserve_cells_until(known.float(), 8, Follow(0.5, 0.2, cells=3))[0]

    assert until.tolist() == pytest.approx([1, 1, 0.5, 0.4, 0.3, 0.2])


def test_where_the_canvas_wraps_new_cells_follow_the_edge_at_its_other_side() -> None:
    """The last column lies beside the first one."""
    known = known_rectangle(8, 48, 0, 0, 8, 17)
    until = preserve_cells_until(known.float(), 8, Follow(0.5, 0.2, cells=3), wrap=True)[0]

    assert until.tolist() == pytest.approx([1, 1, 0.5, 0.4, 0.4, 0.5])


def test_a_soap_film_goes_around_a_canvas_that_wraps() -> None:
    """What is unknown at the right takes what is known at the left."""
    known = known_rectangle(8, 64, 0, 0, 8, 2) | known_rectangle(8, 64, 0, 30, 8, 32)
    values = torch.zeros(1, 1, 8, 64)
    values[..., :2] = 1.0
    wrapped, plain = (pull_push(values, known, wrap=wrap) for wrap in (True, False))

    assert wrapped.shape == values.shape
    assert float(wrapped[..., 60:].min()) > 0.8
    assert float(plain[..., 60:].max()) < 0.4


def test_a_cell_is_as_free_as_its_freest_pixel() -> None:
    """What is preserved for a part of the steps is preserved as long as its pixels allow."""
    preserve_until = torch.full((8, 24), 0.7)
    preserve_until[3, 9] = 0.4

    assert preserve_cells_until(preserve_until, 8)[0].tolist() == pytest.approx([0.7, 0.4, 0.7])


def test_with_nothing_known_everything_is_free() -> None:
    """There is no edge to follow in an empty picture."""
    assert float(preserve_cells_until(torch.zeros(16, 16), 8, Follow(0.5, 0.2, cells=2)).max()) == 0


def test_edges_are_led_around_to_each_other() -> None:
    """Where the picture wraps: in even steps from the right edge to the left one."""
    pixels = torch.zeros(1, 3, 2, 8)
    pixels[..., 4] = 4.0
    known = known_rectangle(2, 8, 0, 2, 2, 5)
    continued = continue_edges(pixels, known, wrap=True)

    expected = [4 / 3, 2 / 3, 0, 0, 4, 10 / 3, 8 / 3, 2]
    assert continued[0, 0, 0].tolist() == pytest.approx(expected)


def test_edges_are_continued_outwards() -> None:
    """Each row's last colour goes on to the border, to both sides."""
    pixels = torch.rand(1, 3, 16, 16)
    known = known_rectangle(16, 16, 0, 4, 16, 12)
    continued = continue_edges(pixels, known)

    assert torch.equal(continued[..., 4:12], pixels[..., 4:12])
    assert torch.equal(continued[..., 0], pixels[..., 4])
    assert torch.equal(continued[..., 15], pixels[..., 11])


def test_a_hole_is_filled_from_around() -> None:
    """A hole in one colour gets this colour."""
    pixels = torch.full((1, 3, 24, 24), 0.25)
    known = torch.ones(24, 24, dtype=torch.bool)
    known[5:14, 7:20] = False

    torch.testing.assert_close(continue_edges(pixels * known, known), pixels)


def test_a_picture_without_known_pixels_becomes_grey() -> None:
    """A fully transparent picture gives a neutral start."""
    known = torch.zeros(8, 8, dtype=torch.bool)

    assert torch.equal(continue_edges(torch.rand(1, 3, 8, 8), known), torch.zeros(1, 3, 8, 8))


def test_pull_push_keeps_what_is_known() -> None:
    """Known values stay, unknown ones lie between the smallest and the largest known one."""
    values, known = torch.rand(1, 2, 13, 29), torch.rand(13, 29) > 0.7
    filled = pull_push(values, known)

    assert torch.equal(filled[..., known], values[..., known])
    inside = values[..., known]
    assert bool((filled >= inside.min() - 1e-5).all())
    assert bool((filled <= inside.max() + 1e-5).all())


def test_a_colour_shift_is_taken_out_beside_the_border_and_fades() -> None:
    """A decoder that darkens by 0.04 is corrected beside the border and left alone far off."""
    original = torch.full((1, 3, 32, 256), 0.5)
    known = known_rectangle(32, 256, 0, 0, 32, 64)
    matched = match_colours(original - 0.04, original, known, 8)

    assert torch.equal(matched[..., :64], original[..., :64])
    assert float((matched[..., 64:68] - 0.5).abs().max()) < 0.005
    torch.testing.assert_close(matched[..., 200:], original[..., 200:] - 0.04)


def test_fine_errors_leave_no_line_at_the_border() -> None:
    """Where the decoder is wrong row by row, the first new column is corrected row by row."""
    original = torch.rand(1, 3, 64, 1, generator=torch.Generator().manual_seed(2)).expand(
        -1, -1, -1, 128
    )
    error = 0.1 * torch.sin(torch.arange(64) / 2)[:, None]
    known = known_rectangle(64, 128, 0, 0, 64, 64)
    matched = match_colours(original + error, original, known, 8)
    step = (matched - original)[..., 64].abs().mean()

    assert float(step) < 0.5 * float(error.abs().mean())
    far = (matched - original)[..., 90] - error[:, 0]
    assert float(far.abs().max()) < 0.01


def disc(height: int, width: int, radius: float):
    """[H, W] bool, True in a disc around the middle."""
    down = torch.arange(height)[:, None] - height // 2
    return down**2 + (torch.arange(width) - width // 2) ** 2 <= radius**2


def test_every_pixel_beside_the_border_finds_the_nearest_known_one() -> None:
    """As comparing it with all of them does, for scattered pixels, within the reach alone."""
    known = torch.rand(40, 60, generator=torch.Generator().manual_seed(1)) > 0.99
    place, nearest = nearest_known(known, 9)
    everything = torch.nonzero(~known).float()
    distances = torch.cdist(everything, torch.nonzero(known).float()).amin(dim=1)

    assert bool(known[nearest[:, 0], nearest[:, 1]].all())
    assert torch.equal(place.float(), everything[distances < 9])
    found = (place - nearest).float().norm(dim=1)
    torch.testing.assert_close(found, distances[distances < 9])


def test_where_nothing_is_known_nothing_is_near() -> None:
    """Neither where everything is."""
    for value in (True, False):
        place, nearest = nearest_known(torch.full((8, 8), value), 5)
        assert place.shape == nearest.shape == (0, 2)


def test_errors_beside_a_disc_are_continued_all_around_it() -> None:
    """No knobs and no whiskers: nowhere is more corrected than the error is, and all of it near."""
    known = disc(96, 112, 30.3)
    original = torch.full((1, 3, 96, 112), 0.5)
    matched = match_colours(original - 0.04, original, known, 8)
    correction = matched - (original - 0.04)
    near = disc(96, 112, 31.5) & ~known

    assert float((correction[..., near] - 0.04).abs().max()) < 0.012
    assert float(correction[..., ~known].min()) > -0.002
    assert float(correction[..., ~known].max()) < 0.045


def test_a_thin_stroke_is_met_too() -> None:
    """Where no cell is known as a whole and no mirror lies in what is known."""
    known = torch.zeros(48, 48, dtype=torch.bool)
    known[20:23] = True
    original = torch.full((1, 3, 48, 48), 0.5)
    matched = match_colours(original - 0.1, original, known, 8)

    assert float((matched[..., 23, :] - 0.5).abs().max()) < 0.01
    assert float((matched[..., 40:, :] - 0.4).abs().max()) < 1e-6


def test_an_outline_between_two_things_is_told_by_the_cells_it_cuts() -> None:
    """Fine differences are no other content, and a border between cells says nothing."""
    original = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(3)) * 0.4 + 0.3
    cut, between = disc(96, 96, 30), known_rectangle(96, 96, 0, 0, 96, 48)
    other = original + torch.tensor([0.3, -0.2, 0.0])[None, :, None, None]

    outline = cut & ~disc(96, 96, 29)

    assert float(same_content(original.flip(-1), original, cut, 8)[outline].min()) > 0.9
    assert float(same_content(other, original, cut, 8)[outline].max()) == 0
    assert float(same_content(other, original, between, 8).min()) == 1


def test_the_border_is_where_known_and_new_cells_meet() -> None:
    """A cell that is known in part is one of them, and so is the next one; what is far is not."""
    known = known_rectangle(8, 400, 0, 0, 8, 161)  # twenty cells, and a pixel of the next one
    border = find_border(known, 8)

    assert border is not None
    assert border.again[0].nonzero().flatten().tolist() == [*range(16, 22)]
    assert border.near == (0, 12, 1, 29)
    assert border.beyond == (0, 12, 1, 50)


@pytest.mark.parametrize("right", [0, 48])
def test_where_all_or_nothing_is_known_there_is_no_border(right: int) -> None:
    """Nothing meets anything."""
    assert find_border(known_rectangle(8, 48, 0, 0, 8, right), 8) is None


@pytest.mark.parametrize(("left", "right"), [(0, 24), (40, 64), (8, 40)])
def test_what_is_known_is_turned_to_the_middle(left: int, right: int) -> None:
    """As much is new to its left as to its right then, to a cell."""
    known = known_rectangle(8, 64, 0, left, 8, right)
    columns = known.roll(8 * turn_to_middle(known, 8), -1)[0].nonzero().flatten()

    assert int(columns[-1]) - int(columns[0]) == right - left - 1
    assert abs(int(columns[0]) - (63 - int(columns[-1]))) <= 8


def test_what_is_new_is_turned_to_the_middle_where_something_is_known_everywhere() -> None:
    """A selection that lies across the edge of a picture that wraps."""
    known = torch.ones(8, 64, dtype=torch.bool)
    known[2:5, :8], known[2:5, 40:] = False, False
    turned = known.roll(8 * turn_to_middle(known, 8), -1)
    columns = (~turned).any(dim=0).nonzero().flatten()

    assert int(columns[-1] - columns[0]) == 31
    assert abs(int(columns[0]) - (63 - int(columns[-1]))) <= 8


@pytest.mark.parametrize("known", [True, False])
def test_a_canvas_that_is_known_as_a_whole_or_not_at_all_is_not_turned(*, known: bool) -> None:
    """There is no border."""
    assert turn_to_middle(torch.full((8, 64), known), 8) == 0


@pytest.mark.parametrize("gap_px", [0, 1, 2, 4])
def test_another_thing_just_beyond_a_border_throws_nothing_over_it(gap_px: int) -> None:
    """A sky is filled up to some pixels before a tower: the new sky stays sky."""
    sky = torch.tensor([0.4, 0.6, 1.0])[None, :, None, None].expand(1, 3, 64, 64)
    original = sky.clone()
    original[..., 42 + gap_px :] = torch.tensor([0.8, 0.2, 0.1])[:, None, None]
    known = torch.zeros(64, 64, dtype=torch.bool)
    known[:, 42:] = True
    decoded = sky + 0.02  # the cell that the border cuts is painted anew as a whole
    decoded[..., 48:] = original[..., 48:] + 0.02

    matched = match_colours(decoded, original, known, 8)

    assert float((matched - sky)[..., :42].abs().max()) < 0.03


def test_no_specks_stand_in_a_thin_selection() -> None:
    """Between two edges their pixels' own errors are not carried on as they are, let alone doubled.

    Beside a straight border they are: what is the autoencoder's error pixel by pixel goes on there.
    """
    generator = torch.Generator().manual_seed(2)
    error = (torch.rand(1, 3, 64, 64, generator=generator) - 0.5) * 0.1
    original = torch.full((1, 3, 64, 64), 0.5)

    def roughness(known: torch.Tensor) -> float:
        change = match_colours(original - error, original, known, 8) - (original - error)
        inside = change[..., 30:33, :]
        return float((inside[..., 1:] - inside[..., :-1]).abs().mean())

    strip = ~known_rectangle(64, 64, 30, 0, 33, 64)
    border = known_rectangle(64, 64, 0, 0, 30, 64)
    assert roughness(strip) < 0.5 * roughness(border)
