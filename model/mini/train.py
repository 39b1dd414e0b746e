"""Train the mini model: the language model and the vision tower of a JanusForConditionalGeneration.

    chrt -i 0 python3 train.py --minutes 60 [--resume]

What makes the step cheap on two CPU cores:
* A picture is 16 tokens to read and 16 codes to draw; the codes of a scene are known (`world.py`),
  so the VQ model, which `vq.py` trains, takes no part here.
* One picture, many questions: a row packs a picture's prefix and then branches, each a question
  with its answer. A branch sees the prefix and itself, and its positions count on from the prefix,
  so each branch is exactly the single-turn conversation of inference. A few branches hold a second
  turn. Drawings are packed likewise, without a shared prefix.
* bf16 products, fused attention with the packing as its mask, a forward pass over the official
  class's own weights that leaves out what this training does not need. `export.py` checks that the
  official class computes the same from the saved file.

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

import tokens
import world
from warm import warm_up

HERE = os.path.dirname(os.path.abspath(__file__))
WORK = os.path.join(HERE, "..", "..", "work", "mini")
LENGTH = 256


class Speech:
    """Texts to ids, remembering what it has seen."""

    def __init__(self):
        self.tok = tokens.make_tokenizer()
        for name in ("BOS", "EOS", "PAD", "BOI", "PLACEHOLDER", "EOI"):
            setattr(self, name.lower(), self.tok.token_to_id(getattr(tokens, name)))
        self.known = {}

    def ids(self, text):
        got = self.known.get(text)
        if got is None:
            got = self.tok.encode(text, add_special_tokens=False).ids
            if len(self.known) < 400000:
                self.known[text] = got
        return got

    def prefix(self, system):
        text = (tokens.SYSTEM if system else "") + tokens.USER + ": "
        return [self.bos] + self.ids(text) + [self.boi] + [self.placeholder] * 16 + [self.eoi]

    def turn(self, question, answer, first=True):
        """Ids and, for each, whether it is to be learned."""
        ask = self.ids(("\n" if first else tokens.USER + ": ") + question + "\n\n" + tokens.ASSISTANT + ":")
        say = self.ids(" " + answer) + [self.eos]
        return ask + say, [False] * len(ask) + [True] * len(say)

    def drawing(self, prompt):
        return [self.bos] + self.ids(f"{tokens.USER}: {prompt}\n\n{tokens.ASSISTANT}:") + [self.boi]

    def blank(self, ids):
        return [i if i in (self.bos, self.boi) else self.pad for i in ids]


class Batch:
    """Rows of LENGTH tokens; which may see which follows from `group` and `branch`."""

    def __init__(self, rows):
        shape = (rows, LENGTH)
        self.ids = np.zeros(shape, np.int64)
        self.pos = np.zeros(shape, np.int64)
        self.group = np.full(shape, -1, np.int64)
        self.branch = np.zeros(shape, np.int64)
        self.text = np.full(shape, -100, np.int64)   # target of the next token
        self.code = np.full(shape, -100, np.int64)   # target of the next code
        self.input_code = np.full(shape, -1, np.int64)
        self.codes = []                              # of the pictures read, in order

    def put(self, row, at, ids, pos, group, branch):
        end = at + len(ids)
        self.ids[row, at:end] = ids
        self.pos[row, at:end] = np.arange(pos, pos + len(ids))
        self.group[row, at:end] = group
        self.branch[row, at:end] = branch
        return end

    def mask(self):
        group, branch = torch.from_numpy(self.group), torch.from_numpy(self.branch)
        same = group[:, :, None] == group[:, None, :]
        seen = (branch[:, None, :] == 0) | (branch[:, :, None] == branch[:, None, :])
        return (same & seen).tril()[:, None]


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


# ---------------------------------------------------------------- the forward pass

def fresh_model(speech):
    from transformers import JanusForConditionalGeneration
    torch.manual_seed(1)
    model = JanusForConditionalGeneration(tokens.config(speech.tok))
    m = model.model
    with torch.no_grad():
        for part in (m.aligner, m.generation_aligner, m.generation_head, m.vision_model):
            for layer in part.modules():
                if isinstance(layer, torch.nn.Linear):
                    layer.weight.normal_(std=layer.in_features ** -0.5)
        m.vision_model.embeddings.patch_embedding.weight.normal_(std=768 ** -0.5)
        m.vision_model.embeddings.position_embedding.weight.normal_(std=0.5)
        for i, layer in enumerate(m.language_model.layers):
            # Attention starts as a weak copier of what resembles the asker.
            a = layer.self_attn
            basis = torch.linalg.qr(torch.randn(256, 256))[0]
            a.v_proj.weight.copy_(basis)
            a.o_proj.weight.copy_(0.25 * basis.T)
            if i:
                a.k_proj.weight.normal_(std=1 / 32)
                a.q_proj.weight.copy_(a.k_proj.weight + torch.randn(256, 256) / 64)
            for w in (layer.mlp.gate_proj, layer.mlp.up_proj):
                w.weight.normal_(std=1 / 16)
    return model


def rotary(pos, dim=64, theta=10000.0):
    inv = 1.0 / theta ** (torch.arange(0, dim, 2).float() / dim)
    angle = torch.cat([pos[..., None].float() * inv] * 2, -1)[:, None]
    return angle.cos(), angle.sin()


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin


def llama(lm, x, pos, mask):
    """The language model of the class, [rows, n, hidden] -> [rows, n, hidden], packed."""
    heads = lm.config.num_attention_heads
    cos, sin = rotary(pos)
    rows, n, hidden = x.shape
    for layer in lm.layers:
        a = layer.self_attn
        h = F.rms_norm(x, (hidden,), layer.input_layernorm.weight, 1e-6)
        w = torch.cat([a.q_proj.weight, a.k_proj.weight, a.v_proj.weight])
        q, k, v = F.linear(h, w).view(rows, n, 3, heads, -1).permute(2, 0, 3, 1, 4)
        o = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v, mask)
        x = x + a.o_proj(o.transpose(1, 2).reshape(rows, n, hidden))
        h = F.rms_norm(x, (hidden,), layer.post_attention_layernorm.weight, 1e-6)
        gate, up = F.linear(h, torch.cat([layer.mlp.gate_proj.weight, layer.mlp.up_proj.weight])).chunk(2, -1)
        x = x + layer.mlp.down_proj(F.silu(gate) * up)
    return F.rms_norm(x, (hidden,), lm.norm.weight, 1e-6)


def patches_of(table):
    """[388, 768] what the patch convolution sees of every cell code, channels first."""
    return torch.from_numpy(table).permute(0, 3, 1, 2).flatten(1).float() / 127.5 - 1


def see(m, x):
    """The vision tower after its patch convolution, and the aligner: [pictures, 16, 256]."""
    vision = m.vision_model
    heads = vision.config.num_attention_heads
    x = x + vision.embeddings.position_embedding.weight
    pictures, n, hidden = x.shape
    for layer in vision.encoder.layers:
        a = layer.self_attn
        h = F.layer_norm(x, (hidden,), layer.layer_norm1.weight, layer.layer_norm1.bias, 1e-6)
        q, k, v = (p(h).view(pictures, n, heads, -1).transpose(1, 2) for p in (a.q_proj, a.k_proj, a.v_proj))
        o = F.scaled_dot_product_attention(q, k, v)
        x = x + a.projection_layer(o.transpose(1, 2).reshape(pictures, n, hidden))
        h = F.layer_norm(x, (hidden,), layer.layer_norm2.weight, layer.layer_norm2.bias, 1e-6)
        x = x + layer.mlp.fc2(F.gelu(layer.mlp.fc1(h)))
    x = F.layer_norm(x, (hidden,), vision.post_layernorm.weight, vision.post_layernorm.bias, 1e-6)
    return m.aligner.hidden_layers[0](F.gelu(m.aligner.fc1(x)))


def picture_embeddings(model, codes, table):
    """What get_image_features of the class gives for pictures with these codes. `table` is
    patches_of(): a patch is a cell and a cell has 388 looks; convolve those, then look them up."""
    conv = model.model.vision_model.embeddings.patch_embedding
    looks = F.linear(table, conv.weight.flatten(1), conv.bias)
    return see(model.model, looks[torch.tensor(codes)].float())


def forward(model, batch, table, speech):
    """Hidden states [rows, n, hidden]."""
    m = model.model
    ids = torch.from_numpy(batch.ids)
    x = m.language_model.embed_tokens(ids)
    if batch.codes:
        seen = picture_embeddings(model, batch.codes, table)
        x = x.masked_scatter((ids == speech.placeholder)[..., None], seen.float())
    code = torch.from_numpy(batch.input_code)
    where = code >= 0
    if where.any():
        drawn = m.generation_aligner(m.generation_embeddings(code[where]))
        x = x.masked_scatter(where[..., None], drawn.float())
    return llama(m.language_model, x, torch.from_numpy(batch.pos), batch.mask())


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


@torch.no_grad()
def draw_codes(model, speech, prompts, guidance=5.0, temperature=1.0, seed=0):
    """The sampler of the class for a list of prompts, without a cache: rows are short."""
    m, gen = model.model, torch.Generator().manual_seed(seed)
    out = []
    for start in range(0, len(prompts), 64):
        cond = [speech.drawing(p) for p in prompts[start:start + 64]]
        rows = cond + [speech.blank(c) for c in cond]
        n, width = len(cond), max(map(len, rows)) + 16
        ids = np.full((2 * n, width), speech.pad, np.int64)
        for r, row in enumerate(rows):
            ids[r, :len(row)] = row
        ends = torch.tensor([len(r) - 1 for r in rows])
        x = m.language_model.embed_tokens(torch.from_numpy(ids))
        pos = torch.arange(width).expand(2 * n, -1)
        mask = torch.ones(width, width, dtype=torch.bool).tril()[None, None]
        codes = []
        for step in range(16):
            used = int(ends.max()) + step + 1
            h = llama(m.language_model, x[:, :used], pos[:, :used], mask[..., :used, :used])
            logits = m.generation_head(h[torch.arange(2 * n), ends + step]).float()
            logits = logits[n:] + guidance * (logits[:n] - logits[n:])
            if temperature > 0:
                code = torch.multinomial((logits / temperature).softmax(-1), 1, generator=gen)[:, 0]
            else:
                code = logits.argmax(-1)
            codes.append(code)
            x[torch.arange(2 * n), ends + step + 1] = m.generation_aligner(
                m.generation_embeddings(code.repeat(2))).float()
        out += torch.stack(codes, 1).tolist()
    return out


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
    model = fresh_model(speech)
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
    else:
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
        early = progress < 0.4
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
