/* oracle.h: what is in a picture of the mini model's world, found without any model.
 *
 * The mini model (model/mini/) draws pictures of 64 x 64 pixels: a 4 x 4 grid of cells of 16 pixels
 * on one background, with one to three objects, each centred in a cell. The oracle recovers the
 * background and the objects from the pixels alone, and says whether they are what a prompt asked.
 * It shares no code and no tables with the generator (model/mini/world.py): both follow the text
 * of model/mini/README.md.
 *
 * A wish is what a prompt asks for; words that it left open are TSR_ORACLE_ANY. In text, in
 * model/mini/eval/set.tsv:
 *     ground;size,colour,shape,place;...        for example   grey;big,red,circle,top
 * left;-,blue,ring,- with "-" for what is left open. */
#ifndef TSR_TESTS_ORACLE_H
#define TSR_TESTS_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    TSR_ORACLE_SIDE = 64,  /* pixels of a picture's side */
    TSR_ORACLE_GRID = 4,   /* cells of a picture's side */
    TSR_ORACLE_CELLS = 16, /* cells of a picture */
    TSR_ORACLE_ANY = -1    /* left open in a wish */
};

/* Indices into the words of tsr_oracle_word. */
struct tsr_oracle_thing {
    int cell; /* 0..15 in reading order; unused in a wish */
    int size, colour, shape, place;
};

struct tsr_oracle_scene {
    int ground;
    int count; /* of things, ascending by cell */
    struct tsr_oracle_thing things[TSR_ORACLE_CELLS];
};

enum tsr_oracle_status {
    TSR_ORACLE_OK,
    TSR_ORACLE_NOT_64X64, /* the size is not that of the world */
    TSR_ORACLE_NO_GROUND, /* no background colour covers half of the picture */
    TSR_ORACLE_UNCLEAR    /* a cell holds neither nothing nor one of the objects */
};

/* Reads rgb [height, width, 3] into *scene. Source: model/mini/README.md, "The world". */
enum tsr_oracle_status tsr_oracle_read(const uint8_t *rgb, int width, int height,
                                       struct tsr_oracle_scene *scene);

/* Parses the text form of a wish; a scene is a wish with nothing left open. False if malformed. */
bool tsr_oracle_parse(const char *text, struct tsr_oracle_scene *wish);

/* True if the scene has exactly the wished objects, in any assignment, and the wished ground. */
bool tsr_oracle_grants(const struct tsr_oracle_scene *scene, const struct tsr_oracle_scene *wish);

/* The word of a property; NULL past the last. */
enum tsr_oracle_property {
    TSR_ORACLE_GROUND,
    TSR_ORACLE_SIZE,
    TSR_ORACLE_COLOUR,
    TSR_ORACLE_SHAPE,
    TSR_ORACLE_PLACE
};
const char *tsr_oracle_word(enum tsr_oracle_property property, int index);

#endif
