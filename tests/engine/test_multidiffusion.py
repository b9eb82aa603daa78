"""MultiDiffusion: the equalities that make it right, shown with the bundled model."""

import diffusers
import pytest
import torch
from torch import Tensor

from tapestry_backend.engine.multidiffusion import Bootstrapping, MultiDiffusion, RegionPrompt
from tapestry_backend.engine.noise import canvas_noise, job_generator
from tapestry_backend.engine.noise_schedule import SamplingStep
from tapestry_backend.engine.sampling import sample
from tapestry_backend.engine.views import ViewPlan, WindowLayout
from tapestry_backend.engine.windows import Size, crop

STEPS = 4
SCALE = 4.0
CANVAS = Size(16, 40)

STEP = SamplingStep(0, 4, torch.tensor(1), 0.6, 0.8, "epsilon")


def views_of(canvas: Size, region_weights: Tensor, *, wrap: bool = False) -> ViewPlan:
    """The views of a canvas with windows of 16 cells and half a window of stride."""
    return ViewPlan(WindowLayout(canvas, Size(16, 16), Size(8, 8), wrap=wrap), region_weights)


def region_prompts(count: int, scale: float = SCALE) -> list[RegionPrompt]:
    """Each region has its own row of the conditions; the last row is the negative one of all."""
    return [RegionPrompt(region, count, scale) for region in range(count)]


def partition(canvas: Size, count: int, *, hard: bool = False) -> Tensor:
    """Random weights of `count` regions that sum to one at every cell."""
    generator = torch.Generator().manual_seed(count)
    weights = torch.rand(count, *canvas, generator=generator, dtype=torch.float64)
    if hard:
        weights = (weights == weights.max(dim=0).values).double()
    return weights / weights.sum(dim=0)


def paint(model, views: ViewPlan, prompts: list[str], canvas: Size, batch_size=7):
    """The latents of a picture."""
    scheduler = model.make_scheduler()
    encoded = model.encode_prompts([*prompts, ""])
    denoise = MultiDiffusion(
        model.predict, views, region_prompts(len(prompts)), encoded, batch_size
    )
    noise = canvas_noise(3, model.channels, canvas).to(model.dtype)
    *_, last = sample(denoise, scheduler, noise, STEPS, job_generator(3))
    return last.latents


def test_one_window_equals_the_plain_pipeline_bit_for_bit(model, catalogue) -> None:
    """One region, one window: what diffusers' own pipeline paints, to the last bit."""
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
        catalogue.find("sample").path, safety_checker=None, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    canvas = Size(model.window, model.window)
    plain = pipeline(
        "red bricks",
        height=canvas.height * model.cell_px,
        width=canvas.width * model.cell_px,
        latents=canvas_noise(3, model.channels, canvas),
        num_inference_steps=STEPS,
        guidance_scale=SCALE,
        output_type="latent",
    ).images
    scheduler = model.make_scheduler()
    encoded = model.encode_prompts(["red bricks", ""])
    views = views_of(canvas, torch.ones(1, *canvas))
    denoise = MultiDiffusion(model.predict, views, region_prompts(1), encoded, 16)
    noise = canvas_noise(3, model.channels, canvas)
    *_, last = sample(denoise, scheduler, noise, STEPS, job_generator(3))

    assert torch.equal(last.latents, plain)
    plain_pixels = pipeline.vae.decode(
        plain / pipeline.vae.config.scaling_factor, return_dict=False
    )[0]
    assert torch.equal(model.decode(last.latents), plain_pixels)


@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("count", [2, 4])
def test_a_partition_with_one_prompt_changes_nothing(double_model, count: int, hard: bool) -> None:
    """However the canvas is cut into regions of the same prompt, the picture is the same."""
    whole = paint(double_model, views_of(CANVAS, torch.ones(1, *CANVAS)), ["red bricks"], CANVAS)
    views = views_of(CANVAS, partition(CANVAS, count, hard=hard))
    cut = paint(double_model, views, ["red bricks"] * count, CANVAS)

    assert float((cut - whole).abs().max()) < 1e-12 * float(whole.abs().max())


def test_a_partition_in_single_precision(model) -> None:
    """The same in float32, to 1e-4."""
    whole = paint(model, views_of(CANVAS, torch.ones(1, *CANVAS)), ["red bricks"], CANVAS)
    cut = paint(model, views_of(CANVAS, partition(CANVAS, 3)), ["red bricks"] * 3, CANVAS)

    torch.testing.assert_close(cut, whole, atol=1e-4, rtol=0)


