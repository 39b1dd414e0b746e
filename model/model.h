/*
 * model.h: unified multimodal models: text and pictures in, one stream of text and pictures out.
 *
 * Three opaque things and one stream. A tsr_model is immutable, mapped, and shared by any number of threads.
 * A tsr_context is one conversation: its cache, its settings, its seed. A prompt is appended in order; what
 * comes back is a stream of events, so that reading, drawing and chatting are the same loop:
 *
 *     tsr_model_open(&model, path, NULL, &error);  tsr_context_new(&context, model, pool, &settings, &error);
 *     tsr_prompt_user(context, "What is in the picture?", &picture, 1, &error);
 *     tsr_want(context, TSR_TEXT, &error);
 *     while ((status = tsr_next(context, &event, &error)) == TSR_OK)
 *         if (event.kind == TSR_EVENT_TEXT) fwrite(event.text, 1, event.bytes, stdout);
 *
 * The library never prints, exits, installs a handler or reads the environment. After fork a child may open a
 * new context on the inherited model; using an old context is an error.
 */
#ifndef TSR_MODEL_H
#define TSR_MODEL_H

#include "par.h"
#include "quant.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- model ------------------------------------------------------------------------------------------ */

typedef struct tsr_model tsr_model;

/*
 * Opens a GGUF file made by tsr_convert; options as for tsr_gguf_open, may be NULL. The caller closes it. Contexts that are open then go
 * on: each holds the model, and the last of them to be freed unmaps it.
 */
TSR_API tsr_status tsr_model_open(tsr_model **model, const char *path, const struct tsr_load_options *options,
                                  struct tsr_error *error);
TSR_API void tsr_model_close(tsr_model *model); /* NULL allowed */
TSR_API const tsr_gguf *tsr_model_file(const tsr_model *model);

/* What a model can do and how large things are. */
struct tsr_model_info {
    const char *family;    /* "janus" */
    const char *name;      /* from the checkpoint, may be "" */
    unsigned can;          /* bits of enum tsr_want_bits it can produce; TSR_SEE if it reads pictures */
    size_t vocabulary, context_max;
    size_t picture_width, picture_height; /* of drawn pictures */
    size_t picture_codes;                 /* codes of a drawn picture */
    size_t see_tokens;                    /* positions that a picture in the prompt takes */
    float guidance_default;
};
TSR_API void tsr_model_describe(const tsr_model *model, struct tsr_model_info *info);

/* ---- settings and memory plan ------------------------------------------------------------------------- */

enum tsr_want_bits { TSR_TEXT = 1, TSR_PICTURE = 2, TSR_SEE = 4 };

struct tsr_settings {
    size_t context;          /* positions, 0: what the family thinks right, at most the model's maximum */
    uint64_t seed;
    float temperature;       /* 0: greedy. Negative: the default of the mode (text 0, pictures 1) */
    size_t top_k;            /* 0: all */
    float top_p;             /* 1: all */
    float guidance;          /* pictures; negative: the model's default (Janus: 5) */
    size_t tokens_max;       /* of one text reply, 0: the model's default (512) */
    unsigned count;          /* pictures drawn at once, 0 = 1; picture i uses seed + i */
    uint32_t cache_format;   /* TSR_F16, TSR_T8 or TSR_F32; ~0u: F32 for models with f32 weights, else F16 */
    uint32_t map_format;     /* of a picture's maps while it is decoded: TSR_F32, or TSR_F16, which takes half the room */
    uint32_t tiers;          /* bits of enum tsr_tier, 0: all that can run and are not slow */
    struct tsr_profile *profile; /* NULL, or the caller's: the time and work of each operator are added to it */
    unsigned wants;          /* enum tsr_want_bits this context will ask for (sizes buffers), 0: all the model can */
};

/* What running a job takes, in bytes, computed before anything is loaded. */
struct tsr_plan {
    size_t weights;     /* of the tensors that this job touches */
    size_t cache;       /* keys and values */
    size_t buffers;     /* activations, picture decode */
    size_t total;
    size_t token, code; /* of the weights, what one more text token and one more picture code must read */
};
TSR_API tsr_status tsr_plan_make(struct tsr_plan *plan, const tsr_model *model, const struct tsr_settings *settings,
                                 struct tsr_error *error);

