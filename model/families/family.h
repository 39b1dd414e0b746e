/*
 * family.h: what a family of models tells the rest: a table of its configuration, tables of its
 * tensors, and the passes that a run is made of.
 *
 * A family is one file. From its tables come the conversion from both naming schemes of published
 * checkpoints
 * ("library": the transformers classes; "official": the authors' own code), the checks when a file
 * is opened, the pointers of the forward pass and the memory plan; nothing else in tessera knows a
 * tensor's name. The passes are called with rows and a cache and know nothing of sampling, prompts
 * or threads.
 */
#ifndef TSR_FAMILY_H
#define TSR_FAMILY_H

#include "blocks/blocks.h"
#include "model.h"
#include "text/text.h"

/* ---- configuration --------------------------------------------------------------------------- */

enum tsr_field_kind {
    TSR_FIELD_U32,  /* uint32_t */
    TSR_FIELD_F32,  /* float */
    TSR_FIELD_LIST, /* struct tsr_list */
    TSR_FIELD_MUST  /* no member; where it is, it must read as `must`, or it is unsupported */
};

enum { TSR_LIST_MAX = 8 };

struct tsr_list {
    uint32_t count, items[TSR_LIST_MAX];
};

/*
 * A member of a family's config. A source is a list of alternatives divided by '|': a path in
 * config.json ("text_config.hidden_size"), or what a tensor of the checkpoint shows: "name@1" its
 * axis 1, "name.#.x@" how many there are for # = 0, 1, ..., and for a list "name.#.x@1" the axis 1
 * of each. Values outside [low, high] are refused. Absent from config.json: `fallback`; where that
 * is 0, check() derives the value, and null in config.json says the same.
 */
struct tsr_field {
    enum tsr_field_kind kind;
    size_t offset;
    const char *key; /* in GGUF, after "<family>." */
    const char *library, *official;
    double low, high, fallback;
    const char *must;
};

/* ---- tensors --------------------------------------------------------------------------------- */

enum tsr_row_kind {
    TSR_ROW_LINEAR,          /* struct tsr_linear: a matrix [n, k], any format */
    TSR_ROW_LINEAR_OPTIONAL, /* the same, may be absent */
    TSR_ROW_LINEAR_BIAS,     /* with its bias */
    TSR_ROW_PATCH, /* the same from a convolution [n, c, p, p] whose stride is its size: k = (y*p +
                      x)*c + ch */
    TSR_ROW_CONV, /* struct tsr_conv from [cout, cin, s, s], with bias: k = (y*s + x)*cin_p + c; not
                     T4 */
    TSR_ROW_SCALE,       /* struct tsr_scale: the weight of a norm, f32 */
    TSR_ROW_SCALE_BIAS,  /* with its bias */
    TSR_ROW_TABLE,       /* struct tsr_tile: rows to be looked up, any format */
    TSR_ROW_SMALL_TABLE, /* the same, F32 or F16 */
    TSR_ROW_CODEBOOK,    /* the same, F32 */
    TSR_ROW_PLAIN        /* const float *: [n, k] row-major */
};

/*
 * A tensor, or weight and bias of a layer (".weight" and ".bias" are added; a name that starts with
 * '=' stands as it is). `shape` are letters of walk->dim, as in the checkpoint; axes of 1 do not
 * count. `official` NULL: as `library`; ending in "[i]": the i-th of three equal blocks of rows.
 */
struct tsr_row {
    const char *name, *library, *official;
    const char *shape;
    uint8_t kind;  /* enum tsr_row_kind */
    size_t offset; /* in the group's struct */
};

/*
 * Rows of one part of the model under common names: path[0] are the pieces of the prefix in GGUF,
 * path[1] in the library's names, path[2] in the official ones. A '#' stands for an index.
 */
struct tsr_group {
    const char *path[3][3];
    enum tsr_part part;
    const struct tsr_row *rows;
    size_t count;
};

enum { TSR_NAME_MAX = 160 };

/* One tensor, names and shape filled in: what a walk visits. */
struct tsr_slot {
    char name[TSR_NAME_MAX], library[TSR_NAME_MAX], official[TSR_NAME_MAX];
    int third;     /* of the official tensor; -1: all of it */
    unsigned dims; /* of the checkpoint's tensor, axes of 1 dropped */
    size_t shape[4];
    size_t n, k;           /* of the matrix or table; a vector is [1, k] */
    size_t conv_size, cin; /* of TSR_ROW_CONV and TSR_ROW_PATCH */
    uint8_t kind;          /* enum tsr_row_kind */
    enum tsr_part part;
    int bias;     /* the bias of the layer, not its weight */
    void *target; /* a pointer's or a tile's place, see tsr_slot_bind */
};

