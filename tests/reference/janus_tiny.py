"""Tiny random Janus checkpoints as real Hugging Face folders, in both published naming schemes.

Each `Shape` below is one checkpoint. Between them they cover what a reader of real files must cope with: f32,
bf16 and f16 on disk; one file and two shards with an index; `lm_head` present and absent (tied); `rope_theta`
(older writers), `rope_parameters` (newer) and neither (official file, defaults apply); grouped-query attention;
preprocessor_config with `size` and with `image_size`; transformers names and the official ones (fused qkv, a
leading axis on pos_embed, tensors that nobody uses). Widths, vocabularies and codebooks leave tails everywhere:
few are a multiple of 16, and of 64 only the tower of the last one. The second VQ is wider at high resolution
(multipliers [2, 1], unlike the published ones) because that exercises the shortcut convolutions in few bytes.

`official` in the last one: that scheme's config.json does not name the tower's heads or the VQ's widths (official
code takes them from tables in its source), so everything there must follow from tensor shapes, with two rules of
the published models: a vision head has 64 channels, a norm's eps is 1e-6. The tower here obeys both.

The reference is always computed in f32 from the weights *as stored* (rounded to the disk's type first).
"""

import json
import re
from dataclasses import dataclass, field

import torch
from safetensors.torch import save_file
from transformers import JanusConfig, JanusForConditionalGeneration, JanusVisionConfig, JanusVQVAEConfig, LlamaConfig

from weights import spread


@dataclass
class Shape:
    name: str
    disk: torch.dtype
    vocab: int
    hidden: int
    ffn: int
    layers: int
    heads: int
    kv_heads: int
    theta: float
    vision: dict                    # JanusVisionConfig: hidden_size, num_attention_heads, patch_size, mlp_ratio ...
    grid: int                       # patches per side: grid*grid picture tokens
    vq: dict                        # JanusVQVAEConfig: num_embeddings, embed_dim, latent_channels ...
    pictures: list                  # (file, width, height, kind, mode) of the understanding prompt
    draw_prompts: list
    scheme: str = "transformers"    # or "official"
    tied: bool = False
    shards: int = 1
    old_rope: bool = False
    min_size: int = 14
    roles: tuple = ("<|User|>", "<|Assistant|>")
    tokenizer: dict = field(default_factory=dict)


SHAPES = [
    Shape("janus-a-f32", torch.float32, vocab=523, hidden=40, ffn=108, layers=2, heads=5, kv_heads=5, theta=10000.0,
          vision=dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, patch_size=6, mlp_ratio=4.0), grid=3,
          vq=dict(num_embeddings=100, embed_dim=6, latent_channels=16, channel_multiplier=[1, 1], num_res_blocks=1),
          pictures=[("small.png", 11, 7, "wave", "RGB"), ("tall.png", 29, 83, "noise", "RGB")],
          draw_prompts=["a red fox", "two blue boats at sea", "7 stars", "an old map", "a cup of tea, no sugar",
                        "snow", "the letter Q", "green hills under rain"],
          old_rope=True, tokenizer=dict(merges=230, extra=["<|ref|>", "<|/ref|>"], order="pro")),
    Shape("janus-b-bf16-sharded", torch.bfloat16, vocab=571, hidden=96, ffn=148, layers=2, heads=4, kv_heads=2,
          theta=500.0,
          vision=dict(hidden_size=40, num_hidden_layers=2, num_attention_heads=2, patch_size=4, mlp_ratio=2.5), grid=8,
          vq=dict(num_embeddings=193, embed_dim=8, latent_channels=24, channel_multiplier=[2, 1], num_res_blocks=1),
          pictures=[("grey.png", 32, 32, "noise", "L"), ("wide.png", 150, 17, "wave", "RGB")],
          draw_prompts=["a lighthouse at night"], tied=True, shards=2, min_size=6,
          tokenizer=dict(merges=310, extra=["<|grounding|>"], order="late")),
    Shape("janus-c-f16-official", torch.float16, vocab=534, hidden=72, ffn=148, layers=2, heads=6, kv_heads=2,
          theta=10000.0,
          vision=dict(hidden_size=128, num_hidden_layers=2, num_attention_heads=2, patch_size=5, mlp_ratio=0.35), grid=5,
          vq=dict(num_embeddings=77, embed_dim=8, latent_channels=20, channel_multiplier=[1, 1, 1], num_res_blocks=1),
          pictures=[("big.png", 121, 90, "wave", "RGB"), ("line.png", 1, 40, "noise", "RGB")],
          draw_prompts=["a clay pot", "three pears on a plate", "fog"], scheme="official",
          roles=("User", "Assistant"), tokenizer=dict(merges=240, extra=[], order="1.3b")),
]


