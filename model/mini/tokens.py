"""The tokenizer of the mini model, and its configuration.

The tokenizer is what the large Janus models use, made small: a byte-level BPE whose text is split
first by the regular expressions of DeepSeek-LLM, with digits one by one; the special tokens bear
the same names. It is learned from the grammar of `world.py`, so that most words are one token; any
other text still encodes, byte by byte. `build()` writes the folder's small files; ids are read
back from there, never assumed.

The configuration: a picture is 64 x 64, read as 4 x 4 patches and drawn as 4 x 4 codes. Hidden
sizes are multiples of 64, so that quantized tiles have no tails.
"""
import json
import os
import random

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers
from transformers import (GenerationConfig, JanusConfig, JanusImageProcessorPil, JanusProcessor, LlamaConfig,
                          PreTrainedTokenizerFast)
from transformers.models.janus.configuration_janus import JanusVisionConfig, JanusVQVAEConfig

import world

BOS, EOS, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
BOI, PLACEHOLDER, EOI = "<begin_of_image>", "<image_placeholder>", "<end_of_image>"
USER, ASSISTANT = "<|User|>", "<|Assistant|>"
SPECIAL = [BOS, EOS, PAD, BOI, PLACEHOLDER, EOI, USER, ASSISTANT]
SYSTEM = ("You are a helpful language and vision assistant. You are able to understand the visual "
          "content that the user provides, and assist the user with a variety of tasks using "
          "natural language.\n\n")
VOCABULARY = 768
N_PATCHES = world.GRID * world.GRID

# Letters with case, as DeepSeek-LLM's tokenizer lists them (ranges by code point).
_CASED = ("41-5a 61-7a b5 c0-d6 d8-f6 f8-1ba 1bc-1bf 1c4-293 295-2af 370-373 376 377 37b-37d 37f 386 "
          "388-38a 38c 38e-3a1 3a3-3f5 3f7-481 48a-52f 531-556 10a0-10c5 13a0-13f5 13f8-13fd 1c90-1cba "
          "1cbd-1cbf 1d00-1d2b 1d6b-1d77 1d79-1d9a 1e00-1f15 1f18-1f1d 1f20-1f45 1f48-1f4d 1f50-1f57 "
          "1f59 1f5b 1f5d 1f5f-1f7d 1f80-1fb4 1fb6-1fbc 1fbe 1fc2-1fc4 1fc6-1fcc 1fd0-1fd3 1fd6-1fdb "
          "1fe0-1fec 1ff2-1ff4 1ff6-1ffc 2102 2107 210a-2113 2115 2119-211d 2124 2126 2128 212a-212d "
          "212f-2134 2139 213c-213f 2145-2149 214e 2183 2184 2c00-2c7b 2c7e-2ce4 2ceb-2cee 2cf2 2cf3 "
          "a640-a66d a680-a69b a722-a76f a771-a787 a78b-a78e ab70-abbf fb00-fb06 fb13-fb17 ff21-ff3a "
          "ff41-ff5a 10400-1044f 104b0-104d3 104d8-104fb 10c80-10cb2 10cc0-10cf2 118a0-118df 1e900-1e943")
CASED = "".join("-".join(chr(int(c, 16)) for c in part.split("-")) for part in _CASED.split())
SPLITS = ["[\r\n]", r"\s?[" + CASED + "]+", r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$",
          "[一-龥ࠀ-一가-\ud7ff]+"]


def corpus(count=6000):
    rng = random.Random(7)
    for i in range(count):
        scene = world.random_scene(rng)
        yield world.caption(scene)
        yield from (f" {x}" for x in world.question(rng, scene)[1:])
        yield world.draw_prompt(rng, scene)[0]
        yield rng.choice(world.ASK_CAPTION)
        if i % 20 == 0:
            yield SYSTEM


def make_tokenizer():
    tok = tokenizers.Tokenizer(models.BPE())
    splits = [pre_tokenizers.Split(tokenizers.Regex(s), "isolated") for s in SPLITS]
    tok.pre_tokenizer = pre_tokenizers.Sequence(
        splits + [pre_tokenizers.Digits(individual_digits=True),
                  pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tok.add_special_tokens([tokenizers.AddedToken(s, special=True, normalized=False) for s in SPECIAL])
    tok.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, tok.token_to_id(BOS))])
    return tok


