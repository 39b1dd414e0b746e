"""Test pictures from integer formulas that C repeats exactly, PIL resizing, and Janus' preprocessing.

`make(kind, width, height)` gives RGB bytes, [height, width, 3]:
  wave     ((x*7 + y*13) * (c+3)) & 255
  noise    a 32-bit LCG, s = s*1664525 + 1013904223 (mod 2^32), started at 12345 + width*65537 + height;
           one step per byte in the order y, x, c; the byte is s >> 24
  edges    255 where (x/3 + y/2 + c) is odd, else 0: hard edges, so that bicubic overshoot must be clipped

Preprocessing follows the official rule (VLMImageProcessor): sides max(int(side/max*size), min_size) in double, PIL
bicubic, pad to a square with 127 (= int(0.5*255)), offset (size - side)//2. The tensor is (x/255 - mean)/std with
the roundings of the processors: x*rescale_factor in double then to f32, then f32 subtract and divide.

`write_cases` makes tests/fixtures/resize: cases.json lists every case with the CRC-32 (zlib) of the output's RGB bytes;
a few outputs are kept whole as .npy, for looking at a difference.
"""

import json
import zlib

import numpy as np
from PIL import Image

FILTERS = {"bicubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS}


def make(kind, width, height):
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    if kind == "wave":
        return (((x * 7 + y * 13) * (c + 3)) & 255).astype(np.uint8)
    if kind == "edges":
        return np.where((x // 3 + y // 2 + c) % 2 == 1, 255, 0).astype(np.uint8)
    state, out = (12345 + width * 65537 + height) & 0xFFFFFFFF, bytearray()
    for _ in range(width * height * 3):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out.append(state >> 24)
    return np.frombuffer(bytes(out), np.uint8).reshape(height, width, 3)


def official_size(width, height, size, min_size):
    longest = max(width, height)
    return max(int(width / longest * size), min_size), max(int(height / longest * size), min_size)


def library_size(width, height, size, min_size):
    """What transformers 5 computes instead (round, other order): recorded to show where the two part."""
    delta = size / max(width, height)
    return max(round(width * delta), min_size), max(round(height * delta), min_size)


def square(image, size, min_size):
    """PIL picture in, uint8 [size, size, 3] out."""
    image = image.convert("RGB")
    image = image.resize(official_size(*image.size, size, min_size), Image.Resampling.BICUBIC)
    side = max(image.size)
    out = Image.new("RGB", (side, side), (127, 127, 127))
    out.paste(image, ((side - image.size[0]) // 2, (side - image.size[1]) // 2))
    return np.asarray(out)


def tensor(rgb):
    """uint8 [h, w, 3] to f32 [3, h, w]."""
    scaled = (rgb.astype(np.float64) * (1 / 255)).astype(np.float32).transpose(2, 0, 1)
    return np.ascontiguousarray((scaled - np.float32(0.5)) / np.float32(0.5))


SIZES = [  # (w, h) -> (w', h'), bicubic; kinds take turns
    (1, 1, 1, 1), (1, 1, 5, 3), (1, 1, 64, 64), (7, 1, 3, 1), (1, 9, 1, 4), (1, 9, 4, 1), (5, 5, 1, 1), (2, 2, 3, 3),
    (3, 2, 2, 3), (2, 3, 200, 1), (17, 13, 17, 13), (17, 13, 17, 5), (17, 13, 5, 13), (17, 13, 34, 26), (17, 13, 35, 27),
    (17, 13, 16, 12), (17, 13, 18, 14), (16, 16, 8, 8), (16, 16, 9, 7), (31, 33, 33, 31), (64, 48, 384, 288),
    (48, 64, 14, 384), (100, 100, 24, 24), (100, 75, 24, 18), (101, 37, 96, 35), (255, 3, 40, 14), (3, 255, 14, 40),
    (120, 90, 119, 89), (120, 90, 121, 91), (120, 90, 60, 45), (120, 90, 61, 44), (120, 90, 7, 200), (200, 7, 3, 300),
    (300, 2, 2, 300), (2, 300, 300, 2), (333, 111, 384, 128), (240, 320, 288, 384), (320, 240, 384, 288), (500, 4, 1, 1),
    (4, 500, 1, 1), (640, 1, 384, 14), (1, 640, 14, 384), (257, 129, 128, 64), (63, 65, 640, 12), (50, 50, 384, 384),
    (384, 384, 50, 50), (19, 23, 23, 19), (8, 600, 9, 31), (97, 89, 13, 11), (450, 300, 384, 256), (12, 12, 11, 13),
    (150, 17, 32, 6),
]
LANCZOS = [(1, 1, 3, 3), (5, 5, 1, 1), (17, 13, 34, 26), (17, 13, 5, 13), (24, 24, 48, 48), (100, 75, 24, 18),
           (384, 384, 50, 50), (3, 255, 14, 40), (64, 48, 128, 96), (120, 90, 7, 200)]
SQUARES = [  # (w, h, size, min_size)
    (11, 7, 18, 14), (29, 83, 18, 14), (32, 32, 32, 6), (150, 17, 32, 6), (121, 90, 25, 14), (1, 40, 25, 14),
    (384, 384, 384, 14), (383, 384, 384, 14), (500, 333, 384, 14), (333, 500, 384, 14), (640, 3, 384, 14),
    (2, 2, 384, 14), (49, 7, 384, 14), (300, 100, 384, 14), (97, 61, 384, 14), (245, 211, 384, 14),
]
WHOLE = {(2, 2, 3, 3), (17, 13, 5, 13), (16, 16, 9, 7), (3, 255, 14, 40), (100, 75, 24, 18)}


def write_cases(folder):
    folder.mkdir(parents=True, exist_ok=True)
    cases, kinds = {"resize": [], "square": []}, ["noise", "edges", "wave"]
    jobs = [("bicubic", s) for s in SIZES] + [("lanczos", s) for s in LANCZOS]
    for i, (name, (w, h, to_w, to_h)) in enumerate(jobs):
        kind = kinds[i % 3]
        out = np.asarray(Image.fromarray(make(kind, w, h)).resize((to_w, to_h), FILTERS[name]))
        case = {"filter": name, "kind": kind, "width": w, "height": h, "to_width": to_w, "to_height": to_h,
                "crc32": zlib.crc32(out.tobytes())}
        if (w, h, to_w, to_h) in WHOLE:
            case["file"] = f"{name}_{w}x{h}_{to_w}x{to_h}.npy"
            np.save(folder / case["file"], out)
        cases["resize"].append(case)
    for i, (w, h, size, min_size) in enumerate(SQUARES):
        kind = kinds[i % 3]
        out = square(Image.fromarray(make(kind, w, h)), size, min_size)
        official = official_size(w, h, size, min_size)
        cases["square"].append({
            "kind": kind, "width": w, "height": h, "size": size, "min_size": min_size,
            "to_width": official[0], "to_height": official[1], "crc32": zlib.crc32(out.tobytes()),
            "library_rule_differs": official != library_size(w, h, size, min_size)})
    lines = [json.dumps(k) + ": [\n" + ",\n".join(json.dumps(c) for c in v) + "\n]" for k, v in cases.items()]
    (folder / "cases.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    return {k: len(v) for k, v in cases.items()}
