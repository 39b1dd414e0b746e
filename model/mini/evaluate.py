"""Measure a checkpoint folder on eval/ with the official class, in float32.

    python3 evaluate.py [--folder checkpoint] [--count 300] [--guidance 5] [--temperature 1]

Captions and answers are greedy and must be the same bytes; greedy decoding gives the expected text
exactly if every expected token is the argmax after its expected predecessors, so one forward pass
decides. Drawings are sampled as `generate(generation_mode="image")` does, decoded to 8-bit pixels
and shown to the oracle of tests/oracle.c, which is compiled on the way. `make eval` measures the
same set with the C program.
"""
import argparse
import collections
import ctypes
import os
import subprocess
import tempfile

import numpy as np
import torch
from PIL import Image

import lean

HERE = os.path.dirname(os.path.abspath(__file__))


class Scene(ctypes.Structure):
    _fields_ = [("ground", ctypes.c_int), ("count", ctypes.c_int), ("things", ctypes.c_int * 5 * 16)]


def load_oracle():
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "oracle.so")
    source = os.path.join(HERE, "..", "..", "tests", "oracle.c")
    subprocess.run(["cc", "-std=c11", "-O2", "-shared", "-fPIC", source, "-o", path, "-lm"], check=True)
    lib = ctypes.CDLL(path)
    lib.tsr_oracle_parse.restype = lib.tsr_oracle_grants.restype = ctypes.c_bool

    def grants(pixels, wish_text):
        """'right', 'wrong' or why the oracle could not read the picture."""
        scene, wish = Scene(), Scene()
        assert lib.tsr_oracle_parse(wish_text.encode(), ctypes.byref(wish)), wish_text
        status = lib.tsr_oracle_read(np.ascontiguousarray(pixels).ctypes.data_as(ctypes.c_void_p), 64, 64,
                                     ctypes.byref(scene))
        if status:
            return {1: "size", 2: "no ground", 3: "unclear"}[status]
        return "right" if lib.tsr_oracle_grants(ctypes.byref(scene), ctypes.byref(wish)) else "wrong"
    return grants


def load_set(count):
    sheet = np.asarray(Image.open(os.path.join(HERE, "eval", "pictures.png")).convert("RGB"))
    rows = [line.rstrip("\n").split("\t") for line in open(os.path.join(HERE, "eval", "set.tsv"))]
    rows = [(kind, int(i), text, expected) for kind, i, text, expected in rows if int(i) < count]
    pictures = [sheet[i // 20 * 64:i // 20 * 64 + 64, i % 20 * 64:i % 20 * 64 + 64] for i in range(count)]
    return pictures, rows


@torch.no_grad()
def read(model, speech, pictures, rows):
    """For each (kind, picture, text, expected): is the greedy answer exactly the expected one?"""
    right = []
    for start in range(0, len(rows), 32):
        part = rows[start:start + 32]
        turns = [speech.turn(text, expected) for _, _, text, expected in part]
        prefix = speech.prefix(False)
        width = len(prefix) + max(len(ids) for ids, _ in turns)
        ids = torch.full((len(part), width), speech.pad)
        learn = torch.zeros(len(part), width, dtype=torch.bool)
        for r, (turn, flags) in enumerate(turns):
            ids[r, :len(prefix) + len(turn)] = torch.tensor(prefix + turn)
            learn[r, len(prefix):len(prefix) + len(turn)] = torch.tensor(flags)
        pixels = np.stack([pictures[i] for _, i, _, _ in part]).transpose(0, 3, 1, 2)
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids),
                       pixel_values=torch.from_numpy(pixels).float() / 127.5 - 1).logits
        good = (logits[:, :-1].argmax(-1) == ids[:, 1:]) | ~learn[:, 1:]
        right += good.all(1).tolist()
    return right


@torch.no_grad()
def draw(model, speech, prompts, guidance, temperature):
    """uint8 [n, 64, 64, 3]"""
    out = []
    for start in range(0, len(prompts), 50):
        rows = [speech.drawing(p) for p in prompts[start:start + 50]]
        width = max(map(len, rows))
        ids = torch.tensor([[speech.pad] * (width - len(r)) + r for r in rows])
        mask = torch.tensor([[0] * (width - len(r)) + [1] * len(r) for r in rows])
        sampling = dict(do_sample=True, temperature=temperature, top_k=0, top_p=1.0) if temperature else dict(do_sample=False)
        codes = model.generate(ids, attention_mask=mask, generation_mode="image", guidance_scale=guidance, **sampling)
        pixels = (model.decode_image_tokens(codes) + 1) / 2 * 255
        out.append(pixels.clamp(0, 255).to(torch.uint8).numpy())
    return np.concatenate(out)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--folder", default=os.path.join(HERE, "checkpoint"))
    ap.add_argument("--count", type=int, default=300)
    ap.add_argument("--guidance", type=float, default=5)
    ap.add_argument("--temperature", type=float, default=1)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--only", choices=["read", "draw"])
    ap.add_argument("--sheet", help="write the drawings here, 20 a row")
    args = ap.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    from transformers import JanusForConditionalGeneration
    model = JanusForConditionalGeneration.from_pretrained(args.folder, dtype=torch.float32).eval()
    speech = lean.Speech()
    pictures, rows = load_set(args.count)
    score = collections.defaultdict(list)
    if args.only != "draw":
        asked = [r for r in rows if r[0] == "caption" or r[0].startswith("ask.")]
        for row, right in zip(asked, read(model, speech, pictures, asked)):
            score[row[0]].append(right)
            if row[0] != "caption":
                score["questions"].append(right)
    if args.only != "read":
        wishes = [r for r in rows if r[0] == "draw"]
        drawn = draw(model, speech, [r[2] for r in wishes], args.guidance, args.temperature)
        grants = load_oracle()
        verdicts = [grants(p, r[3]) for p, r in zip(drawn, wishes)]
        score["draw"] = [v == "right" for v in verdicts]
        print(dict(collections.Counter(verdicts)))
        if args.sheet:
            n = len(drawn) // 20
            sheet = drawn[:n * 20].reshape(n, 20, 64, 64, 3).transpose(0, 2, 1, 3, 4).reshape(n * 64, 20 * 64, 3)
            Image.fromarray(sheet).save(args.sheet)
    for name, right in sorted(score.items()):
        print(f"{name:12} {sum(right):5} of {len(right):5}  {100 * np.mean(right):6.2f} %")


if __name__ == "__main__":
    main()