def test_order_and_batch_size_change_nothing(double_model) -> None:
    """Regions and windows in another order, and batches of another size, give the same picture."""
    prompts = ["red bricks", "green grass", "blue sky"]
    weights = partition(CANVAS, 3)
    views = views_of(CANVAS, weights)
    picture = paint(double_model, views, prompts, CANVAS)
    order = [2, 0, 1]
    turned = views_of(CANVAS, weights[order])
    other = paint(double_model, turned, [prompts[i] for i in order], CANVAS, batch_size=3)

    assert float((picture - other).abs().max()) < 1e-12 * float(picture.abs().max())
    different = paint(double_model, views, prompts[::-1], CANVAS)
    assert float((picture - different).abs().max()) > 0.01


def test_a_wrapped_canvas_has_no_place_of_its_own(double_model) -> None:
    """Noise turned by one stride gives the same picture, turned."""
    canvas = Size(16, 40)
    weights = torch.ones(1, *canvas)
    noise = canvas_noise(3, double_model.channels, canvas).double()
    encoded = double_model.encode_prompts(["red bricks", ""])
    pictures = []
    for shift in (0, 8):
        views = views_of(canvas, weights, wrap=True)
        denoise = MultiDiffusion(double_model.predict, views, region_prompts(1), encoded, 16)
        start = noise.roll(shift, dims=-1)
        scheduler = double_model.make_scheduler()
        *_, last = sample(denoise, scheduler, start, STEPS, job_generator(3))
        pictures.append(last.latents)

    torch.testing.assert_close(pictures[0].roll(8, dims=-1), pictures[1], atol=1e-10, rtol=0)


def test_regions_of_a_window_share_the_negative_prompt() -> None:
    """R regions on one window cost R + 1 evaluations, not 2 R; none of them is computed twice."""
    rows = []

    def predict(latents: Tensor, timestep: Tensor, conditions: Tensor, contexts) -> Tensor:
        rows.extend(conditions[:, 0, 0].tolist())
        return latents

    canvas = Size(16, 16)
    conditions = torch.arange(5.0)[:, None, None]
    views = views_of(canvas, partition(canvas, 4).float())
    denoise = MultiDiffusion(predict, views, region_prompts(4), conditions, 2)
    denoise(torch.zeros(1, 1, *canvas), STEP)

    assert sorted(rows) == [0, 1, 2, 3, 4]
    assert denoise.evaluations == 5


def test_batches_are_even() -> None:
    """Six rows in batches of four at most: three and three, not four and two."""
    sizes = []

    def predict(latents: Tensor, timestep: Tensor, conditions: Tensor, contexts) -> Tensor:
        sizes.append(len(latents))
        return latents

    views = views_of(Size(16, 32), torch.ones(1, 16, 32))
    denoise = MultiDiffusion(predict, views, region_prompts(1), torch.zeros(2, 1, 1), 4)
    denoise(torch.zeros(1, 1, 16, 32), STEP)

    assert sizes == [3, 3]


def test_guidance_may_be_computed_in_every_second_step() -> None:
    """Between, no negative prompt is evaluated, and the last change of guidance is added again."""
    canvas = Size(16, 16)
    weights = torch.zeros(2, *canvas)
    weights[0, :, :6], weights[1, :, 6:] = 1, 1
    conditions = torch.tensor([10.0, 20.0, 1.0])[:, None, None]
    denoise = MultiDiffusion(
        lambda x, t, c, p: x + t * c[:, :, :, None],
        views_of(canvas, weights),
        [RegionPrompt(0, 2, 3.0), RegionPrompt(1, 2, 5.0)],
        conditions,
        16,
        guidance_every=2,
    )
    evaluations, found = [], []
    for index in range(5):
        before = denoise.evaluations
        step = STEP._replace(step_index=index, num_steps=5, timestep=torch.tensor(float(index + 1)))
        fused = denoise(torch.zeros(1, 1, *canvas), step)
        evaluations.append(denoise.evaluations - before)
        found.append(fused[0, 0, 0, [0, 15]].tolist())

    first, second = (3 - 1) * (10 - 1), (5 - 1) * (20 - 1)
    assert evaluations == [3, 3, 2, 3, 2]
    guided = [1, 2, 2, 4, 4]  # the step whose guidance holds: the first fifth, every second after
    assert found == [
        [10 * now + first * then, 20 * now + second * then]
        for now, then in zip(range(1, 6), guided, strict=True)
    ]


