/*
 * tokenizer.h: what the files of model/text/ share: the tokenizer's tables, the regular expressions
 * and UTF-8.
 *
 * Everything is looked up in sorted arrays by binary search, so no input can make a lookup slow.
 * The vocabulary, into which a tokenizer of 100,000 merges looks 300,000 times while it is made, is
 * sorted by a hash of the names first: the leading bits of a hash lead to the one or two names that
 * may be meant, and names that were made to collide cost what a binary search of them all costs.
 */
#ifndef TSR_TOKENIZER_H
#define TSR_TOKENIZER_H

#include "text.h"

#include <limits.h>

enum {
    TSR_TOKENS_MAX = 1 << 20,
    TSR_MERGES_MAX = 1 << 21,
    TSR_STEPS_MAX = 64,
    TSR_TOKEN_BYTES_MAX = 4096, /* of a token's name */
    TSR_ADDED_BYTES_MAX = 1024, /* of an added token: bounds the work per byte of text */
    TSR_REGEX_BYTES_MAX = 1 << 16
};

/* ---- utf8.c ---- */

enum { TSR_ILL_FORMED = 0x110000, TSR_CUT = 0x110001 };

/*
 * Length of the first character of count > 0 bytes; *code is its code point. TSR_ILL_FORMED: the
 * length of the maximal ill-formed part; TSR_CUT: all `count` bytes (at most 3) are a proper prefix
 * of a character.
 */
size_t tsr_utf8_next(const char *bytes, size_t count, uint32_t *code);

/* Unicode's White_Space. */
int tsr_is_space(uint32_t code);

/* Grows an array of `item`-byte elements to at least `need`; NULL and nothing changed if that is
 * impossible. */
void *tsr_grow(void *array, size_t *room, size_t need, size_t item);

/* ---- regex.c ---- */

typedef struct tsr_regex tsr_regex;
typedef struct tsr_regex_scratch tsr_regex_scratch;

/* Compiles a regular expression in the dialect of tokenizer.json (Oniguruma, Ruby syntax): see
 * regex.c. */
tsr_status tsr_regex_new(tsr_regex **regex, const char *pattern, size_t bytes,
                         struct tsr_error *error);
void tsr_regex_free(tsr_regex *regex); /* NULL allowed */
/* What matching in one text takes: memory, and a budget of work that is linear in its `bytes`.
 * NULL: out of memory. */
tsr_regex_scratch *tsr_regex_scratch_new(size_t bytes);
void tsr_regex_scratch_free(tsr_regex_scratch *scratch); /* NULL allowed */
/*
 * The leftmost match in well-formed UTF-8 that begins at or after `from`. 1: found, 0: none, -1:
 * the budget is used up, or 48 MiB do not suffice, -2: out of memory.
 */
int tsr_regex_find(const tsr_regex *regex, tsr_regex_scratch *scratch, const char *text,
                   size_t bytes, size_t from, size_t *begin, size_t *end);

/* ---- tokenizer.c ---- */

enum tsr_behavior {
    TSR_ISOLATED,
    TSR_REMOVED,
    TSR_MERGED_WITH_PREVIOUS,
    TSR_MERGED_WITH_NEXT,
    TSR_CONTIGUOUS,
    TSR_BEHAVIORS
};
extern const char *const tsr_behavior_names[TSR_BEHAVIORS]; /* in a step's text */

/* A step of the pre-tokenizer. */
struct tsr_step {
    char *text;       /* as stored */
    tsr_regex *regex; /* NULL: put a space in front */
    enum tsr_behavior behavior;
    int gaps; /* what does not match is the delimiter (invert) */
};

/* A pair that becomes one; lower rank first. */
struct tsr_merge {
    uint32_t right, id, rank;
};

enum { TSR_TOKEN_ADDED = 64, TSR_TOKEN_CONTROL = 128 }; /* beside enum tsr_added, in flags */

/* Added tokens that are looked for together, sorted by bytes. */
struct tsr_added_set {
    uint32_t *ids;
    size_t count;
    size_t first[257]; /* ids[first[c]] .. begin with byte c */
};

/* An entry of the vocabulary. */
struct tsr_entry {
    uint32_t hash, id; /* of its name */
};

struct tsr_tokenizer {
    size_t size;
    uint8_t *flags;               /* [size] */
    uint32_t *name_at;            /* [size + 1] where a name begins in names */
    char *names;                  /* as in tokenizer.json */
    uint32_t *byte_at;            /* [size + 1] */
    char *bytes;                  /* what decoding writes */
    struct tsr_entry *vocabulary; /* [vocabulary_count] sorted by hash, equal ones by name */
    size_t vocabulary_count;
    unsigned bucket_shift;    /* hash >> bucket_shift is the bucket of an entry */
    uint32_t *bucket_at;      /* [buckets + 1] where the entries of a bucket begin in vocabulary */
    int32_t of_byte[256];     /* id of a single byte, -1: none */
    uint32_t *merge_at;       /* [size + 1] by left id */
    struct tsr_merge *merges; /* sorted by left, right */
    size_t merge_count;
    struct tsr_added_set added[2]; /* not normalized; normalized */
    struct tsr_step *steps;
    size_t step_count;
    int32_t *prefix, *suffix;
    size_t prefix_count, suffix_count;
    int whole_words;
    tsr_regex *word; /* matches a word character; NULL: no added token asks */
};

/* What both sources deliver; everything is borrowed for the call. */
struct tsr_tokenizer_parts {
    size_t size;
    const struct tsr_slice *names; /* [size] */
    const uint8_t *flags; /* [size] enum tsr_added, TSR_TOKEN_*; 0: of the vocabulary only */
    /* what merge `index` of `merges` merges; 0: it is not two parts */
    int (*merge)(const void *merges, size_t index, struct tsr_slice pair[2]);
    const void *merges;
    size_t merge_count;
    const struct tsr_slice *steps;
    size_t step_count;
    const int32_t *prefix, *suffix;
    size_t prefix_count, suffix_count;
    int whole_words;
};

/* Checks all of it and makes a tokenizer. */
tsr_status tsr_tokenizer_build(tsr_tokenizer **tokenizer, const struct tsr_tokenizer_parts *parts,
                               struct tsr_error *error);

/* The hash by which the vocabulary is sorted. */
uint32_t tsr_name_hash(const char *name, size_t bytes);

/* Id of a vocabulary entry by name, -1: none. */
int32_t tsr_vocabulary_find(const tsr_tokenizer *tokenizer, const char *name, size_t bytes);

/* The character of the GPT-2 byte alphabet that stands for a byte: 1 or 2 bytes of UTF-8. */
size_t tsr_byte_char(uint8_t byte, char out[2]);

static inline struct tsr_slice tsr_token_name(const tsr_tokenizer *t, size_t id)
{
    return (struct tsr_slice){t->names + t->name_at[id], t->name_at[id + 1] - t->name_at[id]};
}

#endif