def build(shape, ids, seed):
    """The model in f32 with weights rounded through the disk's type; `ids` are the tokenizer's special ids."""
    image_size = shape.grid * shape.vision["patch_size"]
    config = JanusConfig(
        text_config=LlamaConfig(
            vocab_size=shape.vocab, hidden_size=shape.hidden, intermediate_size=shape.ffn, rms_norm_eps=1e-6,
            num_hidden_layers=shape.layers, num_attention_heads=shape.heads, num_key_value_heads=shape.kv_heads,
            max_position_embeddings=512, rope_parameters={"rope_type": "default", "rope_theta": shape.theta},
            bos_token_id=ids["bos"], eos_token_id=ids["eos"], pad_token_id=ids["pad"],
            tie_word_embeddings=shape.tied),
        vision_config=JanusVisionConfig(image_size=image_size, projection_dim=shape.hidden,
                                        num_image_tokens=shape.grid ** 2, **shape.vision),
        vq_config=JanusVQVAEConfig(base_channels=32, projection_dim=shape.hidden,
                                   image_token_embed_dim=shape.hidden, **shape.vq),
        image_token_id=ids["image"], tie_word_embeddings=shape.tied)
    config._attn_implementation = "eager"
    model = JanusForConditionalGeneration(config).float().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in sorted(model.named_parameters()):
            mean, std = spread(name, tuple(tensor.shape))
            noise = torch.randn(tensor.shape, generator=generator)
            tensor.copy_((mean + std * noise).to(shape.disk).float())
    model.generation_config.update(bos_token_id=ids["bos"], eos_token_id=ids["eos"], pad_token_id=ids["pad"],
                                   guidance_scale=5.0)
    model.generation_config.generation_kwargs = {"boi_token_id": ids["boi"]}
    return model


def official_tensors(tensors):
    """Renames a transformers state dict to the official scheme, and adds the tensors that official files carry
    and nobody uses. Linear and convolution weights are the same numbers in both; q, k and v are stacked."""
    renames = [
        (r"^lm_head", "language_model.lm_head"),
        (r"^model\.language_model\.", "language_model.model."),
        (r"^model\.vision_model\.embeddings\.patch_embedding", "vision_model.vision_tower.patch_embed.proj"),
        (r"^model\.vision_model\.embeddings\.position_embedding\.weight", "vision_model.vision_tower.pos_embed"),
        (r"^model\.vision_model\.post_layernorm", "vision_model.vision_tower.norm"),
        (r"^model\.vision_model\.encoder\.layers\.(\d+)\.layer_norm", r"vision_model.vision_tower.blocks.\1.norm"),
        (r"^model\.vision_model\.encoder\.layers\.(\d+)\.self_attn\.projection_layer",
         r"vision_model.vision_tower.blocks.\1.attn.proj"),
        (r"^model\.vision_model\.encoder\.layers\.(\d+)\.self_attn", r"vision_model.vision_tower.blocks.\1.attn"),
        (r"^model\.vision_model\.encoder\.layers", "vision_model.vision_tower.blocks"),
        (r"^model\.aligner\.fc1", "aligner.layers.0"), (r"^model\.aligner\.hidden_layers\.0", "aligner.layers.2"),
        (r"^model\.generation_aligner\.fc1", "gen_aligner.layers.0"),
        (r"^model\.generation_aligner\.hidden_layers\.0", "gen_aligner.layers.2"),
        (r"^model\.generation_head\.proj_out", "gen_head.output_mlp_projector"),
        (r"^model\.generation_head", "gen_head"), (r"^model\.generation_embeddings", "gen_embed"),
        (r"^model\.vqmodel\.(encoder|decoder)\.mid\.(block_1|attn_1|block_2)",
         lambda m: f"gen_vision_model.{m[1]}.mid." + str(["block_1", "attn_1", "block_2"].index(m[2]))),
        (r"^model\.vqmodel\.(encoder|decoder)\.(down|up)\.(\d+)\.block", r"gen_vision_model.\1.conv_blocks.\3.res"),
        (r"^model\.vqmodel\.(encoder|decoder)\.(down|up)\.(\d+)", r"gen_vision_model.\1.conv_blocks.\3"),
        (r"^model\.vqmodel", "gen_vision_model"),
    ]
    out = {}
    for name, tensor in tensors.items():
        new = name
        for pattern, replacement in renames:
            if re.search(pattern, name):
                new = re.sub(pattern, replacement, name)
                break
        out[new] = tensor
    for name in [n for n in out if ".attn.q_proj." in n]:
        parts = [out.pop(name.replace("q_proj", p)) for p in ("q_proj", "k_proj", "v_proj")]
        out[name.replace("q_proj", "qkv")] = torch.cat(parts)
    out["vision_model.vision_tower.pos_embed"] = out["vision_model.vision_tower.pos_embed"].unsqueeze(0)
    width = out["vision_model.vision_tower.norm.weight"].shape[0]
    kind = out["vision_model.vision_tower.norm.weight"].dtype
    out["vision_model.vision_tower.attn_pool.latent"] = torch.full((1, 1, width), 0.25, dtype=kind)
    out["vision_model.vision_tower.attn_pool.q.bias"] = torch.full((width,), -0.5, dtype=kind)
    out["gen_vision_model.quantize.codebook_used"] = torch.zeros(640)         # f32; 65536 in the published file
    return out


