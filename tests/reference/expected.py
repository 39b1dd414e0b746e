"""Computes what a Janus model must give: picture embeddings, logits, greedy tokens, guided picture codes, pixels.

Everything comes from the official class in transformers, in f32 on one thread, and is checked on the way:

* the tokens and codes come from the class's own generate(), with its cache; one pass over the whole sequence, written
  after the official generation_inference.py (uncond row = ids 1..n-2 replaced by pad, nothing masked), must choose
  the same at every step;
* the forward pass is repeated in double precision; it must choose the same tokens and codes, and the f32 result may
  differ from it by 2e-5 relative at most: else the case would test luck, not code;
* every greedy choice must win by MARGIN of the largest magnitude of its row (the design asks for 1e-4; 1e-3 is
  affordable), and there must be some variety: `Reject` makes the caller try the next seed.

`run` writes the .npy files and returns the facts for case.json. Shapes and meanings: README.md beside this file.
"""

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import pictures

MARGIN = 1e-3
TOKENS = 32
CODES = 64
GUIDANCE = 5.0
DOUBLE_TOLERANCE = 2e-5


class Reject(Exception):
    """This seed gives a case that is too close to call, or too dull."""


def relative(a, b):
    """max|a-b| / max|b| over the last axis, the worst row."""
    a, b = a.double(), b.double()
    return ((a - b).abs().amax(-1) / b.abs().amax(-1)).max().item()


def hold(condition, why):
    if not condition:
        raise Reject(why)


def choices_hold(chosen, rows, rows64):
    """Each choice must be its row's argmax in both precisions and lead by MARGIN; returns the least lead."""
    top = rows.topk(2)
    lead = ((top.values[:, 0] - top.values[:, 1]) / rows.abs().amax(-1)).min().item()
    hold(lead > MARGIN, f"margin {lead:.1e}")
    assert top.indices[:, 0].tolist() == chosen, "generate() disagrees with one pass over the whole sequence"
    assert rows64.argmax(-1).tolist() == chosen, "double precision chooses otherwise"
    return lead


