/*
 * hostile.h: the catalogue of malformed inputs as tables. A row is a case: its number in the
 * catalogue and what it is, how its file is made, the exit code and a word of the one line that the
 * program must print. test_hostile.c makes the file of each row, runs the program and checks that.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "../quant_files.h"

enum { DOES_NOT_APPLY = -1 };

struct hostile_case {
    const char *name;    /* "G03 the magic FUGG"; a name without number belongs to no case */
    const char *make;    /* for the table's maker, or a command; DOES_NOT_APPLY: why */
    int code;            /* the exit code */
    const char *says;    /* in the line */
};

/* Each table ends with a row without name. */
extern const struct hostile_case gguf_cases[], model_cases[], safetensors_cases[], index_cases[],
    config_cases[], number_cases[], tokenizer_cases[], png_cases[], jpeg_cases[], flag_cases[];

/* ---- make.c: the files; all paths are below the work folder, which is the current one ---- */

/* Makes what the cases start from: model.gguf, folder, sharded, pictures, and what is no file. */
void make_work(const char *program);

/* Writes `file` as a row says. */
typedef void hostile_maker(const char *file, const char *make);
hostile_maker make_script; /* quant_files.h */
hostile_maker make_number; /* FILE PATH VALUE */
hostile_maker make_change; /* OLD=NEW, /N */
hostile_maker make_jpeg;   /* NAME MARKER+OFFSET=BYTES ... */

/* Puts a changed file of a folder back. */
void make_good(const char *file);

#endif
