"""Makes everything under tests/fixtures/ (except this script's inputs there are none: all is seeded).

    python3 tests/reference/make_fixtures.py [-o tests/fixtures] [--only janus-a-f32|tokenizers|resize]

The tests read only the committed output; this script, torch and transformers are needed to make it again, not to
run the tests. README.md beside it lists versions, files, shapes, and the facts about the official classes that were
checked while writing it. The parts:

  janus_tiny.py       shapes of the tiny checkpoints; writes them as Hugging Face folders, both naming schemes
  weights.py          the spread of each random tensor
  expected.py         what the official class computes with them, with checks on its robustness
  tokenizer_files.py  tokenizer.json files in four styles;  tokenizer_cases.py  texts and expected ids
  pictures.py         test pictures by formula, PIL resizing, preprocessing
"""

import argparse
import copy
import pathlib
import shutil

import torch
from transformers import JanusForConditionalGeneration
from transformers.utils import logging

import expected
import janus_tiny
import pictures
import tokenizer_cases
import tokenizer_files

SEEDS = 400


def make_checkpoint(shape, folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tokenizer, ids = tokenizer_files.deepseek(**shape.tokenizer)
    for seed in range(1, SEEDS):
        model = janus_tiny.build(shape, ids, seed)
        try:
            facts = expected.run(model, copy.deepcopy(model).double(), tokenizer, ids, shape, folder)
            break
        except expected.Reject as why:
            print(f"{shape.name}: seed {seed}: {why}", flush=True)
    else:
        raise SystemExit(f"{shape.name}: no seed does")
    janus_tiny.save(shape, model, folder)
    tokenizer_files.save(tokenizer, folder / "tokenizer.json", tokenizer_files.janus_config(),
                         old_merges=shape.name != "janus-a-f32")
    texts = tokenizer_cases.write(tokenizer, folder, "encode.jsonl", "decode.jsonl")
    if shape.scheme == "transformers":
        check_reload(folder, model)
    janus_tiny.write_json(folder / "case.json", facts | {"seed": seed, "special_ids": ids})
    print(f"{shape.name}: seed {seed}, {texts} texts, margins {facts['understand']['least_margin']:.1e} and "
          f"{facts['draw']['least_margin']:.1e}", flush=True)


def check_reload(folder, model):
    """from_pretrained must read the folder back without a missing or unexpected tensor, to the same weights."""
    again, info = JanusForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
    for (name, a), (_, b) in zip(model.state_dict().items(), again.state_dict().items(), strict=True):
        assert torch.equal(a, b), name
    new, old = again.config.text_config, model.config.text_config
    assert new.rope_parameters["rope_theta"] == old.rope_parameters["rope_theta"]
    assert again.config.image_token_id == model.config.image_token_id


def main():
    parser = argparse.ArgumentParser(description="Make the parity fixtures.")
    parser.add_argument("-o", default=pathlib.Path(__file__).parents[1] / "fixtures", type=pathlib.Path)
    parser.add_argument("--only", help="one checkpoint, 'tokenizers' or 'resize'")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    for shape in janus_tiny.SHAPES:
        if options.only in (None, shape.name):
            make_checkpoint(shape, options.o / shape.name)
    if options.only in (None, "tokenizers"):
        for style in ("gpt2", "qwen2", "cl100k"):
            folder = options.o / "tokenizers" / style
            folder.mkdir(parents=True, exist_ok=True)
            tokenizer = tokenizer_files.other(style)
            tokenizer_files.save(tokenizer, folder / "tokenizer.json", old_merges=style == "gpt2")
            print(style, tokenizer_cases.write(tokenizer, folder, "encode.jsonl", "decode.jsonl"))
    if options.only in (None, "resize"):
        print("resize", pictures.write_cases(options.o / "resize"))


if __name__ == "__main__":
    main()