/* Visits every tensor of a model in file order; stops at the first error. */
struct tsr_walk {
    tsr_status (*visit)(void *data, const struct tsr_slot *slot, struct tsr_error *error);
    void *data;
    struct tsr_error *error;
    tsr_status status;
    size_t dim[128]; /* by letter */
};

/* Visits the rows of a group whose struct is at `base`, with indices i and j for the '#' in order.
 */
void tsr_walk_group(struct tsr_walk *walk, const struct tsr_group *group, void *base, size_t i,
                    size_t j);

/* ---- words ----------------------------------------------------------------------------------- */

/* Token ids with a meaning; all are below the vocabulary's size. */
struct tsr_ids {
    int32_t begin, end, pad; /* of a sentence; the pad fills the row without guidance */
    int32_t picture, picture_begin,
        picture_end; /* placeholder of a position of a picture; what stands around it */
};

/* ---- passes ---------------------------------------------------------------------------------- */

/* Sizes that a run needs. */
struct tsr_traits {
    unsigned can; /* enum tsr_want_bits */
    size_t vocabulary, width, context_max;
    size_t cache_layers, cache_heads, cache_d;
    size_t see_tokens, see_side,
        see_patch; /* a picture in the prompt: positions, pixels, pixels a patch */
    size_t codebook, codes, picture_side; /* a drawn picture: kinds of codes, codes, pixels */
    int exact;                            /* the weights are f32: so is the cache by default */
};

/* An opened model, as the passes see it. */
struct tsr_net {
    const struct tsr_family *family;
    const void *config;
    const void *weights;
    struct tsr_traits traits;
    float *inv_freq; /* [cache_d / 2] */
};

/*
 * ids and codes are in range. Every pass may take scratch memory; none keeps any. x and y are f32
 * row-major. Passes that a model lacks (traits.can) are NULL.
 */
struct tsr_family {
    const char *name;         /* general.architecture */
    const char *library_type; /* "model_type" in config.json */
    const char *official_type;
    const struct tsr_field *fields;
    size_t field_count, config_bytes, weights_bytes;

    tsr_status (*check)(
        void *config, struct tsr_error *error); /* derives, and checks fields against each other */
    void (*walk)(struct tsr_walk *walk, const void *config, void *weights);
    void (*bind)(const void *config, void *weights); /* after all tensors are there */
    void (*traits)(const struct tsr_net *net, struct tsr_traits *traits);
    double (*rope_theta)(const void *config);
    /* From a checkpoint's tokenizer: which tokens mean what, and the format of prompts. */
    tsr_status (*words)(tsr_tokenizer *tokenizer, struct tsr_ids *ids, struct tsr_template *format,
                        struct tsr_error *error);
    /* The format of a part when matrices are given `format` and nothing else was asked for. */
    uint32_t (*part_format)(enum tsr_part part, uint32_t format);

    /* y [count, width]: embeddings of tokens; of picture codes; of a picture's patches [see_tokens,
     * 3*p*p]. */
    void (*embed)(struct tsr_exec *e, const struct tsr_net *net, const int32_t *ids, size_t count,
                  float *y);
    void (*embed_codes)(struct tsr_exec *e, const struct tsr_net *net, const int32_t *codes,
                        size_t count, float *y);
    void (*see)(struct tsr_exec *e, const struct tsr_net *net, const float *patches, float *y);
    /* x [count * rows, width] through all layers, in place. */
    void (*trunk)(struct tsr_exec *e, const struct tsr_net *net, struct tsr_batch *batch, float *x);
    /* y [m, width]: the final norm of m rows, ldx apart. */
    void (*norm)(struct tsr_exec *e, const struct tsr_net *net, const float *x, size_t ldx,
                 size_t m, float *y);
    /* logits of normed rows: y [m, vocabulary]; y [m, codebook]. */
    void (*text_head)(struct tsr_exec *e, const struct tsr_net *net, const float *h, size_t m,
                      float *y);
    void (*picture_head)(struct tsr_exec *e, const struct tsr_net *net, const float *h, size_t m,
                         float *y);
    /* codes [codes] to pixels [side, side, 3] in -1..1, not clipped; and back. */
    void (*decode)(struct tsr_exec *e, const struct tsr_net *net, const int32_t *codes,
                   float *pixels);
    void (*encode)(struct tsr_exec *e, const struct tsr_net *net, const float *pixels,
                   int32_t *codes);
};

/* The list of families. */
extern const struct tsr_family tsr_family_janus;
extern const struct tsr_family *const tsr_families[];
extern const size_t tsr_family_count;

#endif
