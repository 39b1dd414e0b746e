"""Makes tokenizer.json files in the styles that unified models use, with small vocabularies trained on own text.

  deepseek   DeepSeek-LLM (Janus): a Sequence of five Split patterns, single digits, ByteLevel without regex; the
             post-processor prepends the begin token. The base vocabulary lacks the 13 bytes that never start or
             continue valid UTF-8 as the published one does; some of those byte *characters* (U+00FC ...) come back as
             added tokens with special = false, so that a text holding the letter itself becomes that token, whose
             decoding is an invalid byte. Odd, but so are the published files.
  gpt2       ByteLevel with its built-in regex.
  qwen2      one Split with the Qwen2 pattern (case-insensitive group, look-ahead, single \\p{N}), ByteLevel.
  cl100k     the same with \\p{N}{1,3} and ignore_merges, as Llama 3 writes it.

The library `tokenizers` both trains and saves, so that the JSON has exactly the shape that it writes.
"""

import json

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

BOS, EOS, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
BOI, EOI, IMAGE = "<begin_of_image>", "<end_of_image>", "<image_placeholder>"

# Patterns of the published DeepSeek-LLM tokenizer.json. The first class holds most of Unicode's cased letters (no
# mathematical alphabets, no Armenian small letters); it is written with escapes where normalization would change it.
CASED = (
    "A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-\u02AF\u0370-\u0373"
    "\u0376\u0377\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1\u03A3-\u03F5\u03F7-\u0481\u048A-\u052F"
    "\u0531-\u0556\u10A0-\u10C5\u13A0-\u13F5\u13F8-\u13FD\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77"
    "\u1D79-\u1D9A\u1E00-\u1F15\u1F18-\u1F1D\u1F20-\u1F45\u1F48-\u1F4D\u1F50-\u1F57\u1F59\u1F5B\u1F5D"
    "\u1F5F-\u1F7D\u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE\u1FC2-\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-\u1FDB"
    "\u1FE0-\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC\u2102\u2107\u210A-\u2113\u2115\u2119-\u211D\u2124\u2126\u2128"
    "\u212A-\u212D\u212F-\u2134\u2139\u213C-\u213F\u2145-\u2149\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4"
    "\u2CEB-\u2CEE\u2CF2\u2CF3\uA640-\uA66D\uA680-\uA69B\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E\uAB70-\uABBF"
    "\uFB00-\uFB06\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A\U00010400-\U0001044F\U000104B0-\U000104D3"
    "\U000104D8-\U000104FB\U00010C80-\U00010CB2\U00010CC0-\U00010CF2\U000118A0-\U000118DF\U0001E900-\U0001E943")
DEEPSEEK = ["[\r\n]", rf"\s?[{CASED}]+", "\\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+", r"\s+$",
            "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+"]
QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
         r"|\s+(?!\S)|\s+")
CL100K = QWEN2.replace(r"\p{N}|", r"\p{N}{1,3}|")

# Trains the merges. Written for this purpose: plain sentences, code, numbers and several scripts.
CORPUS = """
The small boat turns slowly in the harbour while the keeper of the lighthouse counts the stars.
A picture of a red fox in the snow, with two blue birds above it and a green hill behind.
What is shown in this picture? There are three pears on a plate, and a cup of tea.
Describe the image in a few words. The image shows an old map of the northern islands.
It's raining; they'll wait, we've said, and I'm sure she'd rather stay. Don't you think so?
The user asks and the assistant answers. The answer is short, the question is long.
Numbers: 0 1 2 3 10 12 100 144 2024 3.14159 1,000,000 and 0x7f or 1e-6.
for (int i = 0; i < n; i++) { sum += a[i] * b[i]; }
    if (x == NULL) return -1;  /* nothing to do */
def forward(self, x):
        return self.norm(x) + self.bias  # residual
#include <stdint.h>
static const char *names[] = { "one", "two", "three" };
https://example.org/path/to/file.html?key=value&other=1#part
Les élèves étaient là; où est le café? Straße, größer, schön, für, naïve, coöperate.
Съешь ещё этих мягких булок. Как дела? Хорошо, спасибо. Привет, мир.
Η γρήγορη αλεπού πηδά πάνω από το σκυλί. Καλημέρα κόσμε.
这是一张图片。图片里有一只红色的狐狸和两只蓝色的鸟。你好，世界！请描述这张图片。
これは写真です。赤い狐と二羽の青い鳥がいます。カタカナとひらがな。
안녕하세요 세계. 이것은 그림입니다. 빨간 여우 한 마리.
مرحبا بالعالم هذه صورة لثعلب أحمر. שלום עולם. नमस्ते दुनिया। สวัสดีชาวโลก
😀 😃 👍 👍🏽 ❤️ 👩‍👩‍👧‍👦 🇸🇪 🇯🇵 🎨🖼️
"""


