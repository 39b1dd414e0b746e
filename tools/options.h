/*
 * options.h: what the user may type, in one table.
 *
 * A flag is one row: its name, the subcommands that take it, its type and range, where its value goes in
 * struct options, and its help. Parsing (getopt_long_only), range checks, `--help`, the man pages
 * (`tessera help --man CMD`) and the bash completion (`tessera help --completion`) all come from that table.
 * Flag names follow llama.cpp and sd-cli.
 */
#ifndef TESSERA_OPTIONS_H
#define TESSERA_OPTIONS_H

#include "model.h"

#include <stdio.h>

enum { IMAGES_MAX = 16, RULES_MAX = 8 };

/* Subcommands, as bits: which ones a flag belongs to. */
enum command_bit {
    CONVERT = 1,
    INFO = 2,
    DESCRIBE = 4,
    DRAW = 8,
    CHAT = 16,
    PROBE = 32,
    BENCH = 64,
    RUNS = DESCRIBE | DRAW | CHAT | PROBE, /* open a model and run it */
    EVERY = CONVERT | INFO | RUNS | BENCH
};

/* A repeatable text flag. */
struct texts {
    const char *items[IMAGES_MAX];
    size_t count;
};

struct options {
    /* what to work on */
    const char *model, *prompt, *system, *output, *type, *ids, *codes, *pixels;
    struct texts images, rules;
    /* how to generate */
    double temperature, top_p, guidance; /* temperature, guidance < 0: default of the model */
    uint64_t seed, top_k, tokens, context, count;
    const char *key_type, *value_type, *maps;
    /* how to run */
    uint64_t threads;
    const char *tiers, *load, *math, *numa;
    int pin, force;
    /* what to print */
    int json, verbose, quiet, help, preview, verify, cpu, kernels, profile;
    const char *preview_path, *compare, *filter;
    uint64_t repeat;
    int full;
    /* positional arguments */
    char **arguments;
    int argument_count;
};

/* One subcommand. */
struct command {
    const char *name;
    unsigned bit;
    const char *arguments; /* in the usage line, after the name */
    const char *summary;   /* one line */
    const char *text;      /* paragraphs */
    const char *examples;  /* lines "command  # what for" */
    int arguments_min, arguments_max;
    int (*run)(const struct options *options);
};

/* All subcommands, ended by NULL. */
extern const struct command *const commands[];
extern const struct command command_convert, command_info, command_describe, command_draw, command_chat,
    command_probe, command_bench;

/* Parses argv[1..] of a subcommand. 0, or the exit code after one line on stderr. */
int options_parse(struct options *options, const struct command *command, int argc, char **argv);

/* `tessera CMD --help`, the man page of a command (NULL: of the program) and the bash completion. */
void options_help(const struct command *command, FILE *out);
void options_man(const struct command *command, FILE *out);
void options_completion(FILE *out);

#endif