/* ---- pictures -------------------------------------------------------------------------------------------- */

/* 8-bit RGB, rows from the top, no padding. */
struct tsr_picture {
    size_t width, height;
    uint8_t *rgb; /* [height, width, 3] */
};

/* Reads a PNG or JPEG (by content) of at most 16 Mpx as RGB, converted as PIL's convert("RGB") does (alpha dropped). */
TSR_API tsr_status tsr_picture_read(struct tsr_picture *picture, const char *path, struct tsr_error *error);
TSR_API tsr_status tsr_picture_decode(struct tsr_picture *picture, const void *file, size_t bytes,
                                      struct tsr_error *error);
/* Writes a PNG atomically; texts: key, value, key, value, ..., NULL, stored as text chunks (may be NULL). */
TSR_API tsr_status tsr_picture_write(const struct tsr_picture *picture, const char *path,
                                     const char *const *texts, struct tsr_error *error);
TSR_API void tsr_picture_free(struct tsr_picture *picture); /* frees rgb; NULL allowed */

/* PIL's Image.resize, bit for bit. */
enum tsr_filter { TSR_BICUBIC, TSR_LANCZOS };
TSR_API tsr_status tsr_picture_resize(struct tsr_picture *out, const struct tsr_picture *in, size_t width,
                                      size_t height, enum tsr_filter filter, struct tsr_error *error);

/* ---- context ------------------------------------------------------------------------------------------------ */

typedef struct tsr_context tsr_context;

/* Makes a context; all memory is taken here. pool may be NULL (one thread). settings NULL: defaults. */
TSR_API tsr_status tsr_context_new(tsr_context **context, const tsr_model *model, tsr_pool *pool,
                                   const struct tsr_settings *settings, struct tsr_error *error);
TSR_API void tsr_context_free(tsr_context *context); /* NULL allowed */
/* Forgets the conversation; keeps memory and settings. */
TSR_API void tsr_context_reset(tsr_context *context);

/* The high-level way: a user's turn, put into the model's template, pictures first. system: NULL for default. */
TSR_API tsr_status tsr_prompt_system(tsr_context *context, const char *text, struct tsr_error *error);
TSR_API tsr_status tsr_prompt_user(tsr_context *context, const char *text, const struct tsr_picture *pictures,
                                   size_t picture_count, struct tsr_error *error);
/* The low-level way: token ids as they are; ids equal to the picture placeholder take the pictures' embeddings. */
TSR_API tsr_status tsr_prompt_ids(tsr_context *context, const int32_t *ids, size_t count,
                                  const struct tsr_picture *pictures, size_t picture_count, struct tsr_error *error);

/*
 * Says what shall come next: TSR_TEXT or TSR_PICTURE. Ends the user's turn. Text continues the conversation. A drawing is
 * a sequence of its own, made of the last turn alone (or of the ids); the conversation goes on afterwards as if that
 * turn and those before it that had no reply had not been.
 */
TSR_API tsr_status tsr_want(tsr_context *context, unsigned want, struct tsr_error *error);

enum tsr_event_kind {
    TSR_EVENT_PROMPT,       /* step of steps positions of the prompt are read */
    TSR_EVENT_TEXT,         /* bytes of text: whole UTF-8 characters */
    TSR_EVENT_PICTURE_STEP, /* step of steps codes are drawn */
    TSR_EVENT_PICTURE,      /* a finished picture, number `index` */
    TSR_EVENT_END           /* text: "stop" or "length"; then tsr_next returns TSR_END */
};

struct tsr_event {
    enum tsr_event_kind kind;
    const char *text; /* valid until the next call */
    size_t bytes;
    int32_t token;    /* of TSR_EVENT_TEXT: the last token */
    size_t step, steps, index;
    struct tsr_picture picture; /* owned by the context, valid until the next call */
    const int32_t *codes;       /* of TSR_EVENT_PICTURE: the codes it was made of, row-major; likewise */
    size_t code_count;
};

