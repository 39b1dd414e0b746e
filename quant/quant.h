/*
 * quant.h: number formats, tiles, and the files that hold them: GGUF (read and write) and Hugging
 * Face checkpoint folders (safetensors, read). Knows tensors by name and shape; not what they are
 * for.
 *
 * Everything read from a file is checked before it is used (quant/checked.h); see SECURITY.md.
 */
#ifndef TSR_QUANT_H
#define TSR_QUANT_H

#include "kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- tiles ----------------------------------------------------------------------------------- */

/* Bytes of a tile [n, k], padding included. TSR_MALFORMED if that overflows or n or k is 0,
 * TSR_UNSUPPORTED if the format is not known. */
TSR_API tsr_status tsr_tile_bytes(size_t *bytes, uint32_t format, size_t n, size_t k,
                                  struct tsr_error *error);

/*
 * How well a matrix survived: sums over all elements; merge by adding. rms relative error =
 * sqrt(error2 / value2).
 */
struct tsr_tile_loss {
    double value2, error2, error_max;
};

/*
 * Packs rows [n, k] of f32 into a tile at `out` (tsr_tile_bytes, 64-byte aligned). t8: per group
 * scale = amax/127 rounded to f16, then codes. t4: the f16 scale (of either sign) and codes in
 * 0..15 that minimize the squared error, searched around amax/8; not by the maximum alone.
 * Non-finite weights: TSR_MALFORMED; weights too large for the format: TSR_UNSUPPORTED. Adds to
 * *loss if not NULL. A tile can be packed in slices of whole panels, on any threads: rows [16 p,
 * ...) go to out + p * tsr_panel_bytes.
 */
TSR_API tsr_status tsr_tile_pack(void *out, uint32_t format, const float *rows, size_t n, size_t k,
                                 struct tsr_tile_loss *loss, struct tsr_error *error);

/* Row-major [n, k] f32 of the tile: exactly what the kernels compute with. */
TSR_API void tsr_tile_unpack(float *rows, const struct tsr_tile *tile);

/* "f32", "f16", "bf16", "q8_0", "q4_0" <-> format. Unknown name: TSR_USAGE. */
TSR_API tsr_status tsr_format_parse(uint32_t *format, const char *name, struct tsr_error *error);
TSR_API const char *tsr_format_name(uint32_t format);

/* ---- GGUF ------------------------------------------------------------------------------------ */

/* Value types of GGUF metadata (specification: ggml docs/gguf.md). */
enum tsr_gguf_type {
    TSR_GGUF_U8,
    TSR_GGUF_I8,
    TSR_GGUF_U16,
    TSR_GGUF_I16,
    TSR_GGUF_U32,
    TSR_GGUF_I32,
    TSR_GGUF_F32,
    TSR_GGUF_BOOL,
    TSR_GGUF_STRING,
    TSR_GGUF_ARRAY,
    TSR_GGUF_U64,
    TSR_GGUF_I64,
    TSR_GGUF_F64
};

enum tsr_load { TSR_LOAD_MAP, TSR_LOAD_READ, TSR_LOAD_HUGE };

/* A string that lies in a file: not terminated. */
struct tsr_slice {
    const char *text;
    size_t bytes;
};

/* A tensor of an opened file, as a tile; vectors are tiles of format F32, n = 1 in plain order (see
 * `plain`). */
struct tsr_tensor {
    const char *name; /* terminated, owned by the file */
    struct tsr_tile tile;
    int plain;       /* 1: row-major [n, k] F32 or F16, not a tile (small tensors) */
    uint64_t offset; /* in the file */
    size_t bytes;
};

typedef struct tsr_gguf tsr_gguf;

struct tsr_load_options {
    enum tsr_load load;
    int verify; /* check every checksum now */
    /*
     * With TSR_LOAD_READ and TSR_LOAD_HUGE: called before the data is read and after each MiB of
     * it, the last included, with the bytes read so far and all there are. Non-zero stops
     * (TSR_INTERRUPTED). May be NULL.
     */
    int (*progress)(void *data, size_t done, size_t total);
    void *data;
};