def split(pattern):
    return pre_tokenizers.Split(Regex(pattern), behavior="isolated")


def train(style, vocab_size):
    """A tokenizer with a BPE vocabulary of `vocab_size` entries and no added tokens."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=style == "cl100k"))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=style == "gpt2")
    if style == "deepseek":
        steps = [split(p) for p in DEEPSEEK] + [pre_tokenizers.Digits(individual_digits=True), byte_level]
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    elif style == "gpt2":
        tokenizer.pre_tokenizer = byte_level
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split(QWEN2 if style == "qwen2" else CL100K), byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    if style == "deepseek":                                  # bytes C0, C1 and F5..FF occur in no UTF-8 text
        alphabet = [c for c in alphabet if c not in "ÀÁõö÷øùúûüýþÿ"]
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([CORPUS] * 2, trainer)
    assert tokenizer.get_vocab_size() == vocab_size, tokenizer.get_vocab_size()
    return tokenizer


def deepseek(merges, extra, order):
    """A Janus tokenizer. `order` shuffles the ids of the named tokens as the published files differ from each
    other; `extra` are more added tokens with special = false. Returns (tokenizer, special ids)."""
    tokenizer = train("deepseek", 243 + merges)
    letters = [AddedToken(c, special=False, normalized=True) for c in "öü÷"]
    named = [AddedToken(t, special=True, normalized=False) for t in (PAD, BOI, IMAGE, EOI)]
    roles = [AddedToken(t, special=True, normalized=False) for t in ("<|User|>", "<|Assistant|>")]
    holder = [AddedToken("<｜place▁holder▁no▁0｜>", special=True, normalized=False)]
    more = [AddedToken(t, special=False, normalized=False) for t in extra]
    ends = [AddedToken(t, special=True, normalized=True) for t in (BOS, EOS)]
    added = {"pro": ends + named[:2] + roles + more + holder + named[2:],
             "late": ends + letters + holder + more + roles + list(reversed(named)),
             "1.3b": ends + letters + named[:2] + holder + named[2:]}[order]
    for token in added:                                     # one by one: a batch is sorted, specials first
        (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
    bos = tokenizer.token_to_id(BOS)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B:1", special_tokens=[(BOS, bos)])
    ids = {"bos": bos, "eos": tokenizer.token_to_id(EOS), "pad": tokenizer.token_to_id(PAD),
           "boi": tokenizer.token_to_id(BOI), "eoi": tokenizer.token_to_id(EOI),
           "image": tokenizer.token_to_id(IMAGE)}
    return tokenizer, ids


def other(style):
    """The tokenizers that belong to no checkpoint: a few added tokens with all the flags, no post-processor."""
    tokenizer = train(style, {"gpt2": 611, "qwen2": 640, "cl100k": 583}[style])
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True, normalized=False)])
    if style == "gpt2":
        tokenizer.add_tokens([AddedToken("<mask>", special=False, lstrip=True, normalized=False),
                              AddedToken("cat", special=False, single_word=True, normalized=False)])
    else:
        tokenizer.add_special_tokens([AddedToken("<|im_start|>", special=True, normalized=False)])
        tokenizer.add_tokens([AddedToken("<tool_call>", special=False, normalized=False),
                              AddedToken("  ", special=False, rstrip=style == "cl100k", normalized=False)])
    return tokenizer


def save(tokenizer, path, config=None, old_merges=False):
    """Writes tokenizer.json, and tokenizer_config.json beside it. Files made before 2024-10, DeepSeek's among them,
    hold merges as strings "a b" instead of pairs: `old_merges`."""
    text = json.loads(tokenizer.to_str())
    if old_merges:
        text["model"]["merges"] = [" ".join(pair) for pair in text["model"]["merges"]]
    path.write_text(json.dumps(text, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    if config is not None:
        (path.parent / "tokenizer_config.json").write_text(
            json.dumps(config, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def janus_config():
    return {"add_bos_token": True, "add_eos_token": False, "bos_token": BOS, "eos_token": EOS, "pad_token": PAD,
            "model_max_length": 16384, "padding_side": "left", "tokenizer_class": "LlamaTokenizerFast",
            "unk_token": None}