def official_config(shape):
    """config.json of the official scheme. language_config leaves out what the published 7B file leaves out."""
    image_size = shape.grid * shape.vision["patch_size"]
    codes, dims = shape.vq["num_embeddings"], shape.vq["embed_dim"]
    return {
        "architectures": ["MultiModalityCausalLM"], "model_type": "multi_modality", "torch_dtype": "float16",
        "vision_config": {"cls": "CLIPVisionTower", "model_type": "vision", "params": {
            "image_size": image_size, "model_name": "siglip_large_patch16_384", "select_feature": "same",
            "select_layer": -1}},
        "aligner_config": {"cls": "MlpProjector", "model_type": "aligner", "params": {
            "depth": 2, "input_dim": shape.vision["hidden_size"], "n_embed": shape.hidden,
            "projector_type": "mlp_gelu"}},
        "gen_vision_config": {"cls": "VQ-16", "model_type": "gen_vision", "params": {
            "image_token_size": codes, "n_embed": dims}},
        "gen_aligner_config": {"cls": "MlpProjector", "model_type": "gen_aligner", "params": {
            "depth": 2, "input_dim": dims, "n_embed": shape.hidden, "projector_type": "mlp_gelu"}},
        "gen_head_config": {"cls": "vision_head", "model_type": "gen_head", "params": {
            "image_token_embed": shape.hidden, "image_token_size": codes, "n_embed": shape.hidden}},
        "language_config": {
            "hidden_size": shape.hidden, "intermediate_size": shape.ffn, "max_position_embeddings": 512,
            "model_type": "llama", "num_attention_heads": shape.heads, "num_hidden_layers": shape.layers,
            "num_key_value_heads": shape.kv_heads, "vocab_size": shape.vocab},
    }


def transformers_config(shape, model):
    """config.json as the library writes it; `rope_theta` in the older form where the shape asks for it."""
    config = json.loads(model.config.to_json_string(use_diff=False))
    config["architectures"] = ["JanusForConditionalGeneration"]
    config["dtype"] = str(shape.disk).removeprefix("torch.")
    text = config["text_config"]
    if shape.old_rope:
        text.pop("rope_parameters", None)
        text["rope_theta"] = shape.theta
        text["rope_scaling"] = None
        config["torch_dtype"] = config.pop("dtype")
    return drop_private(config)


def drop_private(value):
    if isinstance(value, dict):
        return {k: drop_private(v) for k, v in value.items() if not k.startswith("_")}
    return value


def preprocessor_config(size, min_size, scheme):
    common = {"background_color": [127, 127, 127], "do_normalize": True, "image_mean": [0.5] * 3,
              "image_std": [0.5] * 3, "min_size": min_size, "rescale_factor": 1 / 255}
    if scheme == "official":
        return common | {"image_processor_type": "VLMImageProcessor", "image_size": size,
                         "processor_class": "VLChatProcessor"}
    return common | {"do_pad": True, "do_rescale": True, "do_resize": True, "resample": 3,
                     "image_processor_type": "JanusImageProcessor", "processor_class": "JanusProcessor",
                     "size": {"height": size, "width": size}}


def write_tensors(tensors, path):
    save_file(tensors, path, metadata={"format": "pt"})
    path.chmod(0o644)


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def save(shape, model, folder):
    """Writes config, preprocessor_config, generation_config and the weights into `folder`."""
    tensors = {n: t.detach().to(shape.disk).contiguous() for n, t in model.state_dict().items()}
    if shape.tied:
        del tensors["lm_head.weight"]
    config = transformers_config(shape, model)
    if shape.scheme == "official":
        tensors, config = official_tensors(tensors), official_config(shape)
    else:
        generation = {"bos_token_id": model.generation_config.bos_token_id,
                      "eos_token_id": model.generation_config.eos_token_id,
                      "pad_token_id": model.generation_config.pad_token_id, "guidance_scale": 5.0,
                      "generation_kwargs": model.generation_config.generation_kwargs}
        write_json(folder / "generation_config.json", generation)
    write_json(folder / "config.json", config)
    side = shape.grid * shape.vision["patch_size"]
    write_json(folder / "preprocessor_config.json", preprocessor_config(side, shape.min_size, shape.scheme))
    if shape.shards == 1:
        write_tensors(tensors, folder / "model.safetensors")
        return
    names, weight_map = sorted(tensors), {}
    cut = len(names) // shape.shards
    for i in range(shape.shards):
        file = f"model-{i + 1:05d}-of-{shape.shards:05d}.safetensors"
        part = names[i * cut:] if i == shape.shards - 1 else names[i * cut:(i + 1) * cut]
        write_tensors({n: tensors[n] for n in part}, folder / file)
        weight_map |= dict.fromkeys(part, file)
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": weight_map})