/* The next event. TSR_OK with an event; TSR_END after the last; else an error, after which only reset helps. */
TSR_API tsr_status tsr_next(tsr_context *context, struct tsr_event *event, struct tsr_error *error);

/* Decodes the codes drawn so far (the rest grey) of picture `index`: for previews. The context owns it. */
TSR_API tsr_status tsr_preview(tsr_context *context, size_t index, struct tsr_picture *picture,
                               struct tsr_error *error);

/* From any thread or a signal handler: the running or next tsr_next ends with TSR_INTERRUPTED. */
TSR_API void tsr_cancel(tsr_context *context);

/* ---- text ---------------------------------------------------------------------------------------------------- */

/* Token ids of a text (BOS as the tokenizer's template says if add_special); the caller frees *ids. */
TSR_API tsr_status tsr_tokenize(const tsr_model *model, const char *text, size_t bytes, int add_special,
                                int32_t **ids, size_t *count, struct tsr_error *error);
/* Text of ids, special tokens skipped if asked; the caller frees *text (zero-terminated). */
TSR_API tsr_status tsr_detokenize(const tsr_model *model, const int32_t *ids, size_t count, int skip_special,
                                  char **text, size_t *bytes, struct tsr_error *error);

/* ---- probe: for checking a conversion against its reference -------------------------------------------------- */

struct tsr_probe {
    /* in */
    const int32_t *ids;
    size_t count;
    const struct tsr_picture *pictures;
    size_t picture_count;
    /* out: caller's arrays, each may be NULL */
    float *logits;      /* [count, vocabulary] of the text head */
    float *hidden;      /* [count, width] after the final norm */
    float *embeddings;  /* [picture_count, see_tokens, width] picture embeddings */
    float *picture_logits; /* [count, codebook] of the picture head */
};
TSR_API size_t tsr_model_width(const tsr_model *model);
TSR_API size_t tsr_model_codebook(const tsr_model *model);
TSR_API tsr_status tsr_probe_run(tsr_context *context, const struct tsr_probe *probe, struct tsr_error *error);
/* Codes of a picture (encoder) and pixels of codes (decoder; floats before clipping in *pixels, may be NULL). */
TSR_API tsr_status tsr_probe_encode(tsr_context *context, const struct tsr_picture *picture, int32_t *codes,
                                    struct tsr_error *error);
TSR_API tsr_status tsr_probe_decode(tsr_context *context, const int32_t *codes, struct tsr_picture *picture,
                                    float *pixels, struct tsr_error *error);

/* ---- convert --------------------------------------------------------------------------------------------------- */

/* Parts of a model that can be given formats of their own. */
enum tsr_part {
    TSR_PART_LM, TSR_PART_EMBED, TSR_PART_HEAD, TSR_PART_SEE, TSR_PART_DRAW_HEAD, TSR_PART_DECODER,
    TSR_PART_ENCODER, TSR_PARTS
};
/* "lm" "embed" "head" "see" "draw-head" "decoder" "encoder" */
TSR_API extern const char *const tsr_part_names[TSR_PARTS];

struct tsr_convert_report {
    const char *tensor;
    enum tsr_part part;
    uint32_t format;
    size_t n, k, bytes;
    struct tsr_tile_loss loss;
    size_t index, count; /* of tensors */
};

struct tsr_convert_options {
    uint32_t format;                 /* of matrices */
    uint32_t part_format[TSR_PARTS]; /* ~0u: as `format`, or the family's rule for the part */
    /* Called after each tensor. May be NULL. */
    void (*report)(void *data, const struct tsr_convert_report *report);
    /* Asked many times a second; non-zero stops (TSR_INTERRUPTED). May be NULL. */
    int (*stop)(void *data);
    void *data;
};

/*
 * Converts a Hugging Face folder, or another GGUF of tessera's, to one GGUF, tensor by tensor in bounded
 * memory; the file appears whole or not at all.
 */
TSR_API tsr_status tsr_convert(const char *source, const char *path, const struct tsr_convert_options *options,
                               struct tsr_error *error);

#ifdef __cplusplus
}
#endif

#endif
