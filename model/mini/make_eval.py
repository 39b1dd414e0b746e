"""Write eval/: the held-out set as two files that a C program reads without Python.

    eval/pictures.png   300 pictures of 64 x 64 on one sheet, 20 a row, in reading order
    eval/set.tsv        four columns: kind, picture, text, expected
        scene       what is in the picture, in the oracle's words (tests/oracle.h)
        caption     a request to describe it, and the caption
        ask.<kind>  a question, and its answer
        draw        a prompt to draw (the picture is only where it came from), and the wish that
                    the oracle must find granted

Every picture and every drawing prompt holds at least one (shape, colour, place) triple that never
occurs in training. Answers are exact: the same bytes, without surrounding spaces.
"""
import os
import random

import numpy as np
from PIL import Image

import world

COUNT, ROW = 300, 20
HERE = os.path.dirname(os.path.abspath(__file__))


def spec(ground, things):
    """The oracle's text form; things are (size, colour, shape, place) with None for unsaid."""
    lists = (world.SIZES, world.COLOUR_NAMES, world.SHAPES, world.PLACES)
    say = lambda names, i: "-" if i is None else names[i]
    return ";".join([say(world.GROUND_NAMES, ground)]
                    + [",".join(say(n, i) for n, i in zip(lists, t)) for t in things])


def main():
    rng = random.Random(20260101)
    scenes, lines = [], []
    while len(scenes) < COUNT:
        scene = world.random_scene(rng, held=True)
        if scene in scenes:
            continue
        i = len(scenes)
        scenes.append(scene)
        things = [(t.size, t.colour, t.shape, t.place) for t in scene.things]
        lines.append(("scene", i, "", spec(scene.ground, things)))
        lines.append(("caption", i, rng.choice(world.ASK_CAPTION), world.caption(scene)))
        asked = set()
        while len(asked) < 3:
            kind, ask, answer = world.question(rng, scene)
            if ask not in asked:
                asked.add(ask)
                lines.append((f"ask.{kind}", i, ask, answer))
        prompt, wish = world.draw_prompt(rng, scene)
        lines.append(("draw", i, prompt, spec(wish.ground, wish.things)))
    os.makedirs(os.path.join(HERE, "eval"), exist_ok=True)
    with open(os.path.join(HERE, "eval", "set.tsv"), "w") as out:
        out.write("".join("\t".join(map(str, line)) + "\n" for line in lines))
    sheet = world.render([world.codes_of(s) for s in scenes], world.looks())
    sheet = sheet.reshape(COUNT // ROW, ROW, 64, 64, 3).transpose(0, 2, 1, 3, 4)
    sheet = sheet.reshape(COUNT // ROW * 64, ROW * 64, 3)
    assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 256  # so the PNG is plain RGB
    Image.fromarray(sheet).save(os.path.join(HERE, "eval", "pictures.png"), optimize=True)


if __name__ == "__main__":
    main()
