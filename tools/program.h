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
#include <sys/ioctl.h>

/* Prints "tessera: <message>" on one line of at most 300 bytes to stderr; returns `code`. */
int program_error(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for an error of the library; returns its code. */
int program_fail(const struct tsr_error *error);

/* Flushes stdout; the exit code TSR_IO if what was printed did not reach its reader. */
int program_flush(void);

/* Opens what of standard input, output and error is closed, so that no file of ours gets its number. */
void program_descriptors(void);

/* Before any work: the folder of `path` can be written to, and `path` is none of the files that the job reads
 * (the model, pictures, files of a folder to be converted). 0 or an exit code. */
int program_target(const char *path, const struct options *options);

/* ---- interruption: SIGINT and SIGTERM cancel the context in use and are remembered ------------------- */

/* From here on an interruption ends the process at once with exit 130, and a model file that is cut while it
 * is mapped (SIGBUS) with exit 3, each with a line. */
void program_catch(void);
/* While on, an interruption is only remembered: the job looks at program_interrupted, undoes what is half done
 * and ends by itself. Switching it off with one remembered ends the process as program_catch says. */
void program_undoes(int on);
/* The same with a context in use, which is cancelled; NULL: none. */
void program_cancels(tsr_context *context);
int program_interrupted(void);

/* ---- a model with its pool and context ------------------------------------------------------------- */

struct session {
    tsr_model *model;
    tsr_pool *pool;
    tsr_context *context;
    struct tsr_model_info info;
    struct tsr_plan plan;
    struct tsr_profile *profile; /* with --profile, else NULL */
    double opened;               /* when the context was ready */
    double asking;               /* seconds it took to make positions of texts and pictures, */
    double writing;              /* and to write results to files */
};

/* The tiers asked for by --cpu-isa or TESSERA_CPU. 0 or an exit code. */
int program_tiers(const struct options *options, uint32_t *tiers);

/* The way to load asked for by --load. 0 or an exit code. */
int program_load(const struct options *options, enum tsr_load *load);

/* Opens a model; with --verify checks every checksum, with progress. 0 or an exit code; *model is the caller's. */
int program_model(tsr_model **model, const char *path, const struct options *options);

/* Makes the pool asked for by -t, --pin and --numa (for memory touched afterwards). 0 or an exit code. */
int program_pool(const struct options *options, tsr_pool **pool);

/*
 * Opens the model, checks the memory plan against what the machine grants, makes the pool and the context
 * for `wants` (enum tsr_want_bits). 0 or an exit code; session_close in any case.
 */
int session_open(struct session *session, const struct options *options, unsigned wants);
void session_close(struct session *session);

/* Gives the context --system if there is one, then a text with pictures, and what is wanted. 0 or an exit code. */
int session_ask(struct session *session, const struct options *options, const char *text,
                const struct tsr_picture *pictures, size_t count, unsigned want);

/* The formats of the cache and of maps that the flags ask for. 0 or an exit code. */
int program_formats(struct tsr_settings *settings, const struct options *options);

/* Positions of the cache that a describe or a draw needs at most; 0: the library's default. */
size_t session_positions(const struct tsr_model_info *info, const struct options *options,
                         unsigned wants);

/* With --profile: makes session->profile and measures the machine's rates. 0 or an exit code. */
int profile_open(struct session *session, const struct options *options, uint32_t tiers);
/* Prints it, to the end of the job. */
void profile_print(const struct session *session, double wall_seconds);

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
void progress_hide(struct progress *progress); /* until the next progress_show */
void progress_end(struct progress *progress);

/* Whether stderr is a terminal that obeys escape sequences, and its size (80 x 24 if it does not say). */
int terminal_obeys(void);
struct winsize terminal_size(void);

double seconds_now(void);

/* ---- JSON ------------------------------------------------------------------------------------------------ */

/* Before the first use of JSON: failures of its memory are noted from here on. */
void json_begin(void);
/* Text of any bytes as a JSON string; what is not UTF-8 becomes '?'. */
json_t *json_words(const char *text, size_t bytes);
/* Prints a value and drops it. 0 or an exit code: also if any part of it could not be made. */
int json_print(json_t *all, size_t flags);

/* ---- files of numbers ------------------------------------------------------------------------------------ */

/* Writes an array as .npy; type is "<f4", "<i4" or "|u1". 0 or an exit code. */
int npy_write(const char *folder, const char *name, const char *type, const void *data,
              const size_t *shape, size_t dims);

/* Reads int32 from .npy (int32 or int64, any shape) or from text; the caller frees *values. */
int ids_read(const char *path, int32_t **values, size_t *count);

#endif
