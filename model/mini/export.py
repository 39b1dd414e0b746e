"""Make the checkpoint folder from the two training runs, and check it.

    python3 export.py [FOLDER]          (default: checkpoint/)

Weights are rounded to float16 and stored so: a float16 file then says exactly what a float32 run of
it computes. The folder is what save_pretrained of the official classes writes. Then it is loaded
back with JanusForConditionalGeneration, and the logits of a picture's question, of a drawing and
the pixels of its codes must agree with the lean forward pass that the training used.
"""
import os
import random
import sys

import numpy as np
import torch

import lean
import tokens
import train
import world


def export(folder, guidance):
    speech = lean.Speech()
    model = lean.fresh_model(speech)
    model.load_state_dict(torch.load(os.path.join(train.WORK, "train.pt"))["model"])
    path = os.path.join(train.WORK, "vq.pt")
    if os.path.exists(path):  # else the codec came with the checkpoint that was trained further
        model.model.vqmodel.load_state_dict(torch.load(path)["vq"])
    worst = max(p.abs().max().item() for p in model.parameters())
    assert worst < 65504, worst
    model.half().save_pretrained(folder)
    tokens.save_small_files(speech.tok, folder, guidance)


@torch.no_grad()
def check(folder):
    from transformers import JanusForConditionalGeneration, JanusProcessor
    model = JanusForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    processor = JanusProcessor.from_pretrained(folder)
    speech, table = lean.Speech(), world.looks()
    rng = random.Random(11)
    scene = world.random_scene(rng)
    picture = world.render([world.codes_of(scene)], table)[0]
    ask, answer = world.question(rng, scene)[1:]

    text = f"{tokens.USER}: {tokens.PLACEHOLDER}\n{ask}\n\n{tokens.ASSISTANT}: {answer}"
    inputs = processor(text=text, images=picture, return_tensors="pt")
    official = model(**inputs).logits[0]
    batch = lean.Batch(1)
    ids = speech.prefix(False) + speech.turn(ask, answer)[0][:-1]
    assert inputs["input_ids"][0].tolist() == ids, (inputs["input_ids"][0].tolist(), ids)
    batch.put(0, 0, ids, 0, 0, 0)
    batch.codes.append(world.codes_of(scene))
    packed = lean.forward(model, batch, lean.patches_of(table), speech)
    report("text logits", official, model.lm_head(packed)[0, :len(ids)])

    codes = torch.tensor(world.codes_of(scene))
    ids = torch.tensor([speech.drawing(world.draw_prompt(rng, scene)[0])])
    embeds = torch.cat([model.get_input_embeddings()(ids), model.prepare_embeddings_for_image_generation(codes[None])], 1)
    hidden = model.model.language_model(inputs_embeds=embeds).last_hidden_state[0, ids.shape[1] - 1:-1]
    batch = lean.Batch(1)
    end = batch.put(0, 0, ids[0].tolist() + [speech.pad] * 15, 0, 0, 0)
    batch.input_code[0, end - 15:end] = codes[:15]
    packed = lean.forward(model, batch, lean.patches_of(table), speech)[0, end - 16:end]
    report("picture logits", model.model.generation_head(hidden), model.model.generation_head(packed))

    pixels = ((model.decode_image_tokens(codes[None])[0] + 1) / 2 * 255).clamp(0, 255).to(torch.uint8).numpy()
    print("decoder: rms error %.2f levels" % np.sqrt(np.mean((pixels.astype(float) - picture) ** 2)))
    seen = model.model.vqmodel.encode(torch.from_numpy(picture).permute(2, 0, 1)[None] / 127.5 - 1).image_tokens
    print("encoder: %d of 16 codes right" % (seen == codes).sum())
    print("parameters:", sum(p.numel() for p in model.parameters()))


def report(name, a, b):
    print(f"{name}: max |difference| {(a - b).abs().max():.2e}, max |value| {a.abs().max():.2f}")
    assert (a - b).abs().max() <= 1e-3 * a.abs().max()


if __name__ == "__main__":
    torch.set_num_threads(1)
    where = sys.argv[1] if len(sys.argv) > 1 else os.path.join(train.HERE, "checkpoint")
    export(where, guidance=1.25)
    check(where)