def understand(model, model64, tokenizer, ids, shape, folder):
    """The prompt with two pictures: files prompt_*.npy, vision_*.npy, pixel_values.npy."""
    size = shape.grid * shape.vision["patch_size"]
    tensors, rgbs = [], []
    for file, width, height, kind, mode in shape.pictures:
        image = Image.fromarray(pictures.make(kind, width, height)).convert(mode)
        image.save(folder / file, optimize=True)
        rgbs.append(pictures.square(Image.open(folder / file), size, shape.min_size))
        tensors.append(pictures.tensor(rgbs[-1]))
    pixels = torch.from_numpy(np.stack(tensors))
    user, assistant = shape.roles
    text = f"{user}: <image_placeholder>\n<image_placeholder>\nWhich of the two is brighter?\n\n{assistant}:"
    plain, prompt = tokenizer.encode(text).ids, []
    for token in plain:
        prompt += [ids["boi"]] + [token] * shape.grid ** 2 + [ids["eoi"]] if token == ids["image"] else [token]

    def forward(m, pixel_values, tokens):
        with torch.no_grad():
            tower = m.model.vision_model
            embedded = tower.embeddings(pixel_values)
            first = tower.encoder.layers[0](embedded, None)
            features = m.model.get_image_features(pixel_values, return_dict=True)
            out = m(input_ids=torch.tensor([tokens]), pixel_values=pixel_values, output_hidden_states=True,
                    use_cache=False)
        return {"vision_embedded": embedded, "vision_layer0": first, "vision_last": features.last_hidden_state,
                "picture_embeddings": features.pooler_output,
                "prompt_layer0": out.hidden_states[1][0], "prompt_hidden": out.hidden_states[-1][0],
                "prompt_logits": out.logits[0]}

    got = forward(model, pixels, prompt)
    exact = forward(model64, pixels.double(), prompt)
    noise = {k: relative(got[k], exact[k]) for k in got}
    assert max(noise.values()) < DOUBLE_TOLERANCE, noise

    own = model.generate(input_ids=torch.tensor([prompt]), pixel_values=pixels, max_new_tokens=TOKENS,
                         attention_mask=torch.ones(1, len(prompt), dtype=torch.long), do_sample=False)
    tokens = own[0, len(prompt):].tolist()
    hold(not {ids["eos"], ids["image"]} & set(tokens), "eos or placeholder among the tokens")
    hold(len(set(tokens)) >= TOKENS // 2, f"only {len(set(tokens))} different tokens")
    steps = slice(len(prompt) - 1, len(prompt) + TOKENS - 1)
    lead = choices_hold(tokens, forward(model, pixels, prompt + tokens)["prompt_logits"][steps],
                        forward(model64, pixels.double(), prompt + tokens)["prompt_logits"][steps])

    np.save(folder / "pixel_rgb.npy", np.stack(rgbs))
    np.save(folder / "pixel_values.npy", pixels.numpy())
    np.save(folder / "prompt_ids.npy", np.array(prompt, np.int32))
    np.save(folder / "prompt_greedy.npy", np.array(tokens, np.int32))
    for name, tensor in got.items():
        np.save(folder / f"{name}.npy", tensor.numpy())
    return {"text": text, "text_ids": plain, "pictures": [p[0] for p in shape.pictures],
            "least_margin": lead, "f32_against_double": max(noise.values()), "greedy_text": tokenizer.decode(tokens)}


def guided_rows(model, cond, uncond, codes):
    """The head's logits before each of `codes`, from one pass over both whole sequences: [steps, 3, codebook] with
    the rows cond, uncond and guided. Nothing is masked but the future, and both rows have the positions 0, 1, 2 ..."""
    with torch.no_grad():
        embeds = model.get_input_embeddings()(torch.tensor([cond, uncond]))
        drawn = model.prepare_embeddings_for_image_generation(torch.tensor([codes[:-1], codes[:-1]]))
        hidden = model.model.language_model(inputs_embeds=torch.cat([embeds, drawn], dim=1), use_cache=False)
        rows = model.model.generation_head(hidden.last_hidden_state[:, len(cond) - 1:])
    return torch.stack([rows[0], rows[1], rows[1] + GUIDANCE * (rows[0] - rows[1])], dim=1)


def draw(model, model64, tokenizer, ids, shape, folder):
    """Greedy pictures with guidance, one a prompt: draw_*.npy."""
    count, all_codes, first, lead, noise, texts = shape.grid ** 2, [], [], 1.0, 0.0, []
    user, assistant = shape.roles
    for number, prompt in enumerate(shape.draw_prompts):
        texts.append(f"{user}: {prompt}\n\n{assistant}:<begin_of_image>")
        cond = tokenizer.encode(texts[-1]).ids
        uncond = cond[:1] + [ids["pad"]] * (len(cond) - 2) + cond[-1:]
        assert cond[0] == ids["bos"] and cond[-1] == ids["boi"]
        own = model.generate(input_ids=torch.tensor([cond]), generation_mode="image", do_sample=False,
                             attention_mask=torch.ones(1, len(cond), dtype=torch.long), guidance_scale=GUIDANCE)
        codes = own[0].tolist()
        hold(len(set(codes)) >= min(16, count // 2), f"only {len(set(codes))} different codes of {count}")
        rows, rows64 = guided_rows(model, cond, uncond, codes), guided_rows(model64, cond, uncond, codes)
        lead = min(lead, choices_hold(codes, rows[:, 2], rows64[:, 2]))
        noise = max(noise, relative(rows, rows64))
        np.save(folder / f"draw_ids_{number}.npy", np.array([cond, uncond], np.int32))
        all_codes.append(codes)
        first.append(rows[0])
    assert len(all_codes) * count >= CODES
    assert noise < DOUBLE_TOLERANCE, noise
    np.save(folder / "draw_codes.npy", np.array(all_codes, np.int32))
    np.save(folder / "draw_first_logits.npy", torch.stack(first).numpy())
    return all_codes, {"texts": texts, "guidance": GUIDANCE, "least_margin": lead, "f32_against_double": noise}


def to_rgb(pixels):
    """f32 [n, 3, h, w] to uint8 [n, h, w, 3] as the official script: clip((x+1)/2*255, 0, 255), truncated."""
    return np.clip((pixels.numpy().transpose(0, 2, 3, 1) + 1) / 2 * 255, 0, 255).astype(np.uint8)


def vq(model, model64, drawn, shape, folder):
    """VQ decoding of given codes and encoding of pictures: vq_*.npy."""
    size, amount = shape.grid * 2 ** (len(shape.vq["channel_multiplier"]) - 1), shape.vq["num_embeddings"]
    count = shape.grid ** 2
    ramp = [(i * 7 + 3) % amount for i in range(count)]
    codes = torch.tensor([drawn[0], ramp, [amount - 1] * count])
    with torch.no_grad():
        vqmodel = model.model.vqmodel
        latent = vqmodel.quantize.get_codebook_entry(codes)
        entered = vqmodel.decoder.conv_in(vqmodel.post_quant_conv(latent))
        middle = vqmodel.decoder.mid(entered.clone())
        pixels = vqmodel.decode(codes)
        noise = relative(pixels.flatten(1), model64.model.vqmodel.decode(codes).flatten(1))
        assert noise < DOUBLE_TOLERANCE, noise
        rgb = to_rgb(pixels)
        clipped = float(((rgb == 0) | (rgb == 255)).mean())
        hold(0.002 < clipped < 0.3, f"{clipped:.3f} of the pixels clipped")
        hold(rgb[:2].std() > 25, "grey pictures")

        sources = [np.asarray(pictures.make(kind, size, size)) for kind in ("wave", "edges")]
        inputs = torch.from_numpy(np.stack([pictures.tensor(s) for s in sources]))
        latents = vqmodel.quant_conv(vqmodel.encoder(inputs)).permute(0, 2, 3, 1)       # [n, g, g, dims]
        table = vqmodel.quantize.embedding.weight
        library = vqmodel.encode(inputs, return_dict=True).image_tokens.view(len(sources), count)
        unit = F.normalize(table, dim=-1)
        distance = torch.cdist(F.normalize(latents, dim=-1).reshape(-1, table.shape[1]), unit)
        two = distance.topk(2, largest=False)
        hold(float((two.values[:, 1] - two.values[:, 0]).min()) > MARGIN, "codebook neighbours too near")
        official = two.indices[:, 0].view(len(sources), count)
        two = torch.cdist(latents.reshape(-1, table.shape[1]), table).topk(2, largest=False)
        hold(float((two.values[:, 1] - two.values[:, 0]).min()) > MARGIN, "codebook neighbours too near")
        assert torch.equal(two.indices[:, 0].view_as(library), library)
        hold(len(set(official.flatten().tolist())) > count // 4, "few different codes")
    save = {"vq_codes": codes.int(), "vq_latent": latent, "vq_conv_in": entered, "vq_mid": middle,
            "vq_pixels": pixels, "vq_rgb": torch.from_numpy(rgb), "vq_encode_rgb": torch.from_numpy(np.stack(sources)),
            "vq_encode_latents": latents.contiguous(), "vq_encode_codes": official.int(),
            "vq_encode_codes_library": library.int()}
    for name, tensor in save.items():
        np.save(folder / f"{name}.npy", tensor.numpy())
    return {"clipped": clipped, "f32_against_double": noise,
            "encode_rules_differ_in": int((official != library).sum())}


def run(model, model64, tokenizer, ids, shape, folder):
    facts = {"understand": understand(model, model64, tokenizer, ids, shape, folder)}
    drawn, facts["draw"] = draw(model, model64, tokenizer, ids, shape, folder)
    facts["vq"] = vq(model, model64, drawn, shape, folder)
    return facts
