"""Train the mini model: the language model and the vision tower of a JanusForConditionalGeneration.

    chrt -i 0 python3 train.py --minutes 60 [--resume | --begin checkpoint --early 0 --rate 8e-4]

What makes the step cheap on two CPU cores:
* A picture is 16 tokens to read and 16 codes to draw; the codes of a scene are known (`world.py`),
  so the VQ model, which `vq.py` trains, takes no part here.
* One picture, many questions: a row packs a picture's prefix and then branches, each a question
  with its answer. A branch sees the prefix and itself, and its positions count on from the prefix,
  so each branch is exactly the single-turn conversation of inference. A few branches hold a second
  turn. Drawings are packed likewise, without a shared prefix.
* bf16 products, fused attention with the packing as its mask, and a lean forward pass (`lean.py`).

A tenth of the drawing prompts become the unconditional form of the sampler (every id but BOS and
begin_of_image becomes pad), so that guidance works. Three things shorten the beginning: `warm.py`
teaches the parts around the language model to speak in word embeddings; half of the scenes have one
object; and an object's code weighs more in the loss than an empty cell's, until the probabilities
have to be right.

The learning rate is constant, then falls linearly to zero over the last quarter of --minutes.
State goes to work/mini/ every two minutes; a cut run goes on with --resume. With --workers 2, two
processes train on different rows and average their weights every five steps; on a busy machine
that wastes less than two threads that wait for each other at every operator.
"""
import argparse
import os
import random
import time

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F

import world
from lean import LENGTH, Batch, Speech, draw_codes, forward, fresh_model, patches_of, saved_model
from warm import warm_up

HERE = os.path.dirname(os.path.abspath(__file__))
WORK = os.path.join(HERE, "..", "..", "work", "mini")


def read_row(batch, row, speech, rng, easy):
    at, group = 0, 0
    while True:
        scene = world.random_scene(rng, count=int(rng.random() < easy))
        prefix = speech.prefix(rng.random() < 0.1)
        branches = []
        if rng.random() < 0.75:
            branches.append(speech.turn(rng.choice(world.ASK_CAPTION), world.caption(scene)))
        for _ in range(rng.randint(3, 6)):
            ids, learn = speech.turn(*world.question(rng, scene)[1:])
            while rng.random() < 0.08:
                more = speech.turn(*world.question(rng, scene)[1:], first=False)
                ids, learn = ids + more[0], learn + more[1]
            branches.append((ids, learn))
        if at + len(prefix) + len(branches[0][0]) > LENGTH:
            return
        start = len(prefix)
        at = batch.put(row, at, prefix, 0, group, 0)
        batch.codes.append(world.codes_of(scene))
        for b, (ids, learn) in enumerate(branches):
            if at + len(ids) > LENGTH:
                break
            for i in range(len(ids) - 1):
                if learn[i + 1]:
                    batch.text[row, at + i] = ids[i + 1]
            at = batch.put(row, at, ids, start, group, b + 1)
        group += 1


def draw_row(batch, row, speech, rng, easy):
    at, group = 0, 0
    while True:
        scene = world.random_scene(rng, count=int(rng.random() < easy))
        ids = speech.drawing(world.draw_prompt(rng, scene)[0])
        if rng.random() < 0.1:
            ids = speech.blank(ids)
        if at + len(ids) + 15 > LENGTH:
            return
        codes = world.codes_of(scene)
        end = batch.put(row, at, ids + [speech.pad] * 15, 0, group, 0)
        batch.code[row, end - 16:end] = codes
        batch.input_code[row, end - 15:end] = codes[:15]
        at, group = end, group + 1


def make_batch(speech, rng, rows, easy=0.0):
    batch = Batch(rows)
    for row in range(rows):
        (read_row if row % 2 == 0 else draw_row)(batch, row, speech, rng, easy)
    return batch


def loss_of(model, batch, table, speech, early):
    """(loss, of text, of codes). `early`: an object's code weighs more than an empty cell's."""
    with torch.autocast("cpu", torch.bfloat16):
        x = forward(model, batch, table, speech)
        text, code = torch.from_numpy(batch.text), torch.from_numpy(batch.code)
        text_logits = model.lm_head(x[text >= 0])
        code_logits = model.model.generation_head(x[code >= 0])
    text_loss = F.cross_entropy(text_logits.float(), text[text >= 0])
    code = code[code >= 0]
    code_loss = F.cross_entropy(code_logits.float(), code, reduction="none")
    loss = text_loss + (code_loss * (1 + 2 * (code % world.N_LOOKS > 0) if early else 1)).mean()
    return loss, text_loss, code_loss.mean()


# ---------------------------------------------------------------- measuring

@torch.no_grad()
def read_score(model, speech, table, scenes, asks):
    """Share of (scene, question, answer) whose greedy answer is exactly right.

    Greedy decoding gives the expected answer exactly if every expected token is the argmax after
    its expected predecessors, so one pass decides."""
    right = []
    for start in range(0, len(asks), 64):
        part = asks[start:start + 64]
        batch = Batch(len(part))
        for row, (scene, ask, answer) in enumerate(part):
            prefix = speech.prefix(False)
            ids, learn = speech.turn(ask, answer)
            at = batch.put(row, 0, prefix, 0, 0, 0)
            for i in range(len(ids) - 1):
                if learn[i + 1]:
                    batch.text[row, at + i] = ids[i + 1]
            batch.put(row, at, ids, at, 0, 0)
            batch.codes.append(world.codes_of(scenes[scene]))
        x = forward(model, batch, table, speech)
        text = torch.from_numpy(batch.text)
        good = (model.lm_head(x).argmax(-1) == text) | (text < 0)
        right += good.all(1).tolist()
    return np.array(right)


