/*
 * program.h: what the subcommands share: one-line errors, interruption, opening a model with its memory plan,
 * progress, JSON and .npy output.
 */
#ifndef TESSERA_PROGRAM_H
#define TESSERA_PROGRAM_H

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "options.h"

#include <jansson.h>
#include <stdint.h>

/* Prints "tessera: <message>" on one line of at most 300 bytes to stderr; returns `code`. */
int program_error(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for an error of the library; returns its code. */
int program_fail(const struct tsr_error *error);

/* Flushes stdout; the exit code TSR_IO if what was printed did not reach its reader. */
int program_flush(void);

/* ---- interruption: SIGINT and SIGTERM cancel the context in use and are remembered ------------------- */

void program_catch(void);
void program_cancels(tsr_context *context); /* NULL: none in use */
int program_interrupted(void);
/* A file cut while it is mapped raises SIGBUS: inside this range that ends in one line and exit 3. */
void program_guards(const tsr_gguf *file);

/* ---- a model with its pool and context ------------------------------------------------------------- */

struct session {
    tsr_model *model;
    tsr_pool *pool;
    tsr_context *context;
    struct tsr_model_info info;
    struct tsr_plan plan;
};

/* The tiers asked for by --cpu-isa or TESSERA_CPU. 0 or an exit code. */
int program_tiers(const struct options *options, uint32_t *tiers);

/* The way to load asked for by --load. 0 or an exit code. */
int program_load(const struct options *options, enum tsr_load *load);

/* Makes the pool asked for by -t and --pin. 0 or an exit code. */
int program_pool(const struct options *options, tsr_pool **pool);

/*
 * Opens the model, checks the memory plan against what the machine grants, makes the pool and the context
 * for `wants` (enum tsr_want_bits). 0 or an exit code; session_close in any case.
 */
int session_open(struct session *session, const struct options *options, unsigned wants);
void session_close(struct session *session);

/* Bytes that this process may still take: the least of free memory, cgroup limit and address space. */
uint64_t memory_available(void);

/* Reads the pictures of --image; pictures_free releases them. 0 or an exit code. */
int pictures_read(struct tsr_picture *pictures, const struct texts *paths);
void pictures_free(struct tsr_picture *pictures, size_t count);

/* The blank between "Assistant:" and the first word of a reply is not part of the answer: skips it in the first text. */
void program_trim_first(struct tsr_event *event);

/* ---- progress: on a terminal only, from the second second on ------------------------------------------ */

struct progress {
    const char *what, *unit;
    double start, shown;
    int enabled, visible;
};

void progress_start(struct progress *progress, const struct options *options, const char *what,
                    const char *unit);
void progress_show(struct progress *progress, double done, double total);
void progress_end(struct progress *progress);

double seconds_now(void);

/* ---- files of numbers ------------------------------------------------------------------------------------ */

/* Writes an array as .npy; type is "<f4", "<i4" or "|u1". 0 or an exit code. */
int npy_write(const char *folder, const char *name, const char *type, const void *data,
              const size_t *shape, size_t dims);

/* Reads int32 from .npy (int32 or int64, any shape) or from text; the caller frees *values. */
int ids_read(const char *path, int32_t **values, size_t *count);

#endif
