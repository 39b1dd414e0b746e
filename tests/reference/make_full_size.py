"""Writes a Janus checkpoint with published dimensions and random weights, for timing and memory measurements.

    python3 tests/reference/make_full_size.py --model janus-pro-1b -o DIR      (4.2 GB; about a minute of disk writing)

The folder is one that transformers loads: names and shapes are asked of the class itself on the `meta` device, which
allocates nothing. Each tensor is one block of unit normals (a prime number of them, so that no two rows of a matrix
line up), scaled by the spread that weights.py gives its name, rounded to bf16 and written over and over from an offset
of its own. It needs half a gigabyte of memory, most of it torch itself; activations stay finite, texts and pictures
are noise but not flat.

The tokenizer is DeepSeek-like with the published size: trained merges first, then merges of pairs of known tokens until
there are 100,000 entries (valid, if useless), then the added tokens; ids that the published file gives to BOS, EOS, pad, boi
and <image_placeholder> are kept, gaps are filled with place holders as there.
"""

import argparse
import json
import pathlib
import struct

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, processors
from transformers import JanusConfig, JanusForConditionalGeneration, JanusVisionConfig, JanusVQVAEConfig, LlamaConfig

import janus_tiny
import tokenizer_files
from weights import spread

MODELS = {  # hidden, ffn, layers, heads: the rest is the same in both, and is the config classes' default
    "janus-pro-1b": (2048, 5632, 24, 16),
    "janus-pro-7b": (4096, 11008, 30, 32),
}
VOCAB = 102400
NAMED = {100000: tokenizer_files.BOS, 100001: tokenizer_files.EOS, 100002: tokenizer_files.PAD,
         100003: tokenizer_files.BOI, 100581: tokenizer_files.IMAGE, 100593: tokenizer_files.EOI,
         100601: "<|User|>", 100602: "<|Assistant|>"}
BLOCK = 4194301                                             # prime


def config_of(name):
    hidden, ffn, layers, heads = MODELS[name]
    return JanusConfig(
        text_config=LlamaConfig(
            vocab_size=VOCAB, hidden_size=hidden, intermediate_size=ffn, num_hidden_layers=layers,
            num_attention_heads=heads, num_key_value_heads=heads, max_position_embeddings=16384, rms_norm_eps=1e-6,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, tie_word_embeddings=False,
            bos_token_id=100000, eos_token_id=100001, pad_token_id=100002),
        vision_config=JanusVisionConfig(projection_dim=hidden),
        vq_config=JanusVQVAEConfig(projection_dim=hidden, image_token_embed_dim=hidden),
        image_token_id=100581, tie_word_embeddings=False)


def to_bf16(values):
    """f32 array to bf16 bits, rounded to nearest even (no NaN here)."""
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def write_weights(shapes, path):
    """One safetensors file: u64 header length, JSON header padded to 8 with spaces, data in the header's order."""
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes.items():
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    unit = np.random.default_rng(20250127).standard_normal(BLOCK, dtype=np.float32)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for number, (name, shape) in enumerate(shapes.items()):
            mean, std = spread(name, shape)
            block, left = to_bf16(unit * np.float32(std) + np.float32(mean)), int(np.prod(shape))
            start = number * 1299709 % BLOCK
            while left:
                part = block[start:start + left]
                file.write(part)
                left, start = left - part.size, 0
    return at


def make_tokenizer():
    """DeepSeek-like, ids 0..99999 from merges, then added tokens up to VOCAB - 1."""
    trained = json.loads(tokenizer_files.train("deepseek", 900).to_str())
    vocab, merges = trained["model"]["vocab"], trained["model"]["merges"]
    seconds = [t for t in vocab if not t.startswith("Ġ")][:400]
    queue = list(vocab)
    for first in queue:
        for second in seconds:
            if len(vocab) == 100000:
                break
            if first + second not in vocab and len(first + second) < 16:
                vocab[first + second] = len(vocab)
                merges.append([first, second])
                queue.append(first + second)
    trained["model"]["merges"] = [" ".join(pair) for pair in merges]
    tokenizer = Tokenizer.from_str(json.dumps(trained))
    holder = (f"<｜place▁holder▁no▁{i}｜>" for i in range(VOCAB))
    for token in range(100000, VOCAB):
        added = AddedToken(NAMED.get(token) or next(holder), special=True, normalized=False)
        tokenizer.add_special_tokens([added])
    assert all(tokenizer.token_to_id(text) == token for token, text in NAMED.items())
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{tokenizer_files.BOS} $A", special_tokens=[(tokenizer_files.BOS, 100000)])
    assert tokenizer.get_vocab_size() == VOCAB
    return tokenizer


def main():
    parser = argparse.ArgumentParser(description="Write a full-size Janus checkpoint with random weights.")
    parser.add_argument("--model", choices=MODELS, default="janus-pro-1b")
    parser.add_argument("-o", required=True, type=pathlib.Path)
    options = parser.parse_args()
    options.o.mkdir(parents=True, exist_ok=True)
    config = config_of(options.model)
    with torch.device("meta"):
        model = JanusForConditionalGeneration(config)
    shapes = {n: tuple(t.shape) for n, t in sorted(model.state_dict().items())}
    raw = janus_tiny.drop_private(json.loads(config.to_json_string(use_diff=False)))
    raw |= {"architectures": ["JanusForConditionalGeneration"], "dtype": "bfloat16"}
    janus_tiny.write_json(options.o / "config.json", raw)
    preprocessor = janus_tiny.preprocessor_config(384, 14, "transformers")
    janus_tiny.write_json(options.o / "preprocessor_config.json", preprocessor)
    janus_tiny.write_json(options.o / "generation_config.json", {
        "bos_token_id": 100000, "eos_token_id": 100001, "pad_token_id": 100002, "guidance_scale": 5.0,
        "generation_kwargs": {"boi_token_id": 100003}})
    tokenizer_files.save(make_tokenizer(), options.o / "tokenizer.json", tokenizer_files.janus_config())
    size = write_weights(shapes, options.o / "model.safetensors")
    print(f"{options.o}: {len(shapes)} tensors, {size / 2e9:.3f} G weights")


if __name__ == "__main__":
    main()
