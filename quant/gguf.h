/*
 * gguf.h: what the reader and the writer of GGUF files share, and the inside of an opened file.
 * Private to quant.
 *
 * tessera's layout 1 of a GGUF v3 file (specification of the container: ggml, docs/gguf.md):
 *
 *   "GGUF", u32 version 3, u64 tensors, u64 entries; the entries; the tensor infos; zeros up to a
 * multiple of 64 = the header. Then each tensor, in the order of the infos, padded with zeros to a
 * multiple of 64, without gaps, up to the last byte of the file.
 *
 *   general.alignment    u32 64
 *   tessera.layout       u32 1
 *   tessera.tile.format  array of u8, one for each I8 tensor, in order: enum tsr_format
 *   tessera.tile.n, .k   arrays of u64, likewise: the shape of the matrix
 *
 *   I8, 1-D               a tile; its length is tsr_tile_bytes of its facts
 *   F32 or F16            a small tensor, row-major
 *   tessera.crc           the last: I32 [1 + tensors before it]: zlib's CRC-32 of the header, then
 * of each tensor with its padding
 */
#ifndef TSR_GGUF_H
#define TSR_GGUF_H

#include "input.h"
#include "names.h"
#include "quant.h"

enum {
    TSR_GGUF_VERSION = 3,
    TSR_GGUF_ALIGNMENT = 64,
    TSR_GGUF_LAYOUT = 1,
    TSR_GGUF_DIMS = 4,
    TSR_GGUF_KEY_MAX = 65535, /* bytes of a key, by the specification */
    TSR_GGUF_NAME_MAX = 63    /* bytes of a tensor's name that every reader takes */
};

#define TSR_GGUF_KEY_ALIGNMENT "general.alignment"
#define TSR_GGUF_KEY_LAYOUT "tessera.layout"
#define TSR_GGUF_KEY_FORMAT "tessera.tile.format"
#define TSR_GGUF_KEY_N "tessera.tile.n"
#define TSR_GGUF_KEY_K "tessera.tile.k"
#define TSR_GGUF_CRC "tessera.crc"

/* Numbers of the tensor types that tessera's files hold. */
enum { TSR_GGML_F32 = 0, TSR_GGML_F16 = 1, TSR_GGML_I8 = 24, TSR_GGML_I32 = 26 };

/* Bytes of a number of a metadata type; 0: a string, an array or no type at all. */
size_t tsr_gguf_type_bytes(uint32_t type);

/* May `bytes` bytes be a key or a tensor's name? Printable ASCII without blanks. */
int tsr_gguf_name_valid(const char *text, size_t bytes);

struct tsr_gguf_entry {
    const char *key;          /* terminated */
    size_t key_at, key_bytes; /* in the header */
    uint32_t type;            /* enum tsr_gguf_type */
    uint32_t item;            /* type of an array's elements */
    size_t at;                /* of the value in the header: number, string or first element */
    size_t count;             /* bytes of a string, elements of an array */
    const struct tsr_slice *strings; /* [count] of an array of strings */
};

struct tsr_gguf {
    char name[96];                  /* for messages */
    int fd;                         /* of a mapped file, else -1 */
    char *header;                   /* [header_bytes], as it is in the file */
    size_t header_bytes;            /* = where the data begins */
    struct tsr_gguf_entry *entries; /* [entry_count] */
    size_t entry_count;
    struct tsr_name *keys;      /* [entry_count], sorted */
    struct tsr_tensor *tensors; /* [tensor_count], in the file's order, tessera.crc excluded */
    size_t tensor_count;
    struct tsr_name *names;       /* [tensor_count], sorted */
    struct tsr_slice *slices;     /* of all arrays of strings */
    char *key_texts, *name_texts; /* keys and names, terminated */
    const uint32_t *crc;          /* [1 + tensor_count], in the data */
    void *base;                   /* what was mapped or read */
    size_t base_bytes;
    const char *data; /* in base: the byte header_bytes of the file */
    size_t data_bytes;
};

/* A tensor info as it stands in the file; its type is one of the four above. */
struct tsr_gguf_info {
    size_t name_at, name_bytes;   /* in the header */
    uint64_t dims[TSR_GGUF_DIMS]; /* each in 1..INT64_MAX */
    uint32_t dim_count, type;
    uint64_t offset, bytes; /* in the data, unchecked; without padding, at most PTRDIFF_MAX */
};

struct tsr_gguf_infos {
    struct tsr_gguf_info *list; /* the caller frees it, also after an error */
    size_t count;
    uint64_t bytes; /* of all, each with its padding; no overflow */
};

/*
 * Reads the header: sets header, entries, keys and slices of *file, and the infos, whose dims and
 * types are checked but not their places. After an error *file holds what tsr_gguf_close frees.
 */
tsr_status tsr_gguf_parse(struct tsr_gguf *file, struct tsr_gguf_infos *infos,
                          const struct tsr_input *in, struct tsr_error *error);

/* Copies a text to *to, terminated, and moves *to behind it. */
const char *tsr_gguf_keep(char **to, const char *from, size_t bytes);

/* Checks the CRC of the header: TSR_CHECKSUM. */
tsr_status tsr_gguf_verify_header(const struct tsr_gguf *file, struct tsr_error *error);

/* The entry of a key, or NULL. */
const struct tsr_gguf_entry *tsr_gguf_find(const struct tsr_gguf *file, const char *key);

#endif