def test_guidance_is_computed_anew_where_bootstrapping_ends() -> None:
    """What it changed before, hard masks and backdrops decided."""
    canvas = Size(16, 16)
    weights = torch.zeros(2, *canvas)
    weights[0, :, :6], weights[1, :, 6:] = 1, 1
    bootstrapping = Bootstrapping(weights > 0, torch.zeros(1, 1, *canvas), 0.6)
    denoise = MultiDiffusion(
        lambda x, t, c, p: x + c[:, :, :, None],
        views_of(canvas, weights),
        [RegionPrompt(0, 2, 3.0), RegionPrompt(1, 2, 5.0)],
        torch.tensor([10.0, 20.0, 1.0])[:, None, None],
        16,
        bootstrapping=bootstrapping,
        guidance_every=10,
    )
    evaluations = []
    for index in range(10):
        before = denoise.evaluations
        denoise(torch.zeros(1, 1, *canvas), STEP._replace(step_index=index, num_steps=10))
        evaluations.append(denoise.evaluations - before)

    assert evaluations == [4, 4, 4, 2, 2, 2, 3, 2, 2, 2]


def test_each_region_has_its_own_negative_prompt_and_guidance() -> None:
    """A region's prediction is pushed away from its own negative one, by its own scale."""
    canvas = Size(16, 16)
    weights = torch.zeros(3, *canvas)
    weights[0, :, :4], weights[1, :, 4:8], weights[2, :, 8:] = 1, 1, 1
    asked = [RegionPrompt(0, 3, 2.0), RegionPrompt(1, 4, 5.0), RegionPrompt(2, 4, 1.0)]
    conditions = torch.tensor([10.0, 20.0, 30.0, 1.0, 2.0])[:, None, None]
    denoise = MultiDiffusion(
        lambda x, t, c, p: x + c[:, :, :, None], views_of(canvas, weights), asked, conditions, 16
    )
    fused = denoise(torch.zeros(1, 1, *canvas), STEP)[0, 0, 0]

    expected = [1 + 2 * (10 - 1)] * 4 + [2 + 5 * (20 - 2)] * 4 + [30] * 8
    assert fused.tolist() == expected
    assert denoise.evaluations == 5  # three prompts, two negative ones; the third region has none


def test_without_guidance_nothing_negative_is_computed() -> None:
    """At a guidance scale of 1 or less there is one evaluation per window."""
    canvas = Size(16, 16)
    views = views_of(canvas, torch.ones(1, *canvas))
    denoise = MultiDiffusion(
        lambda x, t, c, p: x, views, region_prompts(1, 1.0), torch.zeros(2, 1, 1), 4
    )
    denoise(torch.zeros(1, 1, *canvas), STEP)

    assert denoise.evaluations == 1


def test_what_goes_in_besides_is_cropped_like_the_latents() -> None:
    """An inpainting model's mask lies where the window lies."""
    seen = []

    def predict(latents: Tensor, timestep: Tensor, conditions: Tensor, contexts) -> Tensor:
        seen.append(latents)
        return latents[:, :1]

    canvas = Size(16, 40)
    place = torch.arange(40.0).expand(1, 1, 16, 40)
    views = views_of(canvas, torch.ones(1, *canvas))
    denoise = MultiDiffusion(
        predict, views, region_prompts(1, 1.0), torch.zeros(2, 1, 1), 16, extra=-place
    )
    denoise(place, STEP)

    assert seen[0].shape == (4, 2, 16, 16)
    assert torch.equal(seen[0][:, 0], -seen[0][:, 1])


@pytest.fixture
def halves() -> tuple[Size, Tensor]:
    """Two regions, left and right, on one window."""
    canvas = Size(16, 16)
    weights = torch.zeros(2, *canvas)
    weights[0, :, :6], weights[1, :, 6:] = 1, 1
    return canvas, weights


def test_a_bootstrapped_region_sees_its_own_cells_alone(halves) -> None:
    """Everything else is its backdrop at the step's own noise level; later it sees all."""
    canvas, weights = halves
    seen = []

    def predict(latents: Tensor, timestep: Tensor, conditions: Tensor, contexts) -> Tensor:
        seen.extend(latents)
        return latents

    inside = torch.stack([weights[0] > 0, torch.ones(16, 16, dtype=torch.bool)])
    noise, latents = torch.randn(1, 2, *canvas), torch.randn(1, 2, *canvas)
    plan = ViewPlan(WindowLayout(canvas, canvas, canvas), weights)
    denoise = MultiDiffusion(
        predict,
        plan,
        region_prompts(2),
        torch.zeros(3, 1, 1),
        16,
        bootstrapping=Bootstrapping(inside, noise, 0.5),
    )
    denoise(latents, STEP)

    assert len(seen) == 4  # each with a negative evaluation of its own: they see different things
    assert torch.equal(seen[0][..., :6], latents[0, ..., :6])
    assert torch.equal(seen[0][..., 6:], 0.8 * noise[0, ..., 6:])
    assert torch.equal(seen[2], latents[0])
    # What the region wants there is its backdrop in the next step: (x - 0.8 x) / 0.6 on average.
    colour = (latents[0, ..., :6] / 3).mean(dim=(1, 2))
    seen.clear()
    denoise(latents, STEP._replace(step_index=1))
    hidden = 0.6 * colour[:, None, None] + 0.8 * noise[0]
    torch.testing.assert_close(seen[0][..., 6:], hidden[..., 6:])
    seen.clear()
    denoise(latents, STEP._replace(step_index=2))
    assert len(seen) == 3
    assert all(torch.equal(each, latents[0]) for each in seen)