/*
 * Opens a GGUF v3 file: reads and checks the header, maps (or reads) the data. The tensors stay
 * valid until tsr_gguf_close. options NULL: mapped, nothing verified. Errors: TSR_IO, TSR_MALFORMED,
 * TSR_UNSUPPORTED (other version, layout or tensor type), TSR_MEMORY, TSR_CHECKSUM, TSR_INTERRUPTED.
 * The header's own CRC is always checked.
 */
TSR_API tsr_status tsr_gguf_open(tsr_gguf **file, const char *path,
                                 const struct tsr_load_options *options, struct tsr_error *error);
TSR_API void tsr_gguf_close(tsr_gguf *file); /* NULL allowed */

/* Checks the CRC of the header and of each tensor: TSR_CHECKSUM names the tensor. In parts, for whoever shows
 * progress: part 0 is the header, part 1 + i tensor i, and the last, 1 + the number of tensors, the end. */
TSR_API tsr_status tsr_gguf_verify(const tsr_gguf *file, struct tsr_error *error);
TSR_API tsr_status tsr_gguf_verify_part(const tsr_gguf *file, size_t part, struct tsr_error *error);

TSR_API size_t tsr_gguf_tensor_count(const tsr_gguf *file);
TSR_API const struct tsr_tensor *tsr_gguf_tensor_at(const tsr_gguf *file, size_t index);
TSR_API const struct tsr_tensor *tsr_gguf_tensor(const tsr_gguf *file,
                                                 const char *name); /* or NULL */

/* Metadata by key. Absent, of another type or out of range: TSR_MALFORMED naming the key. Integers
 * of any width convert, a bool is 0 or 1; f64 takes integers too. */
TSR_API int tsr_gguf_has(const tsr_gguf *file, const char *key);
TSR_API tsr_status tsr_gguf_u64(const tsr_gguf *file, const char *key, uint64_t low, uint64_t high,
                                uint64_t *value,
                                struct tsr_error *error); /* checked low <= value <= high */
TSR_API tsr_status tsr_gguf_f64(const tsr_gguf *file, const char *key, double low, double high,
                                double *value, struct tsr_error *error);
TSR_API tsr_status tsr_gguf_string(const tsr_gguf *file, const char *key, struct tsr_slice *value,
                                   struct tsr_error *error);
/* Arrays: of strings, or of numbers (value type in *type, elements at *data, little-endian,
 * unaligned). */
TSR_API tsr_status tsr_gguf_strings(const tsr_gguf *file, const char *key,
                                    const struct tsr_slice **items, size_t *count,
                                    struct tsr_error *error);
TSR_API tsr_status tsr_gguf_numbers(const tsr_gguf *file, const char *key, enum tsr_gguf_type *type,
                                    const void **data, size_t *count, struct tsr_error *error);
/* For listings: key and printable value (arrays shortened) of entry `index`; 0 when past the end.
 */
TSR_API int tsr_gguf_entry(const tsr_gguf *file, size_t index, const char **key, char *value,
                           size_t value_size);

/*
 * TSR_IO if a mapped file has been cut since it was opened. Reading behind its new end raises SIGBUS, or, in the
 * last page that is left, gives zeros: so whoever gives out a result asks first.
 */
TSR_API tsr_status tsr_gguf_whole(const tsr_gguf *file, struct tsr_error *error);

/*
 * Copies bytes [at, at + bytes) of a tensor's data. Those of a mapped file are read, not touched in the map: a
 * file that is cut is TSR_IO here.
 */
TSR_API tsr_status tsr_gguf_copy(const tsr_gguf *file, const struct tsr_tensor *tensor, size_t at,
                                 size_t bytes, void *to, struct tsr_error *error);

/* The address range [*base, *base + *bytes) of what is mapped or was read. */
TSR_API void tsr_gguf_range(const tsr_gguf *file, const void **base, size_t *bytes);

/* The writer. Order of calls: new, set_* and declare in any order, begin, data of each declared
 * tensor in order, finish. Goes to a temporary name in the same folder; finish writes the CRCs,
 * fsyncs and renames; free without finish removes the temporary file. */
typedef struct tsr_gguf_writer tsr_gguf_writer;

