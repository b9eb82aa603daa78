"""What more cards bring, on paper: limits that can be reckoned by hand."""

import pytest

from tapestry_backend.bench.studio.scale import Costs, jobs, one_picture

FREE = Costs(batch_s=0.1, fuse_s=0, alone_s=0, serve_s=0, ask_s=0, latency_s=0, bytes_per_s=1e99)


def test_without_costs_every_card_counts() -> None:
    """Twice the cards, twice the pictures, half the time."""
    assert [each.efficiency for each in jobs(FREE, 10, 4, (1, 8, 64))] == pytest.approx([1, 1, 1])
    assert [each.efficiency for each in one_picture(FREE, 10, 64, (1, 8, 64))] == [1, 1, 1]


def test_a_picture_has_no_more_parts_than_batches() -> None:
    """Four batches keep four cards busy; five on four take as long as eight."""
    assert [each.efficiency for each in one_picture(FREE, 10, 4, (4, 8))] == [1, 0.5]
    (five,) = one_picture(FREE, 10, 5, (4,))
    assert five.efficiency == pytest.approx(5 / 8)


def test_one_server_bounds_the_rate_of_all() -> None:
    """A hundred jobs a second at most, when each takes it ten milliseconds."""
    slow = Costs(batch_s=0.1, fuse_s=0, alone_s=0, serve_s=0.01)
    assert jobs(slow, 1, 1, (512,))[0].value == pytest.approx(100, rel=0.02)


def test_who_leads_bounds_one_picture() -> None:
    """What it does alone does not become less."""
    fused = Costs(batch_s=0.1, fuse_s=0.01, alone_s=0, serve_s=0, ask_s=0, latency_s=0)
    few, many = one_picture(fused, 1, 64, (2, 64))
    assert many.efficiency < few.efficiency
    assert many.value > 64 * 0.01
