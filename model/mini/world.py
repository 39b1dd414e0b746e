"""The world of the mini model: what can be drawn, said and asked.

A picture is 64 x 64 pixels, a 4 x 4 grid of cells of 16 pixels. One background colour; one to
three objects, each centred in a cell, each with a shape, a colour and a size. A place word covers
one, two or four cells (`PLACES`): "top left" is the corner cell, "top" either of the two middle
cells of the first row, "centre" any of the four middle ones. Objects of a picture have distinct
place words, so a caption is a function of the picture, while a drawing keeps some freedom.

Because objects never cross a cell's border, a cell has one of 4 * (1 + 6 * 8 * 2) = 388 looks.
`cell_code` numbers them; the picture codes of the model are these numbers.

Held out: (shape, colour, place) triples whose CRC-32 is 0 modulo 10 (`held_out`). A training
picture or prompt never holds such a triple; a picture of the held-out set holds at least one.

Language: `caption` is deterministic. Questions, and prompts to draw, are drawn from small grammars
with variation in wording, case, spelling (British and American) and in what is left unsaid.
`Wish` is what a prompt asks for; `satisfies` says whether a scene grants it.
"""
import itertools
import random
import zlib
from dataclasses import dataclass

import numpy as np

CELL, GRID = 16, 4
SHAPES = ["circle", "square", "triangle", "diamond", "cross", "ring"]
SIZES = ["small", "big"]
RADIUS = [4.0, 7.0]  # half the extent of a shape, in pixels
COLOURS = {
    "red": (222, 40, 36), "orange": (255, 140, 0), "yellow": (255, 224, 0), "green": (30, 160, 60),
    "cyan": (0, 200, 220), "blue": (30, 80, 225), "purple": (130, 40, 170), "pink": (255, 130, 195)}
GROUNDS = {"white": (250, 250, 250), "grey": (150, 150, 150), "brown": (92, 62, 40),
           "black": (12, 12, 12)}
PLACES = ["top left", "top", "top right", "left", "centre", "right",
          "bottom left", "bottom", "bottom right"]
AT = ["at the top left", "at the top", "at the top right", "on the left", "in the centre",
      "on the right", "at the bottom left", "at the bottom", "at the bottom right"]
NUMBERS = ["none", "one", "two", "three"]
COLOUR_NAMES, GROUND_NAMES = list(COLOURS), list(GROUNDS)
N_LOOKS = 1 + len(SHAPES) * len(COLOURS) * len(SIZES)
N_CODES = len(GROUNDS) * N_LOOKS