TSR_API tsr_status tsr_gguf_writer_new(tsr_gguf_writer **writer, const char *path,
                                       struct tsr_error *error);
TSR_API void tsr_gguf_writer_free(tsr_gguf_writer *writer); /* NULL allowed */
TSR_API tsr_status tsr_gguf_set_u32(tsr_gguf_writer *w, const char *key, uint32_t value,
                                    struct tsr_error *error);
TSR_API tsr_status tsr_gguf_set_f32(tsr_gguf_writer *w, const char *key, float value,
                                    struct tsr_error *error);
TSR_API tsr_status tsr_gguf_set_bool(tsr_gguf_writer *w, const char *key, int value,
                                     struct tsr_error *error);
TSR_API tsr_status tsr_gguf_set_string(tsr_gguf_writer *w, const char *key, const char *text,
                                       size_t bytes, struct tsr_error *error);
TSR_API tsr_status tsr_gguf_set_strings(tsr_gguf_writer *w, const char *key,
                                        const struct tsr_slice *items, size_t count,
                                        struct tsr_error *error);
/* data: `count` little-endian elements of `type`. */
TSR_API tsr_status tsr_gguf_set_numbers(tsr_gguf_writer *w, const char *key,
                                        enum tsr_gguf_type type, const void *data, size_t count,
                                        struct tsr_error *error);
/* A tile tensor (plain 0) or a small row-major one (plain 1; format F32 or F16). */
TSR_API tsr_status tsr_gguf_declare(tsr_gguf_writer *w, const char *name, uint32_t format, size_t n,
                                    size_t k, int plain, struct tsr_error *error);
TSR_API tsr_status tsr_gguf_begin(tsr_gguf_writer *w, struct tsr_error *error);
/* Appends bytes of the current tensor; may be called in pieces; moves on when the tensor is
 * complete. */
TSR_API tsr_status tsr_gguf_data(tsr_gguf_writer *w, const void *data, size_t bytes,
                                 struct tsr_error *error);
TSR_API tsr_status tsr_gguf_finish(tsr_gguf_writer *w, struct tsr_error *error);

/* ---- Hugging Face checkpoint folders --------------------------------------------------------- */

/* The tensors of a folder: model.safetensors, or the shards of model.safetensors.index.json. */
typedef struct tsr_checkpoint tsr_checkpoint;

struct tsr_checkpoint_tensor {
    const char *name; /* terminated, owned by the checkpoint */
    uint32_t format;  /* F32 (of F64 too), F16 or BF16; ~0u: a type that cannot be read */
    unsigned dims;
    size_t shape[8];
    size_t count; /* elements */
};

/*
 * Opens a folder and checks every header. A pickle (.bin), GGUF or LFS pointer in its place:
 * TSR_UNSUPPORTED or TSR_MALFORMED with what to do instead. Memory: headers only; data is read on
 * demand.
 */
TSR_API tsr_status tsr_checkpoint_open(tsr_checkpoint **checkpoint, const char *folder,
                                       struct tsr_error *error);
TSR_API void tsr_checkpoint_close(tsr_checkpoint *checkpoint); /* NULL allowed */
TSR_API size_t tsr_checkpoint_count(const tsr_checkpoint *checkpoint);
TSR_API const struct tsr_checkpoint_tensor *tsr_checkpoint_at(const tsr_checkpoint *checkpoint,
                                                              size_t index);
TSR_API const struct tsr_checkpoint_tensor *tsr_checkpoint_find(const tsr_checkpoint *checkpoint,
                                                                const char *name);
/* Reads elements [first, first + count) of a tensor, converted to f32. */
TSR_API tsr_status tsr_checkpoint_read(const tsr_checkpoint *checkpoint,
                                       const struct tsr_checkpoint_tensor *tensor, size_t first,
                                       size_t count, float *out, struct tsr_error *error);

/* Reads a whole regular file of at most `limit` bytes, zero-terminated; the caller frees *data. */
TSR_API tsr_status tsr_file_read(char **data, size_t *bytes, const char *path, size_t limit,
                                 struct tsr_error *error);

#ifdef __cplusplus
}
#endif

#endif
