"""Texts and expected token ids, and ids with their expected text.

Texts: hand-written ones where a splitter or a merge loop goes wrong (runs of spaces and line ends, contractions,
several scripts, combining marks, emoji joined by ZWJ, code, digits of other scripts, long words, added tokens in the
middle, side by side, overlapping, cut short), then seeded mixtures of fragments. Files are JSON lines in UTF-8:

  encode.jsonl   {"text": ..., "ids": [...]}                    encode() with the post-processor (BOS where it has one)
  decode.jsonl   {"ids": [...], "skip_special": bool, "text": ...}
                 invalid UTF-8 comes out as U+FFFD, one per maximal ill-formed part (Rust's from_utf8_lossy)
"""

import json
import random

TEXTS = [
    "", " ", "  ", "   ", "\n", "\n\n", "\r\n", "\r", "\t", "\t\t", " \n", "\n ", "  \n  \n", "\n\n\n\n", "a", " a", "a ", "  a",
    "a  ", "a\n", "\na", "a b", "a  b", "a   b", "a\tb", "a\n b", "a \n b", "a\r\nb", "a\r\n\r\nb", "   \t \n x", "x   ",
    "x\u00a0y", "x\u00a0\u00a0y", "\u00a0", "x\u2003y", "x\u3000y", "\u3000\u3000x", "x\u200by", "x\u2028y", "x\u0085y",
    "\ufeffx", "x\u000by", "x\u000cy",
    "The quick brown fox jumps over the lazy dog.", "Hello, world!", "hello", "HELLO", "Hello", " hello", "hello  world",
    "It's", "it's they'll we've I'm she'd don't you're", "IT'S THEY'LL WE'VE I'M SHE'D DON'T YOU'RE", "'s 't 're 've 'm 'll 'd",
    "''s", "x'", "'x", "rock 'n' roll", "O'Neill's", "’s it’s", "'ſ", "'S'T'RE", "a'LLb",
    "0", "1", "12", "123", "1234", "12345", "1234567890", "3.14159", "1,000,000", "0x7fA9", "1e-6", "a1b2c3", "v2.0.1", " 7", "7 ",
    "2024-05-17T08:30:00Z", "½ ¾ ²³ ₂", "Ⅷ ⅷ ①②", "٠١٢٣", "१२३", "๑๒๓", "１２３", "𝟘𝟙𝟚", "1٢3", "፩፪",
    "!", "!!", "!!!", "...", "…", "?!?!", "a.b,c;d:e", "(a) [b] {c} <d>", "a--b", "a---b", "—–-", "“quoted” ‘text’", "«guillemets»",
    "$100 €5 £3 ¥7", "50% & more @ home #1 *star* ^up ~tilde `tick` |bar| \\back/ _under_", "a+b=c", "a<b>c", "x²+y²", "→←↑↓", "¡Hola!",
    "Les élèves étaient là.", "e\u0301le\u0300ve", "\u0301", "a\u0301\u0302\u0303b", "Straße größer schön für", "ü", "ö", "÷", "über", " ü ",
    "üü", "xüy", "ÀÁ", "ø", "naïve coöperate", "ﬁne ﬂow", "ǅ ǈ", "İstanbul ı", "ŒUVRE œuvre", "Ångström",
    "Съешь ещё этих мягких булок", "ПРИВЕТ", "Привет, мир!", "Καλημέρα κόσμε", "Ωμέγα ὦ", "Հայերեն", "ქართული", "ᏣᎳᎩ",
    "你好", "你好，世界！", "这是一张图片。", "中文 English 混合 text", "中文123数字", "漢字とかな", "カタカナ", "ﾊﾝｶｸ", "これは写真です。", "，。！？；：", "「引用」",
    "안녕하세요", "안녕 세계", "한글123", "ㄱㄴㄷ", "各\u3099", "か\u3099", "𠀀𠀁", "龥龦", "\u4dff一",
    "مرحبا بالعالم", "السَّلَامُ عَلَيْكُمْ", "שלום עולם", "שָׁלוֹם", "नमस्ते दुनिया", "क्षत्रिय", "สวัสดีชาวโลก", "ภาษาไทย", "தமிழ்", "తెలుగు", "ລາວ", "မြန်မာ", "ខ្មែរ", "አማርኛ",
    "བོད་ཡིག", "ߒߞߏ", "𐐨𐐩", "𞤀𞤁", "𝓗𝓮𝓵𝓵𝓸", "ℵℶ", "ªº", "ʰʱ", "ˈaɪpiːˈeɪ",
    "😀", "😀😃", " 😀 ", "👍🏽", "❤️", "👩‍👩‍👧‍👦", "🇸🇪🇯🇵", "🏳️‍🌈", "a😀b", "1️⃣2️⃣", "\U0001f9d1\u200d\U0001f680", "🫠", "\ue000", "\U0010ffff",
    "for (int i = 0; i < n; i++) {\n    sum += a[i] * b[i];\n}\n", "def f(x):\n\treturn x**2\n", "if (x == NULL)\n        return -1;",
    "#include <stdint.h>\n", "printf(\"%d\\n\", x);", "a->b->c", "std::vector<int> v{1,2,3};", "x = y[::-1]", "SELECT * FROM t WHERE id=42;",
    "https://example.org/path?key=value&x=1#part", "user@example.org", "/usr/lib/x86_64-linux-gnu", "C:\\Temp\\new", "snake_case camelCase PascalCase SCREAMING_CASE",
    "{\"a\": [1, 2.5, null]}", "<html><body>text</body></html>", "$\\frac{a}{b}$", "```c\nint x;\n```", "- item\n- item\n  - nested\n", "| a | b |\n|---|---|\n",
    "        eight spaces", "\t\t\ttabs", "trailing   \n", "line one\n\n\nline two", "a\n\n  b\n\n\n   c", "end with spaces   ", "end with newline \n",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "the" * 40, "Donaudampfschifffahrtsgesellschaftskapitän",
    "pneumonoultramicroscopicsilicovolcanoconiosis", "=" * 70, " " * 33, "\n" * 17, "图" * 30, "ab" * 50 + "c", "-" * 5 + ">" * 4,
    "cat", "cats", "concat", "a cat sat", "cat cat", "catcat", "<mask>", "a <mask> b", "a  <mask>  b", "x<mask>y",
    "<|endoftext|>", "a<|endoftext|>b", "<|endoftext|><|endoftext|>", "<|im_start|>user\nhi", "<tool_call>x", "  two  spaces  ", "<|endoftext", "|endoftext|>",
    "<begin_of_image>", "<image_placeholder>", "a<image_placeholder>b", "a <image_placeholder> b", "<image_placeholder><image_placeholder>",
    "<image_placeholder", "image_placeholder>", "<<image_placeholder>>", "<begin_of_<image_placeholder>image>", "<begin_of_image><end_of_image>",
    "<|User|>: <image_placeholder>\nWhat is this?\n\n<|Assistant|>:", "<|User|>: a red fox\n\n<|Assistant|>:<begin_of_image>", "<|User|><|Assistant|>", "<|user|>",
    "User: a fox\n\nAssistant:", "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>x<｜▁pad▁｜>", "<｜begin▁of▁sentence｜>twice", "<|begin▁of▁sentence|>",
    "<｜place▁holder▁no▁0｜>", "<|ref|>a fox<|/ref|>", "<|ref|", "<|grounding|>x", "<|User|> <|User|>", "\n<|User|>\n", "ü<|User|>ö",
    "You are a helpful assistant.\n\n<|User|>: <image_placeholder>\n<image_placeholder>\nWhich is brighter?\n\n<|Assistant|>:",
]
FRAGMENTS = ["the ", " fox", "12", "3", "\n", "  ", "\t", "é", "中", "文字", "。", "...", "'s", "'LL", " x", "_", "#", "(", ") ", "👍🏽", "ü", "<|User|>",
             "<image_placeholder>", "العربية", "हि", "A", "zz", "\r\n", " \n", "=", "-", "０", "\u00a0", "한", "<|endoftext|>", "cat", "<mask>"]


def texts():
    rng = random.Random(2024)
    mixed = ["".join(rng.choice(FRAGMENTS) for _ in range(rng.randint(2, 9))) for _ in range(60)]
    return TEXTS + mixed


def write(tokenizer, folder, encode_name, decode_name):
    """Writes both files; returns (number of texts, number of decodings)."""
    rows, decode = [], []
    for text in texts():
        rows.append({"text": text, "ids": tokenizer.encode(text).ids})
    for row in rows[::9]:
        for skip in (False, True):
            decode.append((row["ids"], skip))
    rng, size = random.Random(7), tokenizer.get_vocab_size(with_added_tokens=True)
    decode += [([rng.randrange(size) for _ in range(rng.randint(1, 12))], bool(i % 2)) for i in range(40)]
    decode.append(([], False))
    with open(folder / encode_name, "w", encoding="utf-8") as f:
        f.writelines(dump(row) for row in rows)
    with open(folder / decode_name, "w", encoding="utf-8") as f:
        f.writelines(dump({"ids": i, "skip_special": s, "text": tokenizer.decode(i, skip_special_tokens=s)})
                     for i, s in decode)
    return len(rows), len(decode)


def dump(row):
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n"
