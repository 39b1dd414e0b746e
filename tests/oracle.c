/* oracle.c: template matching in the mini model's world; see oracle.h.
 *
 * A pixel of an object lies on the line from the background's colour to the object's, at the share
 * of the pixel that the shape covers. So a cell is compared, in the sense of least squares, with
 * every (shape, size, colour) on the found background: 96 templates and the empty cell. Coverage is
 * computed here from the shapes' definitions, with 6 x 6 samples a pixel.
 *
 * The best template must also be good: what it leaves unexplained must be under a quarter of its
 * own energy (the squared distance of template and bare background). Two small shapes of one colour
 * differ by about that much, so a drawing between two objects is refused and not rounded to either.
 * An empty cell must lie within the same bound of the weakest template. A decoder's faint noise and
 * JPEG-like ripples stay far below. */
#include "oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    CELL = TSR_ORACLE_SIDE / TSR_ORACLE_GRID,
    AREA = CELL * CELL,
    OVER = 6,
    GROUNDS = 4,
    SIZES = 2,
    COLOURS = 8,
    SHAPES = 6,
    PLACES = 9
};

enum { CIRCLE, SQUARE, TRIANGLE, DIAMOND, CROSS, RING };

static const char *const ground_words[] = {"white", "grey", "brown", "black", NULL};
static const char *const size_words[] = {"small", "big", NULL};
static const char *const colour_words[] = {"red",  "orange", "yellow", "green", "cyan",
                                           "blue", "purple", "pink",   NULL};
static const char *const shape_words[] = {"circle", "square", "triangle", "diamond",
                                          "cross",  "ring",   NULL};
static const char *const place_words[] = {"top left",     "top",   "top right",   "left",
                                          "centre",       "right", "bottom left", "bottom",
                                          "bottom right", NULL};

static const float ground_rgb[GROUNDS][3] = {
    {250, 250, 250}, {150, 150, 150}, {92, 62, 40}, {12, 12, 12}};
static const float colour_rgb[COLOURS][3] = {{222, 40, 36},  {255, 140, 0},  {255, 224, 0},
                                             {30, 160, 60},  {0, 200, 220},  {30, 80, 225},
                                             {130, 40, 170}, {255, 130, 195}};
static const float radii[SIZES] = {4.0f, 7.0f};

const char *tsr_oracle_word(enum tsr_oracle_property property, int index)
{
    static const struct {
        const char *const *words;
        int count;
    } lists[] = {{ground_words, GROUNDS},
                 {size_words, SIZES},
                 {colour_words, COLOURS},
                 {shape_words, SHAPES},
                 {place_words, PLACES}};
    return index >= 0 && index < lists[property].count ? lists[property].words[index] : NULL;
}

/* Is (x, y), in pixels from the centre, y downwards, inside the shape of this radius? */
static bool inside(int shape, float r, float x, float y)
{
    float ax = fabsf(x), ay = fabsf(y), d2 = x * x + y * y;
    switch (shape) {
    case CIRCLE:
        return d2 <= r * r;
    case SQUARE:
        return ax <= 0.86f * r && ay <= 0.86f * r;
    case TRIANGLE:
        return y <= 0.85f * r && ax <= 0.58f * (y + 0.95f * r);
    case DIAMOND:
        return ax + ay <= r;
    case CROSS:
        return (ax <= 0.3f * r && ay <= r) || (ay <= 0.3f * r && ax <= r);
    default:
        return d2 <= r * r && d2 >= 0.56f * 0.56f * r * r;
    }
}

/* out [16, 16]: the share of each pixel that the shape covers. */
static void cover(int shape, float radius, float *out)
{
    for (int i = 0; i < AREA; i++) {
        int hits = 0;
        for (int s = 0; s < OVER * OVER; s++) {
            float x = (float)(i % CELL) + ((float)(s % OVER) + 0.5f) / OVER - CELL / 2.0f;
            float y = (float)(i / CELL) + ((float)(s / OVER) + 0.5f) / OVER - CELL / 2.0f;
            hits += inside(shape, radius, x, y);
        }
        out[i] = (float)hits / (OVER * OVER);
    }
}

static float distance2(const uint8_t *p, const float *q)
{
    float d0 = p[0] - q[0], d1 = p[1] - q[1], d2 = p[2] - q[2];
    return d0 * d0 + d1 * d1 + d2 * d2;
}

/* The background whose colour, within 40 levels, at least half of the pixels have; or -1. */
static int find_ground(const uint8_t *rgb)
{
    for (int g = 0; g < GROUNDS; g++) {
        int near = 0;
        for (int i = 0; i < TSR_ORACLE_SIDE * TSR_ORACLE_SIDE; i++)
            near += distance2(rgb + 3 * i, ground_rgb[g]) < 40.0f * 40.0f;
        if (2 * near >= TSR_ORACLE_SIDE * TSR_ORACLE_SIDE)
            return g;
    }
    return -1;
}

/* Compares the cell at rgb (rows of the whole picture) with every template.
 * 1: *thing is what it holds; 0: nothing; -1: unclear. */
