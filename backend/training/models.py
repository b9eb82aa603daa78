"""Shapes of the untrained U-Net, text encoder and scheduler."""

from __future__ import annotations

from diffusers import DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from .train_autoencoder import LATENT_CHANNELS

TEXT_WIDTH = 128
WINDOW_LATENTS = 16


def build_unet() -> UNet2DConditionModel:
    """Latents [B, 10, h, w] at a timestep, with text [B, T, 128], to a velocity of equal shape.

    Attention over 16 x 16 latents would take nearly half of the time, so that it begins at 8 x 8.
    """
    return UNet2DConditionModel(
        sample_size=WINDOW_LATENTS,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(96, 128, 160),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=TEXT_WIDTH,
        # The configuration's name is historical: these are numbers of heads, each 32 wide.
        attention_head_dim=(3, 4, 5),
        norm_num_groups=16,
    )


def build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Token numbers [B, 40] to features [B, 40, 128]."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            intermediate_size=4 * TEXT_WIDTH,
            projection_dim=TEXT_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def build_scheduler() -> DDIMScheduler:
    """Velocity prediction over a schedule that ends in practically pure noise.

    The usual `beta_end` of 0.012 leaves the mean colour visible in the last step, so that very dark
    and very bright pictures would wash out; 0.026 does not, and needs no rescaled betas, which not
    every scheduler knows.
    """
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.026,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
        timestep_spacing="trailing",
    )
