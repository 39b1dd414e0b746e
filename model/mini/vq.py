"""Train the picture codec (the VQ model of the class) of the mini model, with assigned codes.

    chrt -i 0 python3 vq.py --minutes 12 [--resume]

A learned codebook would have to discover the 388 looks of a cell. Here they are known, so code i
*is* look i (`world.cell_code`): nothing collapses, and the codes of a scene are known without the
encoder. The decoder, with the codebook vectors (used L2-normalized, as the class does), learns to
draw any 16 codes; the encoder learns to come nearest to the vector of each cell's look, by the
plain distance that the class uses when encoding. The stored codebook has unit vectors, so both
agree. Codes 388..447 are unused.

Half of the pictures are scenes, half have something in every cell (no held-out triple in either).
GroupNorm and the attention blocks look at the whole picture, so the decoder must see both.
"""
import argparse
import os
import random
import time

import numpy as np
import torch
import torch.nn.functional as F

import tokens
import world
from train import WORK


def kin(dim, generator):
    """[388, dim]: a vector for every cell code; codes that share a property are near each other."""
    parts = [torch.randn(n, dim, generator=generator) for n in
             (len(world.GROUNDS), len(world.SHAPES) + 1, len(world.COLOURS) + 1, len(world.SIZES) + 1)]
    rows = []
    for ground in range(len(world.GROUNDS)):
        rows.append(parts[0][ground] + parts[1][-1] + parts[2][-1] + parts[3][-1])
        for shape in range(len(world.SHAPES)):
            for colour in range(len(world.COLOURS)):
                rows += [parts[0][ground] + parts[1][shape] + parts[2][colour] + parts[3][size]
                         for size in range(len(world.SIZES))]
    return torch.stack(rows)


def fresh_vq(config):
    from transformers.models.janus.modeling_janus import JanusVQVAE
    torch.manual_seed(2)
    vq = JanusVQVAE._from_config(config.vq_config)
    for part in vq.modules():
        if isinstance(part, torch.nn.Conv2d):
            fan_in = part.weight[0].numel()
            torch.nn.init.normal_(part.weight, std=fan_in ** -0.5)
            torch.nn.init.zeros_(part.bias)
    for name, part in vq.named_modules():  # at first the trunk carries the codes, branches little
        if name.endswith((".conv2", ".proj_out")):
            part.weight.data.mul_(0.2)
    with torch.no_grad():
        vq.quantize.embedding.weight[:world.N_CODES] = kin(8, torch.Generator().manual_seed(4))
        vq.quantize.embedding.weight.copy_(F.normalize(vq.quantize.embedding.weight, dim=-1))
    return vq


def allowed_things():
    """For each cell, the (shape, colour, size) that are not held out there."""
    return [[(s, c, z) for s in range(len(world.SHAPES)) for c in range(len(world.COLOURS))
             for z in range(2) if (s, c, world.place_of(cell)) not in world.HELD]
            for cell in range(16)]


def pictures(rng, n, allowed):
    """Codes [n, 16] of scenes and of crowded pictures, in turn."""
    out = []
    for i in range(n):
        if i % 2:
            out.append(world.codes_of(world.random_scene(rng)))
            continue
        ground, share = rng.randrange(len(world.GROUNDS)), rng.choice([0.3, 0.6, 0.9])
        out.append([world.cell_code(ground, world.Thing(cell, *rng.choice(allowed[cell]))
                                    if rng.random() < share else None) for cell in range(16)])
    return out


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--minutes", type=float, default=12)
    ap.add_argument("--batch", type=int, default=16)
    ap.add_argument("--rate", type=float, default=1e-3)
    ap.add_argument("--resume", action="store_true")
    ap.add_argument("--threads", type=int, default=1)
    args = ap.parse_args()
    torch.set_num_threads(args.threads)
    os.makedirs(WORK, exist_ok=True)
    path = os.path.join(WORK, "vq.pt")

    table, allowed = world.looks(), allowed_things()
    vq = fresh_vq(tokens.config(tokens.make_tokenizer()))
    vq.quantize.embedding.weight.requires_grad_(False)
    opt = torch.optim.AdamW([p for p in vq.parameters() if p.requires_grad], lr=args.rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    step, spent = 0, 0.0
    if args.resume and os.path.exists(path):
        state = torch.load(path)
        vq.load_state_dict(state["vq"])
        opt.load_state_dict(state["opt"])
        step, spent = state["step"], state["spent"]
    rng = random.Random(5000 + step)

    def save():
        torch.save({"vq": vq.state_dict(), "opt": opt.state_dict(), "step": step, "spent": spent}, path + ".new")
        os.replace(path + ".new", path)

    last = saved = time.time()
    sums = np.zeros(3)
    while spent < args.minutes * 60:
        rate = args.rate * min(1, (step + 1) / 100, (1 - spent / (args.minutes * 60)) / 0.4)
        for group in opt.param_groups:
            group["lr"] = rate
        codes = torch.tensor(pictures(rng, args.batch, allowed))
        want = torch.from_numpy(world.render(codes.numpy(), table)).permute(0, 3, 1, 2).float() / 127.5 - 1
        encode = step % (3 if step < 3000 else 8) == 0  # the encoder is the easier half
        with torch.autocast("cpu", torch.bfloat16):
            vectors = vq.quantize.get_codebook_entry(codes)
            drawn = vq.decoder(vq.post_quant_conv(vectors)).float()
            z = vq.quant_conv(vq.encoder(want)).float() if encode else None
        ground = want[:, :, :1, :1]  # a corner pixel: no shape reaches it
        weight = 1 + 4 * ((want - ground).abs().sum(1, keepdim=True) > 0.02).float()
        loss = (weight * ((drawn - want) ** 2 + 0.2 * (drawn - want).abs())).mean()
        if encode:
            z = z.permute(0, 2, 3, 1).reshape(-1, 8)
            book = F.normalize(vq.quantize.embedding.weight.detach(), dim=-1)[:world.N_CODES]
            near = -torch.cdist(z, book) ** 2
            loss = loss + 0.1 * F.cross_entropy(near / 0.05, codes.view(-1)) + 0.1 * F.mse_loss(z, book[codes.view(-1)])
            sums[1] += (near.argmax(-1) == codes.view(-1)).float().mean().item()
            sums[2] += 1
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vq.parameters(), 1.0)
        opt.step()
        step += 1
        sums[0] += F.mse_loss(drawn.detach(), want).item()
        now = time.time()
        spent += now - last
        last = now
        if step % 50 == 0:
            print(f"step {step} min {spent / 60:.1f} mse {sums[0] / 50:.5f} codes right {sums[1] / sums[2]:.4f}", flush=True)
            sums[:] = 0
        if now - saved > 60:
            save()
            saved = now
    save()


if __name__ == "__main__":
    main()