def test_with_hard_masks_bootstrapping_keeps_the_equality(double_model) -> None:
    """Fused once and stepped once is still the paper's step of every path, then its average."""
    weights = torch.zeros(2, *CANVAS, dtype=torch.float64)
    weights[0, 3:11, 5:20] = 1
    weights[1] = 1 - weights[0]
    encoded = double_model.encode_prompts(["lava", "snow", ""])
    noise = canvas_noise(3, double_model.channels, CANVAS).double()
    inside = torch.stack([weights[0] > 0, torch.ones(*CANVAS, dtype=torch.bool)])
    plan = ViewPlan(WindowLayout(CANVAS, Size(16, 16), Size(8, 8)), weights)
    denoise = MultiDiffusion(
        double_model.predict,
        plan,
        region_prompts(2),
        encoded,
        16,
        bootstrapping=Bootstrapping(inside, noise, 1.0),
    )
    scheduler = double_model.make_scheduler()
    *_, last = sample(denoise, scheduler, noise, STEPS, job_generator(3))

    x, alphas = noise, scheduler.alphas_cumprod.double()
    colour = torch.zeros(1, double_model.channels, 1, 1, dtype=torch.float64)
    for timestep in scheduler.timesteps:
        alpha, sigma = alphas[timestep].sqrt(), (1 - alphas[timestep]).sqrt()
        total, weight_sum = torch.zeros_like(x), torch.zeros_like(x)
        wanted_inside, cells = torch.zeros_like(colour), 0
        for view in plan(STEP):
            mask = crop(inside[view.region], view.window)
            own, n = crop(x, view.window), crop(noise, view.window)
            path = torch.where(mask, own, alpha * colour + sigma * n)
            negative, wanted = (
                double_model.predict(path, timestep, c[None])
                for c in (encoded[-1], encoded[view.region])
            )
            guided = negative + SCALE * (wanted - negative)
            if view.region == 0:
                clean = alpha * path - sigma * guided
                wanted_inside += (clean * mask).sum(dim=(2, 3), keepdim=True)
                cells += int(mask.sum())
            stepped = scheduler.step(guided, timestep, path).prev_sample
            crop(total, view.window).add_(view.weight * stepped)
            crop(weight_sum, view.window).add_(view.weight)
        x, colour = total / weight_sum, wanted_inside / cells

    assert float((last.latents - x).abs().max()) < 1e-11 * float(x.abs().max())


def test_factors_are_exact_where_only_neighbours_depend_on_each_other() -> None:
    """Of a chain in which a cell depends on the one before, windows less overlaps tell all.

    The score of such a process is linear, with the inverse of the covariance; a window's is that of
    its own cells. The mean of overlapping windows is another thing.
    """
    canvas, window = Size(1, 22), Size(1, 8)

    def score(latents: Tensor) -> Tensor:
        place = torch.arange(latents.shape[-1], dtype=torch.float64)
        covariance = 0.8 ** (place[:, None] - place).abs()
        return -latents @ covariance.inverse()

    def predict(latents: Tensor, timestep: Tensor, conditions: Tensor, contexts) -> Tensor:
        return score(latents)

    latents = torch.randn(1, 2, *canvas, dtype=torch.float64)
    fused = {}
    for fusion in ("mean", "factors"):
        layout = WindowLayout(canvas, window, Size(1, 5), fusion=fusion)
        views = ViewPlan(layout, torch.ones(1, *canvas, dtype=torch.float64))
        denoise = MultiDiffusion(predict, views, region_prompts(1, 1.0), torch.zeros(2, 1, 1), 16)
        fused[fusion] = denoise(latents, STEP)

    torch.testing.assert_close(fused["factors"], score(latents), atol=1e-12, rtol=0)
    assert float((fused["mean"] - score(latents)).abs().max()) > 0.1