def quick_score(model, speech, table, count=128):
    rng = random.Random(99)
    scenes = [world.random_scene(rng, held=True) for _ in range(count)]
    captions = [(i, rng.choice(world.ASK_CAPTION), world.caption(s)) for i, s in enumerate(scenes)]
    asks = [(i, *world.question(rng, s)[1:]) for i, s in enumerate(scenes) for _ in range(2)]
    prompts = [world.draw_prompt(rng, s) for s in scenes[:64]]
    model.eval()
    with torch.autocast("cpu", torch.bfloat16):
        cap = read_score(model, speech, table, scenes, captions).mean()
        ask = read_score(model, speech, table, scenes, asks).mean()
        drawn = draw_codes(model, speech, [p for p, _ in prompts])
    model.train()
    got = [world.scene_from_codes(c) for c in drawn]
    draw = np.mean([g is not None and world.satisfies(g, w) for g, (_, w) in zip(got, prompts)])
    return cap, ask, draw


# ---------------------------------------------------------------- the loop

def average(params, spent):
    """The mean of all workers' weights goes to each; returns the first worker's clock."""
    with torch.no_grad():
        flat = torch.cat([p.view(-1) for p in params])
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
        for p, part in zip(params, flat.split([p.numel() for p in params])):
            p.copy_(part.view_as(p))
    clock = torch.tensor([spent], dtype=torch.float64)
    dist.broadcast(clock, 0)
    return clock.item()


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--minutes", type=float, default=60, help="budget of all runs together")
    ap.add_argument("--rows", type=int, default=24)
    ap.add_argument("--rate", type=float, default=2e-3)
    ap.add_argument("--early", type=float, default=0.4, help="share of the time with easy scenes and weights")
    ap.add_argument("--begin", help="a checkpoint folder to train further, in place of a fresh model")
    ap.add_argument("--resume", action="store_true")
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--workers", type=int, default=1, help="processes; start one for each --rank")
    ap.add_argument("--rank", type=int, default=0)
    args = ap.parse_args()
    if args.workers > 1:
        dist.init_process_group("gloo", init_method="tcp://127.0.0.1:29517", rank=args.rank,
                                world_size=args.workers)
    torch.set_num_threads(args.threads)
    os.makedirs(WORK, exist_ok=True)
    path = os.path.join(WORK, "train.pt")

    speech, table = Speech(), patches_of(world.looks())
    model = saved_model(args.begin) if args.begin else fresh_model(speech)
    params = [p for name, p in model.named_parameters() if "vqmodel" not in name]
    flat = [p for p in params if p.dim() < 2]
    deep = [p for p in params if p.dim() >= 2]
    opt = torch.optim.AdamW([{"params": deep, "weight_decay": 0.02}, {"params": flat, "weight_decay": 0}],
                            lr=args.rate, betas=(0.9, 0.98), fused=True)
    step, spent, samples = 0, 0.0, 0
    if args.resume and os.path.exists(path):
        state = torch.load(path)
        model.load_state_dict(state["model"])
        opt.load_state_dict(state["opt"])
        step, spent, samples = state["step"], state["spent"], state["samples"]
    elif not args.begin:
        warm_up(model, speech, table)
    rng = random.Random(1000 + step + 1000003 * args.rank)

    def save():
        torch.save({"model": model.state_dict(), "opt": opt.state_dict(),
                    "step": step, "spent": spent, "samples": samples}, path + ".new")
        os.replace(path + ".new", path)

    model.train()
    last = saved = scored = time.time()
    mark, sums = (samples, last), np.zeros(2)
    while spent < args.minutes * 60 or step % 5:
        progress = spent / (args.minutes * 60)
        rate = args.rate * min(1, (step + 1) / 200, max(0, 1 - progress) / 0.25)
        for group in opt.param_groups:
            group["lr"] = rate
        early = progress < args.early
        batch = make_batch(speech, rng, args.rows, 0.5 if early else 0)
        loss, text, code = loss_of(model, batch, table, speech, early)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        step += 1
        samples += args.workers * (int((batch.code >= 0).sum()) // 16 + int((batch.text == speech.eos).sum()))
        sums += (text.item(), code.item())
        now = time.time()
        spent += now - last
        last = now
        if args.workers > 1 and step % 5 == 0:
            spent = average(params, spent)
        if args.rank > 0:
            continue
        if step % 50 == 0:
            pace = (samples - mark[0]) / (now - mark[1])
            print(f"step {step} min {spent / 60:.1f} text {sums[0] / 50:.4f} code {sums[1] / 50:.4f} "
                  f"rate {rate:.1e} samples {samples} pace {pace:.0f}/s", flush=True)
            mark, sums = (samples, now), np.zeros(2)
        if now - saved > 120:
            save()
            saved = time.time()
        if now - scored > 360:
            cap, ask, draw = quick_score(model, speech, table, 64)
            print(f"held-out: captions {cap:.3f} questions {ask:.3f} drawings {draw:.3f}", flush=True)
            scored = time.time()
    if args.rank > 0:
        return
    save()
    print("held-out: captions %.3f questions %.3f drawings %.3f" % quick_score(model, speech, table))


if __name__ == "__main__":
    main()