def config(tok, hidden=256, layers=4):
    rows = -(-tok.get_vocab_size() // 64) * 64
    text = LlamaConfig(vocab_size=rows, hidden_size=hidden, intermediate_size=448,
                       num_hidden_layers=layers, num_attention_heads=4, num_key_value_heads=4,
                       max_position_embeddings=1024, rms_norm_eps=1e-6, tie_word_embeddings=False,
                       bos_token_id=tok.token_to_id(BOS), eos_token_id=tok.token_to_id(EOS),
                       pad_token_id=tok.token_to_id(PAD))
    vision = JanusVisionConfig(hidden_size=128, num_hidden_layers=3, num_attention_heads=4,
                               image_size=64, patch_size=16, projection_dim=hidden, mlp_ratio=4.0,
                               num_image_tokens=N_PATCHES)
    vq = JanusVQVAEConfig(embed_dim=8, num_embeddings=448, latent_channels=64, base_channels=32,
                          channel_multiplier=[1, 1, 1, 2, 2], num_res_blocks=1,
                          projection_dim=hidden, image_token_embed_dim=hidden, num_patches=world.GRID)
    return JanusConfig(text_config=text.to_dict(), vision_config=vision.to_dict(),
                       vq_config=vq.to_dict(), image_token_id=tok.token_to_id(PLACEHOLDER),
                       tie_word_embeddings=False)


CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'user' -%}{{ '<|User|>: ' }}{%- else -%}{{ '<|Assistant|>: ' }}{%- endif -%}"
    "{%- if message['content'] is string -%}{{ message['content'] | trim }}{%- else -%}"
    "{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'image' -%}{{ '<image_placeholder>' }}{%- else -%}"
    "{%- if not loop.first -%}{{ '\\n' }}{%- endif -%}{{ part['text'] | trim }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{%- if message['role'] == 'user' -%}{{ '\\n\\n' }}{%- else -%}{{ eos_token }}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|Assistant|>:' }}{%- endif -%}")


def save_small_files(tok, folder, guidance=5):
    """Everything of a checkpoint but config.json and the weights."""
    os.makedirs(folder, exist_ok=True)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tok, bos_token=BOS, eos_token=EOS, pad_token=PAD, padding_side="left",
        model_max_length=1024, clean_up_tokenization_spaces=False,
        extra_special_tokens={"image_token": PLACEHOLDER, "boi_token": BOI, "eoi_token": EOI})
    images = JanusImageProcessorPil(size={"height": 64, "width": 64}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    JanusProcessor(images, fast, chat_template=CHAT_TEMPLATE, num_image_tokens=N_PATCHES).save_pretrained(folder)
    fast.save_pretrained(folder)
    images.save_pretrained(folder)
    with open(os.path.join(folder, "special_tokens_map.json"), "w") as out:  # as older writers do
        json.dump({"bos_token": BOS, "eos_token": EOS, "pad_token": PAD}, out, indent=2, ensure_ascii=False)
    GenerationConfig(bos_token_id=tok.token_to_id(BOS), eos_token_id=tok.token_to_id(EOS),
                     pad_token_id=tok.token_to_id(PAD), guidance_scale=guidance, max_new_tokens=128,
                     generation_kwargs={"boi_token_id": tok.token_to_id(BOI)}).save_pretrained(folder)


if __name__ == "__main__":
    import sys
    folder = sys.argv[1]
    tok = make_tokenizer()
    save_small_files(tok, folder)
    config(tok).save_pretrained(folder)
    print(tok.get_vocab_size(), {s: tok.token_to_id(s) for s in SPECIAL}, os.listdir(folder))
    text = "A small blue diamond at the top left, on a grey background. 12 Größe"
    print(tok.encode(text).tokens, tok.decode(tok.encode(text).ids))
    print(len(tok.encode(SYSTEM).ids))
    for name in os.listdir(folder):
        if "tokenizer.json" not in name:
            print(name, open(os.path.join(folder, name)).read()[:1500])
