"""Rows that see the same: the same numbers, and fewer of them in the first layers."""

import torch

KINDS = 3


def test_equal_rows_share_what_knows_no_text(model) -> None:
    """As if every row had gone through all layers alone."""
    generator = torch.Generator().manual_seed(0)
    seen = torch.randn(KINDS, model.channels, 16, 16, generator=generator)
    latents = seen.repeat_interleave(2, dim=0)
    conditions = model.encode_prompts(["lava", ""]).repeat(KINDS, 1, 1)
    rows = []
    plain, attending, _ = model._unet.down_blocks
    first = attending.attentions[0].transformer_blocks[0]
    watched = (model._unet.conv_in, plain.downsamplers[0], first.attn1, first.attn2)
    hooks = [
        module.register_forward_hook(lambda _module, inputs, _out: rows.append(len(inputs[0])))
        for module in watched
    ]
    shared = model.predict(latents, torch.tensor(500), conditions)
    for hook in hooks:
        hook.remove()
    with torch.no_grad():
        plain = model._unet(latents, 500, encoder_hidden_states=conditions, return_dict=False)[0]

    assert rows == [KINDS, KINDS, KINDS, 2 * KINDS]
    torch.testing.assert_close(shared, plain, atol=1e-4, rtol=0)
    assert float((shared[0] - shared[1]).abs().max()) > 0.01, "the texts must still matter"


def test_a_single_window_is_left_alone(model) -> None:
    """Its two rows are what the plain pipeline computes, to the last bit."""
    latents = torch.randn(1, model.channels, 16, 16).expand(2, -1, -1, -1)
    conditions = model.encode_prompts(["lava", ""])
    with torch.no_grad():
        plain = model._unet(latents, 500, encoder_hidden_states=conditions, return_dict=False)[0]

    assert torch.equal(model.predict(latents, torch.tensor(500), conditions), plain)
