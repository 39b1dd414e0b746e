/*
 * drive.h: starts the program tessera in unusual circumstances and looks at what it leaves behind.
 *
 * A test program of this folder is a table of scenes. Each runs once, prints its figures (figure)
 * and what is wrong (check), or says by name why it is skipped (skip). TSR_SURVIVE=full runs every
 * case, else a sample of it (cases). An argument chooses scenes by a part of their name.
 */
#ifndef TSR_DRIVE_H
#define TSR_DRIVE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { OUT_BYTES = 1 << 16, ARGS_MAX = 40 };

/* How a process ended, and what it said. */
struct outcome {
    int code; /* exit code; -n: died of signal n; OUTCOME_HANG: had to be killed */
    double seconds;
    char out[OUT_BYTES], err[OUT_BYTES]; /* terminated */
    size_t out_bytes, err_bytes;
};
enum { OUTCOME_HANG = -1000 };

/* How to start it; zero: as it is. */
struct start {
    const char *const *environment; /* NAME=VALUE or NAME (to unset), NULL-terminated */
    const char *input;              /* file for standard input; NULL: /dev/null */
    const char *const *wrapper;     /* a command that starts it, NULL-terminated; NULL: none */
    int (*prepare)(void *data);     /* called in the child before exec; non-zero: it exits 125 */
    void *data;
    double limit; /* seconds; 0: 60 */
};

struct running {
    pid_t pid;
    double begun;
    int out, err; /* pipes to read */
    double limit;
};

/* Starts `tessera` with the arguments, NULL-terminated. */
struct running program_start(const struct start *how, const char *const *arguments);
/* Waits; kills it after the limit. */
void program_wait(struct running *running, struct outcome *outcome);
void program_run(struct outcome *outcome, const struct start *how, const char *const *arguments);
#define RUN(outcome, how, ...) program_run(outcome, how, (const char *const[]){__VA_ARGS__, NULL})

/* The contract of errors: exit `code`, nothing but one line "tessera: ..." of at most 300 bytes on
 * stderr. */
int one_line(const struct outcome *outcome, int code);

/* The program as a file that exec takes, its library path set; and the shim of that name to
 * preload. */
const char *program_path(void);
const char *shim_path(const char *name);
/* Why LD_PRELOAD cannot be used here (sanitizers come first, another architecture), or NULL. */
const char *shims_fail(void);

/* ---- files -------------------------------------------------------------------------------------
 */

extern char work[]; /* a folder of this test, removed at its end */
const char *in_work(const char *format, ...)
    __attribute__((format(printf, 1, 2))); /* of 16 buffers */
const char *fixture(const char *name);     /* below TSR_SRCDIR */
int file_exists(const char *path);
int files_equal(const char *a, const char *b);
void file_copy(const char *from, const char *to);
uint64_t file_size(const char *path);
/* Names in a folder that begin with `prefix`. */
size_t files_in(const char *folder, const char *prefix);
void folder_empty(const char *folder);

/* The tiny checkpoint as a model, converted once, and the picture of its fixture. */
const char *tiny_model(void);
const char *tiny_picture(void);
const char *mini_model(void); /* the shipped one */

/* ---- scenes ------------------------------------------------------------------------------------
 */

struct scene {
    const char *name;
    void (*run)(void);
};

/* How many of `full` cases to run; `sample` of them in make check. */
unsigned cases(unsigned sample, unsigned full);
int full_run(void);
void figure(const char *format, ...) __attribute__((format(printf, 1, 2)));
void skip(const char *format, ...) __attribute__((format(printf, 1, 2)));
void failed(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
extern unsigned long checks;
#define CHECK(condition, ...)                                                                      \
    (checks++, (condition) ? (void)0 : failed(__FILE__, __LINE__, __VA_ARGS__))
/* Pseudo-random numbers, the same in every run: below `limit`. */
uint32_t random_below(uint32_t limit);
void wait_seconds(double seconds);
double now_seconds(void);
int scenes_run(const struct scene *scenes, int argc, char **argv);

#endif