static int read_cell(const uint8_t *rgb, const float *ground, float (*shares)[AREA],
                     struct tsr_oracle_thing *thing)
{
    float bare = 0, weakest = INFINITY, best = INFINITY, energy = 0;
    for (int i = 0; i < AREA; i++)
        bare += distance2(rgb + 3 * (i / CELL * TSR_ORACLE_SIDE + i % CELL), ground);
    for (int t = 0; t < SHAPES * SIZES * COLOURS; t++) {
        int c = t % COLOURS, form = t / COLOURS; /* form = shape * SIZES + size */
        float error = 0, own = 0;
        for (int i = 0; i < AREA; i++) {
            float want[3], a = shares[form][i], span = 0;
            for (int j = 0; j < 3; j++) {
                float step = colour_rgb[c][j] - ground[j];
                want[j] = ground[j] + a * step;
                span += step * step;
            }
            error += distance2(rgb + 3 * (i / CELL * TSR_ORACLE_SIDE + i % CELL), want);
            own += a * a * span;
        }
        weakest = own < weakest ? own : weakest;
        if (error < best) {
            best = error;
            energy = own;
            thing->shape = form / SIZES;
            thing->size = form % SIZES;
            thing->colour = c;
        }
    }
    if (bare < best)
        return bare < 0.25f * weakest ? 0 : -1;
    return best < 0.25f * energy ? 1 : -1;
}

enum tsr_oracle_status tsr_oracle_read(const uint8_t *rgb, int width, int height,
                                       struct tsr_oracle_scene *scene)
{
    static const int third[TSR_ORACLE_GRID] = {0, 1, 1, 2};
    float shares[SHAPES * SIZES][AREA];
    memset(scene, 0, sizeof *scene);
    if (width != TSR_ORACLE_SIDE || height != TSR_ORACLE_SIDE)
        return TSR_ORACLE_NOT_64X64;
    scene->ground = find_ground(rgb);
    if (scene->ground < 0)
        return TSR_ORACLE_NO_GROUND;
    for (int form = 0; form < SHAPES * SIZES; form++)
        cover(form / SIZES, radii[form % SIZES], shares[form]);
    for (int cell = 0; cell < TSR_ORACLE_CELLS; cell++) {
        int row = cell / TSR_ORACLE_GRID, column = cell % TSR_ORACLE_GRID;
        struct tsr_oracle_thing thing = {.cell = cell, .place = 3 * third[row] + third[column]};
        int found = read_cell(rgb + 3 * CELL * (row * TSR_ORACLE_SIDE + column),
                              ground_rgb[scene->ground], shares, &thing);
        if (found < 0)
            return TSR_ORACLE_UNCLEAR;
        if (found)
            scene->things[scene->count++] = thing;
    }
    return TSR_ORACLE_OK;
}

/* The index of text [length] in a property's words, ANY for "-", -2 if it is none of them. */
static int index_of(enum tsr_oracle_property property, const char *text, size_t length)
{
    if (length == 1 && *text == '-')
        return TSR_ORACLE_ANY;
    for (int i = 0; tsr_oracle_word(property, i); i++) {
        const char *word = tsr_oracle_word(property, i);
        if (strlen(word) == length && !memcmp(word, text, length))
            return i;
    }
    return -2;
}

bool tsr_oracle_parse(const char *text, struct tsr_oracle_scene *wish)
{
    memset(wish, 0, sizeof *wish);
    size_t length = strcspn(text, ";");
    wish->ground = index_of(TSR_ORACLE_GROUND, text, length);
    if (wish->ground == -2)
        return false;
    for (text += length; *text == ';'; wish->count++) {
        if (wish->count == TSR_ORACLE_CELLS)
            return false;
        struct tsr_oracle_thing *t = &wish->things[wish->count];
        int *fields[] = {&t->size, &t->colour, &t->shape, &t->place};
        for (int f = 0; f < 4; f++) {
            if (*text != (f ? ',' : ';'))
                return false;
            text++;
            length = strcspn(text, f < 3 ? "," : ";");
            *fields[f] = index_of((enum tsr_oracle_property)(TSR_ORACLE_SIZE + f), text, length);
            if (*fields[f] == -2)
                return false;
            text += length;
        }
    }
    return *text == '\0';
}

static bool fits(const struct tsr_oracle_thing *thing, const struct tsr_oracle_thing *wish)
{
    return (wish->size == TSR_ORACLE_ANY || wish->size == thing->size) &&
           (wish->colour == TSR_ORACLE_ANY || wish->colour == thing->colour) &&
           (wish->shape == TSR_ORACLE_ANY || wish->shape == thing->shape) &&
           (wish->place == TSR_ORACLE_ANY || wish->place == thing->place);
}

/* Can the wishes from `from` on each get a thing of their own? `taken` marks those given away. */
static bool assign(const struct tsr_oracle_scene *scene, const struct tsr_oracle_scene *wish,
                   int from, unsigned taken)
{
    if (from == wish->count)
        return true;
    for (int i = 0; i < scene->count; i++)
        if (!(taken >> i & 1) && fits(&scene->things[i], &wish->things[from]) &&
            assign(scene, wish, from + 1, taken | 1u << i))
            return true;
    return false;
}

bool tsr_oracle_grants(const struct tsr_oracle_scene *scene, const struct tsr_oracle_scene *wish)
{
    return (wish->ground == TSR_ORACLE_ANY || wish->ground == scene->ground) &&
           wish->count == scene->count && assign(scene, wish, 0, 0);
}