def place_of(cell):
    third = [0, 1, 1, 2]
    return 3 * third[cell // GRID] + third[cell % GRID]


CELLS_OF = [[c for c in range(GRID * GRID) if place_of(c) == p] for p in range(len(PLACES))]


@dataclass(frozen=True, order=True)
class Thing:
    """An object: indices into SHAPES, COLOUR_NAMES, SIZES, and its cell. None means unsaid."""
    cell: int
    shape: int
    colour: int
    size: int

    @property
    def place(self):
        return place_of(self.cell)


@dataclass(frozen=True)
class Scene:
    ground: int
    things: tuple  # of Thing, ascending by cell: the order of reading


@dataclass(frozen=True)
class Wish:
    """What a prompt asks for: a ground or None, and (size|None, colour, shape, place|None)s."""
    ground: object
    things: tuple


# ---------------------------------------------------------------- pictures

def coverage(shape, radius, over=8):
    """[16, 16] share of each pixel that the shape covers, by over x over samples."""
    axis = (np.arange(CELL * over) + 0.5) / over - CELL / 2
    y, x = np.meshgrid(axis, axis, indexing="ij")
    r = radius
    inside = {
        "circle": x * x + y * y <= r * r,
        "square": np.maximum(abs(x), abs(y)) <= 0.86 * r,
        "triangle": (y <= 0.85 * r) & (abs(x) <= (y + 0.95 * r) * 0.58),
        "diamond": abs(x) + abs(y) <= r,
        "cross": ((abs(x) <= 0.3 * r) & (abs(y) <= r)) | ((abs(y) <= 0.3 * r) & (abs(x) <= r)),
        "ring": (x * x + y * y <= r * r) & (x * x + y * y >= (0.56 * r) ** 2),
    }[SHAPES[shape]]
    return inside.reshape(CELL, over, CELL, over).mean((1, 3))


def cell_code(ground, thing=None):
    if thing is None:
        return ground * N_LOOKS
    return ground * N_LOOKS + 1 + (thing.shape * len(COLOURS) + thing.colour) * 2 + thing.size


def looks():
    """[388, 16, 16, 3] uint8: the picture of every cell code."""
    out = np.zeros((N_CODES, CELL, CELL, 3), np.uint8)
    for g, ground in enumerate(GROUNDS.values()):
        out[cell_code(g)] = ground
        for s, c, z in itertools.product(range(len(SHAPES)), range(len(COLOURS)), range(2)):
            a = coverage(s, RADIUS[z])[..., None]
            mix = a * np.array(COLOURS[COLOUR_NAMES[c]]) + (1 - a) * np.array(ground)
            out[cell_code(g, Thing(0, s, c, z))] = np.rint(mix)
    return out


def codes_of(scene):
    """The 16 cell codes of a scene, row by row."""
    codes = [cell_code(scene.ground)] * (GRID * GRID)
    for t in scene.things:
        codes[t.cell] = cell_code(scene.ground, t)
    return codes


def render(codes, table):
    """codes [n, 16] -> uint8 [n, 64, 64, 3]."""
    codes = np.asarray(codes).reshape(-1, GRID, GRID)
    return table[codes].transpose(0, 1, 3, 2, 4, 5).reshape(-1, GRID * CELL, GRID * CELL, 3)


# ---------------------------------------------------------------- scenes

def held_out(shape, colour, place):
    name = f"{SHAPES[shape]} {COLOUR_NAMES[colour]} {PLACES[place]}"
    return zlib.crc32(name.encode()) % 10 == 0


HELD = {(s, c, p) for s in range(len(SHAPES)) for c in range(len(COLOURS))
        for p in range(len(PLACES)) if held_out(s, c, p)}


def is_held(thing):
    return (thing.shape, thing.colour, thing.place) in HELD


def random_scene(rng, held=False, count=0):
    """A scene without held-out triples or, with held=True, with at least one; 0: any count."""
    count = count or rng.randint(1, 3)
    things = []
    for i, place in enumerate(rng.sample(range(len(PLACES)), count)):
        while True:
            t = Thing(rng.choice(CELLS_OF[place]), rng.randrange(len(SHAPES)),
                      rng.randrange(len(COLOURS)), rng.randrange(2))
            if things and rng.random() < 0.3:  # alike objects make counting worth asking
                other = rng.choice(things)
                t = Thing(t.cell, *rng.choice([(other.shape, t.colour), (t.shape, other.colour),
                                               (other.shape, other.colour)]), t.size)
            if is_held(t) == held if i == 0 else held or not is_held(t):
                break
        things.append(t)
    return Scene(rng.randrange(len(GROUNDS)), tuple(sorted(things)))


# ---------------------------------------------------------------- reading: captions, questions

def join(parts):
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def article(words):
    return ("an " if words[0] in "aeiou" else "a ") + words


def caption(scene):
    parts = [article(f"{SIZES[t.size]} {COLOUR_NAMES[t.colour]} {SHAPES[t.shape]} {AT[t.place]}")
             for t in scene.things]
    text = join(parts) + f", on a {GROUND_NAMES[scene.ground]} background."
    return text[0].upper() + text[1:]


ASK_CAPTION = [
    "Describe this picture.", "Describe the picture.", "Describe this image.",
    "Describe the image.", "Describe this picture in detail.", "What do you see?",
    "What is in this picture?", "What is in the image?", "What does this picture show?",
    "What can you see in this image?", "Caption this picture.", "Write a caption for this image.",
    "Please describe the picture.", "Tell me what you see.", "What's in the picture?"]


def plural(shape):
    return shape + ("es" if shape.endswith("s") else "s")


def referent(rng, scene, thing, hide=()):
    """Words that mean this object and no other of the scene, without saying what is in hide."""
    options = []
    for use in itertools.product([0, 1], repeat=3):
        size, colour, shape = use
        if "colour" in hide and colour or "shape" in hide and shape or "size" in hide and size:
            continue
        if not (colour or shape):
            continue
        same = [t for t in scene.things if (not size or t.size == thing.size)
                and (not colour or t.colour == thing.colour)
                and (not shape or t.shape == thing.shape)]
        if len(same) == 1:
            options.append(use)
    if "place" not in hide and (not options or rng.random() < 0.3):
        return "object " + rng.choice(AT_ASK[thing.place])
    if not options:
        return None
    size, colour, shape = rng.choice(options)
    words = [SIZES[thing.size]] if size else []
    words += [spell(rng, COLOUR_NAMES[thing.colour])] if colour else []
    words += [SHAPES[thing.shape]] if shape else [rng.choice(["object", "object", "thing", "shape"])]
    return " ".join(words)


def variants(place):
    v, _, h = place.rpartition(" ") if " " in place else (place, "", "")
    if place == "centre":
        return ["in the centre", "in the center", "in the middle"]
    if place in ("left", "right"):
        return [f"on the {place}", f"at the {place}", f"on the {place} side"]
    if place in ("top", "bottom"):
        return [f"at the {place}", f"on the {place} edge" if place == "top" else "at the bottom"]
    up = {"top": "upper", "bottom": "lower"}[v]
    return [f"at the {place}", f"in the {place}", f"in the {place} corner",
            f"in the {up} {h} corner", f"at the {up} {h}"]


AT_ASK = [[AT[p]] * 4 + variants(name) for p, name in enumerate(PLACES)]
AMERICAN = {"grey": "gray", "centre": "center", "colour": "color"}


def spell(rng, word):
    return AMERICAN[word] if word in AMERICAN and rng.random() < 0.3 else word


def q_count(rng, scene):
    """How many objects, or how many of a colour, shape or both."""
    kind = rng.randrange(4)
    c, s = rng.randrange(len(COLOURS)), rng.randrange(len(SHAPES))
    if rng.random() < 0.75:
        t = rng.choice(scene.things)
        c, s = t.colour, t.shape
    colour, shape = COLOUR_NAMES[c], plural(SHAPES[s])
    noun = ["objects", f"{colour} objects", shape, f"{colour} {shape}"][kind]
    hits = [t for t in scene.things if (kind in (0, 2) or t.colour == c)
            and (kind in (0, 1) or t.shape == s)]
    ask = rng.choice(["How many {} are there?", "How many {} are in the picture?",
                      "How many {} do you see?", "Count the {}."])
    return ask.format(noun), NUMBERS[len(hits)].capitalize() + "."


def q_colour(rng, scene):
    if rng.random() < 0.25:
        word = spell(rng, "colour")
        ask = rng.choice([f"What {word} is the background?", f"Which {word} is the background?",
                          f"What is the {word} of the background?"])
        return ask, GROUND_NAMES[scene.ground].capitalize() + "."
    t = rng.choice(scene.things)
    ref = referent(rng, scene, t, hide=("colour",))
    if ref is None:
        return None
    word = spell(rng, "colour")
    ask = rng.choice([f"What {word} is the {ref}?", f"Which {word} is the {ref}?",
                      f"What is the {word} of the {ref}?"])
    return ask, COLOUR_NAMES[t.colour].capitalize() + "."


def q_where(rng, scene):
    t = rng.choice(scene.things)
    ref = referent(rng, scene, t, hide=("place",))
    if ref is None:
        return None
    ask = rng.choice([f"Where is the {ref}?", f"Where is the {ref}?", f"Where do you see the {ref}?"])
    answer = AT[t.place]
    return ask, answer[0].upper() + answer[1:] + "."


def q_exists(rng, scene):
    """Is there a <size> <colour> <shape> <place>: some said, some not; near misses on purpose."""
    t = rng.choice(scene.things)
    shape, colour, size, place = t.shape, t.colour, t.size, t.place
    if rng.random() < 0.5:
        what = rng.randrange(4)
        shape = rng.randrange(len(SHAPES)) if what == 0 else shape
        colour = rng.randrange(len(COLOURS)) if what == 1 else colour
        place = rng.randrange(len(PLACES)) if what == 2 else place
        size = 1 - size if what == 3 else size
    say = [rng.random() < p for p in (0.3, 0.7, 0.7, 0.4)]  # size, colour, shape, place
    if not any(say[1:]):
        say[1] = True
    hit = any((not say[0] or u.size == size) and (not say[1] or u.colour == colour)
              and (not say[2] or u.shape == shape) and (not say[3] or u.place == place)
              for u in scene.things)
    words = ([SIZES[size]] if say[0] else []) + ([COLOUR_NAMES[colour]] if say[1] else [])
    words += [SHAPES[shape]] if say[2] else [rng.choice(["object", "thing"])]
    noun = article(" ".join(words)) + (" " + rng.choice(AT_ASK[place]) if say[3] else "")
    ask = rng.choice(["Is there {}?", "Is there {} in the picture?", "Do you see {}?",
                      "Can you see {}?"]).format(noun)
    return ask, "Yes." if hit else "No."


def q_shape(rng, scene):
    t = rng.choice(scene.things)
    ref = referent(rng, scene, t, hide=("shape",))
    if ref is None:
        return None
    ask = rng.choice([f"What shape is the {ref}?", f"What is the shape of the {ref}?"])
    return ask, article(SHAPES[t.shape]).capitalize() + "."


def q_size(rng, scene):
    t = rng.choice(scene.things)
    ref = referent(rng, scene, t, hide=("size",))
    if ref is None:
        return None
    ask = rng.choice([f"How big is the {ref}?", f"What size is the {ref}?",
                      f"Is the {ref} big or small?"])
    return ask, SIZES[t.size].capitalize() + "."


QUESTIONS = {"count": q_count, "colour": q_colour, "where": q_where, "exists": q_exists,
             "shape": q_shape, "size": q_size}


def question(rng, scene, kind=None):
    """(kind, question, answer)"""
    while True:
        k = kind or rng.choices(list(QUESTIONS), [5, 4, 4, 5, 2, 2])[0]
        got = QUESTIONS[k](rng, scene)
        if got:
            return k, *got
        kind = None


# ---------------------------------------------------------------- drawing: prompts

DRAW = ["Draw {}.", "Draw {}.", "Draw me {}.", "Please draw {}.", "Paint {}.", "Make a picture of {}.",
        "A picture of {}.", "A drawing of {}.", "An image of {}.", "Show me {}.", "Create an image of {}.",
        "I want a picture with {}.", "Can you draw {}?", "{}.", "{}"]


def draw_prompt(rng, scene):
    """(prompt, wish): words that the scene grants; size, place and background may stay unsaid.
    A held-out object always has its place said."""
    order = list(scene.things)
    rng.shuffle(order)
    say_size = rng.random() < 0.6
    wishes, parts = [], []
    kinds = {(t.shape, t.colour) for t in order}
    if len(order) > 1 and len(kinds) == 1 and rng.random() < 0.5 and not any(map(is_held, order)):
        t = order[0]
        same_size = len({u.size for u in order}) == 1 and say_size
        size = SIZES[t.size] + " " if same_size else ""
        parts = [f"{NUMBERS[len(order)]} {size}{COLOUR_NAMES[t.colour]} {plural(SHAPES[t.shape])}"]
        wishes = [(t.size if same_size else None, t.colour, t.shape, None)] * len(order)
    else:
        for t in order:
            size = say_size and rng.random() < 0.85
            place = rng.random() < 0.8 or is_held(t)
            text = (SIZES[t.size] if rng.random() < 0.7 else ["little", "large"][t.size]) + " " if size else ""
            text = article(text + COLOUR_NAMES[t.colour] + " " + SHAPES[t.shape])
            parts.append(text + (" " + rng.choice(AT_ASK[t.place]) if place else ""))
            wishes.append((t.size if size else None, t.colour, t.shape, t.place if place else None))
    body, ground = join(parts), None
    if rng.random() < 0.6:
        ground = scene.ground
        body += rng.choice([" on a {} background", ", on a {} background", " on {}",
                            " with a {} background"]).format(spell(rng, GROUND_NAMES[ground]))
    frame = rng.choice(DRAW)
    text = frame.format(body)
    text = text[0].upper() + text[1:]
    if rng.random() < 0.25:
        text = text[0].lower() + text[1:]
    if rng.random() < 0.2:
        text = text.rstrip(".")
    return text, Wish(ground, tuple(wishes))


def satisfies(scene, wish):
    """True when the scene has exactly the wished objects, in any assignment, and the ground."""
    if wish.ground is not None and scene.ground != wish.ground:
        return False
    if len(scene.things) != len(wish.things):
        return False
    return any(all(t.shape == shape and t.colour == colour and (size is None or t.size == size)
                   and (place is None or t.place == place)
                   for t, (size, colour, shape, place) in zip(order, wish.things))
               for order in itertools.permutations(scene.things))


def scene_from_codes(codes):
    """The scene that 16 codes mean, or None when their backgrounds differ or a code is unused."""
    grounds = {c // N_LOOKS for c in codes}
    if len(grounds) != 1 or max(codes) >= N_CODES:
        return None
    things = []
    for cell, code in enumerate(codes):
        look = code % N_LOOKS - 1
        if look >= 0:
            things.append(Thing(cell, look // 2 // len(COLOURS), look // 2 % len(COLOURS), look % 2))
    return Scene(grounds.pop(), tuple(things))


if __name__ == "__main__":
    from PIL import Image
    rng = random.Random(0)
    for i in range(8):
        scene = random_scene(rng, held=i % 2 == 1)
        print(caption(scene))
        for _ in range(4):
            print("   ", question(rng, scene))
        print("   ", draw_prompt(rng, scene))
    scenes = [random_scene(rng) for _ in range(48)]
    sheet = render([codes_of(s) for s in scenes], looks())
    sheet = sheet.reshape(6, 8, 64, 64, 3).transpose(0, 2, 1, 3, 4).reshape(6 * 64, 8 * 64, 3)
    Image.fromarray(sheet).save("/tmp/world.png")
    print(len(HELD), "held-out triples of", len(SHAPES) * len(COLOURS) * len(PLACES))
