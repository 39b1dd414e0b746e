"""Warm-up: before the language model sees anything, the parts around it learn to speak its words.

Most of the time of a small multimodal model goes into finding out that a red patch, the word "red",
the answer "Red." and the code of a red ring have to do with each other. The world is known, so this
is told instead of found:

* Embeddings of words that mean the same ("big", "large", "Big") start near each other, and the output
  table starts as a multiple of the input table.
* The vision tower and its aligner learn, on crowded pictures, to turn a patch into a sum of word
  embeddings: what is there, where, on which ground. Half a minute on one core.
* The aligner of codes learns the same for codes, and the picture head learns to name the code from
  such a sum under noise.

Afterwards everything is trained together, so these are starting points and not constraints.
"""
import random

import torch
import torch.nn.functional as F

import world
from lean import picture_embeddings

ALIKE = [["big", "large", "Big"], ["small", "little", "Small"], ["centre", "center", "middle", "Centre"],
         ["top", "upper", "Top"], ["bottom", "lower", "Bottom"], ["left", "Left"], ["right", "Right"],
         ["grey", "gray", "Grey"], ["one", "One"], ["two", "Two"], ["three", "Three"],
         ["in", "In"], ["on", "On"], ["at", "At"], ["a", "A", "an", "An"]]
ALIKE += [[c, c.capitalize()] for c in world.COLOURS] + [[s, world.plural(s)] for s in world.SHAPES]
ALIKE += [[g, g.capitalize()] for g in world.GROUNDS if g != "grey"]


def word_tables(model, speech):
    """Start tables of words; returns vec(word) -> [256], the embedding of that word."""
    table = model.model.language_model.embed_tokens.weight
    table.normal_(std=0.5)
    for group in ALIKE:
        forms = [speech.ids(form) for word in group for form in (" " + word, word)]
        forms = [ids[0] for ids in forms if len(ids) == 1]
        for other in forms[1:]:
            table[other] = 0.85 * table[forms[0]] + 0.53 * table[other]
    model.lm_head.weight.copy_(0.1 * table)
    return lambda word: table[speech.ids(" " + word)[0]].clone()


def meanings(vec, seed=5):
    """[388, 256]: what a cell code means, in words; and what a code looks like without its place."""
    nothing = 0.5 * torch.randn(256, generator=torch.Generator().manual_seed(seed))
    out = []
    for ground in world.GROUNDS:
        out.append(0.35 * vec(ground) + 0.5 * nothing)
        out += [0.35 * vec(ground) + 0.6 * (vec(size) + vec(colour) + vec(shape))
                for shape in world.SHAPES for colour in world.COLOURS for size in world.SIZES]
    return torch.stack(out)


def places(vec, seed=6):
    """[16, 256] words of a cell's place, and [16, 256] a mark of the cell itself."""
    words = torch.stack([sum(vec(w) for w in world.PLACES[world.place_of(c)].split()) for c in range(16)])
    return 0.6 * words, 0.15 * torch.randn(16, 256, generator=torch.Generator().manual_seed(seed))


def crowded(rng, n):
    """Codes of pictures with something in many cells, nothing held out."""
    out = []
    for _ in range(n):
        ground, share = rng.randrange(len(world.GROUNDS)), rng.choice([0.2, 0.6, 0.9])
        codes = []
        for cell in range(world.GRID * world.GRID):
            thing = world.Thing(cell, rng.randrange(len(world.SHAPES)), rng.randrange(len(world.COLOURS)),
                                rng.randrange(len(world.SIZES)))
            keep = rng.random() < share and not world.is_held(thing)
            codes.append(world.cell_code(ground, thing if keep else None))
        out.append(codes)
    return out


def fit(params, loss_at, steps, rate, name):
    opt = torch.optim.AdamW(params, lr=rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    for step in range(steps):
        for group in opt.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 50, 2 * (1 - step / steps))
        loss, note = loss_at()
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        if step % 100 == 99:
            print(f"warm-up: {name} step {step + 1} loss {loss.item():.4f} {note:.4f}", flush=True)


def warm_up(model, speech, table):
    m, rng = model.model, random.Random(21)
    with torch.no_grad():
        vec = word_tables(model, speech)
        mean = meanings(vec)
        where, mark = places(vec)
        m.generation_embeddings.weight.normal_()
    gen = torch.Generator().manual_seed(22)

    def codes_loss():
        out = m.generation_aligner(m.generation_embeddings.weight[:world.N_CODES])
        loss = F.mse_loss(out, mean)
        return loss, loss.item() / mean.var().item()

    def head_loss():
        code = torch.randint(world.N_CODES, (512,), generator=gen)
        x = mean[code] + 0.5 * torch.randn(512, 256, generator=gen)
        logits = m.generation_head(F.rms_norm(x, (256,)))
        return F.cross_entropy(logits, code), (logits.argmax(-1) == code).float().mean().item()

    def eyes_loss():
        codes = crowded(rng, 32)
        index = torch.tensor(codes)
        thing = (index % world.N_LOOKS > 0)[..., None]
        want = mean[index] + mark + thing * where
        with torch.autocast("cpu", torch.bfloat16):
            got = picture_embeddings(model, codes, table)
        loss = F.mse_loss(got.float(), want)
        return loss, loss.item() / want.var().item()

    fit([m.generation_embeddings.weight, *m.generation_aligner.parameters()], codes_loss, 600, 5e-3, "codes")
    fit(list(m.generation_head.parameters()), head_loss, 400, 2e-3, "head")
    fit([*m.vision_model.parameters(), *m.aligner.parameters()], eyes_loss, 900, 2e-3, "eyes")
