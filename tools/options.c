/*
 * options.c: the table of flags and its parser.
 *
 * getopt_long_only does the splitting, so `-ctk q8_0`, `--temp=0.5` and `-t2` all work as llama.cpp's users
 * expect. A value is checked here against its type and range and nowhere else: a number must be the whole
 * text, without leading space; a flag that may not repeat is refused the second time. Every refusal is one
 * line that names the flag, and exit code 2.
 */
#include "options.h"
#include "program.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum type { SWITCH, WHOLE, REAL, TEXT, TEXTS };

struct flag {
    const char *name;
    char letter;
    unsigned commands;
    enum type type;
    size_t offset;
    double low, high;
    const char *meta;
    const char *help;
};

#define AT(field) offsetof(struct options, field)
#define WHOLE_MAX 18446744073709551615.0

static const struct flag flags[] = {
    {"model", 'm', RUNS | BENCH, TEXT, AT(model), 0, 0, "FILE", "model file (GGUF made by tessera convert)"},
    {"image", 0, DESCRIBE | CHAT | PROBE, TEXTS, AT(images), 0, 0, "FILE", "picture to read, PNG or JPEG; may repeat"},
    {"prompt", 'p', DESCRIBE | DRAW | CHAT, TEXT, AT(prompt), 0, 0, "TEXT", "what to ask, or what to draw"},
    {"system", 0, DESCRIBE | CHAT, TEXT, AT(system), 0, 0, "TEXT", "system prompt instead of the model's own"},
    {"output", 'o', CONVERT | DRAW | CHAT | PROBE, TEXT, AT(output), 0, 0, "PATH", "where the result goes"},
    {"type", 0, CONVERT, TEXT, AT(type), 0, 0, "TYPE", "q4_0, q8_0, f16, bf16 or f32 (default q8_0)"},
    {"type-for", 0, CONVERT, TEXTS, AT(rules), 0, 0, "PART=TYPE", "type of one part: lm, embed, head, see, draw-head, decoder; may repeat"},
    {"count", 0, DRAW, WHOLE, AT(count), 1, 64, "N", "pictures to draw at once; picture i uses seed + i (default 1)"},
    {"seed", 's', DESCRIBE | DRAW | CHAT, WHOLE, AT(seed), 0, WHOLE_MAX, "N", "seed of the random numbers (default 0)"},
    {"cfg-scale", 0, DRAW | CHAT, REAL, AT(guidance), 0, 100, "X", "guidance: how closely a drawing follows the prompt (default: the model's)"},
    {"temp", 0, DESCRIBE | DRAW | CHAT, REAL, AT(temperature), 0, 100, "X", "temperature; 0 takes the likeliest (default: text 0, pictures 1)"},
    {"top-k", 0, DESCRIBE | DRAW | CHAT, WHOLE, AT(top_k), 0, 1 << 30, "N", "choose among the N likeliest; 0: all (default 0)"},
    {"top-p", 0, DESCRIBE | DRAW | CHAT, REAL, AT(top_p), 0, 1, "X", "choose among the likeliest that make up X (default 1)"},
    {"tokens", 'n', DESCRIBE | CHAT | BENCH, WHOLE, AT(tokens), 1, 1 << 30, "N", "longest reply in tokens (default 512)"},
    {"ctx-size", 'c', RUNS, WHOLE, AT(context), 1, 1 << 30, "N", "positions of the context (default: what the job needs)"},
    {"ctk", 0, INFO | RUNS, TEXT, AT(key_type), 0, 0, "TYPE", "key and value cache: f16, q8_0 or f32 (default f16; f32 for f32 models)"},
    {"ctv", 0, INFO | RUNS, TEXT, AT(value_type), 0, 0, "TYPE", "as --ctk: one type holds both, so either flag is enough"},
    {"maps", 0, INFO | DRAW | CHAT | PROBE | BENCH, TEXT, AT(maps), 0, 0, "TYPE", "maps while a picture is decoded: f32 (default), or f16: half the memory, other bits"},
    {"preview", 0, DRAW, SWITCH, AT(preview), 0, 0, NULL, "show the picture growing on the terminal"},
    {"preview-path", 0, DRAW, TEXT, AT(preview_path), 0, 0, "FILE", "rewrite this PNG while the picture grows"},
    {"ids", 0, PROBE, TEXT, AT(ids), 0, 0, "FILE", "token ids to read: .npy (int32, int64) or text"},
    {"codes", 0, PROBE, TEXT, AT(codes), 0, 0, "FILE", "picture codes to decode: .npy or text"},
    {"encode", 0, PROBE, TEXT, AT(pixels), 0, 0, "FILE", "picture to encode to codes"},
    {"verify", 0, INFO | RUNS, SWITCH, AT(verify), 0, 0, NULL, "check every checksum of the model file"},
    {"cpu", 0, INFO, SWITCH, AT(cpu), 0, 0, NULL, "what CPU was found, what is used and why"},
    {"kernels", 0, INFO, SWITCH, AT(kernels), 0, 0, NULL, "which kernel each operator uses"},
    {"threads", 't', EVERY, WHOLE, AT(threads), 1, 1024, "N", "threads (default: the performance cores that may be used)"},
    {"pin", 0, RUNS | BENCH, SWITCH, AT(pin), 0, 0, NULL, "bind each thread to a core"},
    {"numa", 0, INFO | RUNS | BENCH, TEXT, AT(numa), 0, 0, "MODE", "memory of several NUMA nodes: auto (default: where it is first touched), interleave, bind (threads and memory on one node) or bind:NODE; what a mapped file has in memory already stays there, but for --load read or huge"},
    {"cpu-isa", 0, INFO | RUNS | BENCH, TEXT, AT(tiers), 0, 0, "TIER", "use kernels up to this tier (ref, avx2, avx512, ...), or without: -avx512 (also TESSERA_CPU)"},
    {"math", 0, INFO | RUNS | BENCH, TEXT, AT(math), 0, 0, "MODE", "exact: the same bits on every machine (default); fast: bf16 products where they take less time"},
    {"load", 0, INFO | RUNS | BENCH, TEXT, AT(load), 0, 0, "HOW", "map (default), read or huge (huge pages)"},
    {"force", 0, RUNS, SWITCH, AT(force), 0, 0, NULL, "run although the memory plan does not fit"},
    {"profile", 0, DESCRIBE | DRAW | PROBE, SWITCH, AT(profile), 0, 0, NULL, "say on stderr where the time went, operator by operator"},
    {"repeat", 'r', BENCH, WHOLE, AT(repeat), 1, 1000, "N", "repetitions (default 5)"},
    {"filter", 0, BENCH, TEXT, AT(filter), 0, 0, "TEXT", "only kernels or tests whose name contains TEXT"},
    {"compare", 0, BENCH, TEXT, AT(compare), 0, 0, "FILE", "compare with a saved --json run; exit 1 if slower than noise"},
    {"full", 0, BENCH, SWITCH, AT(full), 0, 0, NULL, "all shapes and tiers, not only the short list"},
    {"json", 0, EVERY & ~(CHAT | PROBE), SWITCH, AT(json), 0, 0, NULL, "machine-readable output"},
    {"verbose", 'v', EVERY, SWITCH, AT(verbose), 0, 0, NULL, "say more on stderr: plan, timings"},
    {"quiet", 'q', EVERY, SWITCH, AT(quiet), 0, 0, NULL, "no progress"},
    {"help", 'h', EVERY, SWITCH, AT(help), 0, 0, NULL, "this help"},
};

enum { FLAGS = sizeof flags / sizeof *flags, NO_LETTER = 256 };

static int refuse(const char *name, const char *value, const char *why)
{
    return program_error(TSR_USAGE, "--%s %.60s: %s", name, value, why);
}

static int parse_whole(const struct flag *flag, const char *text, uint64_t *out)
{
    unsigned long long value;
    char *end;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0')
        return refuse(flag->name, text, "not a whole number");
    if (errno == ERANGE || (double)value < flag->low || (double)value > flag->high)
        return program_error(TSR_USAGE, "--%s %.60s: must be from %.0f to %.0f", flag->name, text,
                             flag->low, flag->high);
    *out = value;
    return 0;
}

static int parse_real(const struct flag *flag, const char *text, double *out)
{
    char *end;
    double value;

    value = strtod(text, &end);
    if (isspace((unsigned char)text[0]) || end == text || *end != '\0' || !isfinite(value))
        return refuse(flag->name, text, "not a number");
    if (value < flag->low || value > flag->high)
        return program_error(TSR_USAGE, "--%s %.60s: must be from %g to %g", flag->name, text,
                             flag->low, flag->high);
    *out = value;
    return 0;
}

static int store(struct options *options, const struct flag *flag, const char *value)
{
    char *const at = (char *)options + flag->offset;

    switch (flag->type) {
    case SWITCH:
        *(int *)at = 1;
        return 0;
    case WHOLE:
        return parse_whole(flag, value, (uint64_t *)at);
    case REAL:
        return parse_real(flag, value, (double *)at);
    case TEXT:
        *(const char **)at = value;
        return 0;
    case TEXTS: {
        struct texts *texts = (struct texts *)at;

        if (texts->count == IMAGES_MAX)
            return refuse(flag->name, value, "given too often");
        texts->items[texts->count++] = value;
        return 0;
    }
    }
    return 0;
}

/* getopt's tables for the flags of one command; `where[i]` is the row of long option i. */
struct tables {
    struct option longs[FLAGS + 1];
    char shorts[2 * FLAGS + 3];
    int row_of_letter[256];
};

static void make_tables(struct tables *tables, unsigned command)
{
    size_t longs = 0, shorts = 0;

    memset(tables, 0, sizeof *tables);
    tables->shorts[shorts++] = ':';
    for (int i = 0; i < FLAGS; i++) {
        const struct flag *flag = &flags[i];
        const int argument = flag->type == SWITCH ? no_argument : required_argument;

        if (!(flag->commands & command))
            continue;
        tables->longs[longs++] = (struct option){flag->name, argument, NULL, NO_LETTER + i};
        if (flag->letter != 0) {
            tables->row_of_letter[(unsigned char)flag->letter] = i;
            tables->shorts[shorts++] = flag->letter;
            if (argument == required_argument)
                tables->shorts[shorts++] = ':';
        }
    }
}

int options_parse(struct options *options, const struct command *command, int argc, char **argv)
{
    unsigned char seen[FLAGS] = {0};
    struct tables tables;
    int got;

    memset(options, 0, sizeof *options);
    options->temperature = options->guidance = -1;
    options->top_p = 1;
    make_tables(&tables, command->bit);
    opterr = 0;
    optind = 1;
    while ((got = getopt_long_only(argc, argv, tables.shorts, tables.longs, NULL)) != -1) {
        int row, code;

        if (got == '?')
            return program_error(TSR_USAGE, "unknown flag %.60s; see tessera %s --help",
                                 argv[optind - 1], command->name);
        if (got == ':')
            return program_error(TSR_USAGE, "flag %.60s needs a value; see tessera %s --help",
                                 argv[optind - 1], command->name);
        row = got >= NO_LETTER ? got - NO_LETTER : tables.row_of_letter[got];
        if (seen[row]++ && flags[row].type != TEXTS && flags[row].type != SWITCH)
            return program_error(TSR_USAGE, "flag --%s is given twice", flags[row].name);
        code = store(options, &flags[row], optarg);
        if (code != 0)
            return code;
    }
    options->arguments = argv + optind;
    options->argument_count = argc - optind;
    if (options->help)
        return 0;
    if (options->argument_count < command->arguments_min)
        return program_error(TSR_USAGE, "usage: tessera %s %s", command->name, command->arguments);
    if (options->argument_count > command->arguments_max)
        return program_error(TSR_USAGE, "'%.60s' is one argument too many; usage: tessera %s %s",
                             options->arguments[command->arguments_max], command->name,
                             command->arguments);
    return 0;
}

/* ---- help, man pages, completion ------------------------------------------------------------------- */

void options_help(const struct command *command, FILE *out)
{
    fprintf(out, "tessera %s - %s\n\nusage: tessera %s %s\n\n%s\n\nflags:\n", command->name,
            command->summary, command->name, command->arguments, command->text);
    for (int i = 0; i < FLAGS; i++) {
        const struct flag *flag = &flags[i];
        char left[64];

        if (!(flag->commands & command->bit))
            continue;
        snprintf(left, sizeof left, "%c%c%s --%s %s", flag->letter != 0 ? '-' : ' ',
                 flag->letter != 0 ? flag->letter : ' ', flag->letter != 0 ? "," : " ", flag->name,
                 flag->meta != NULL ? flag->meta : "");
        fprintf(out, "  %-26s %s\n", left, flag->help);
    }
    fprintf(out, "\nexamples:\n%s\n", command->examples);
}

/* Writes text with roff's special characters escaped; a line that starts with '.' or ' gets a guard. */
static void roff(FILE *out, const char *text)
{
    int start = 1;

    for (; *text != '\0'; text++) {
        if (start && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        if (*text == '-')
            fputs("\\-", out);
        else if (*text == '\\')
            fputs("\\e", out);
        else
            fputc(*text, out);
        start = *text == '\n';
    }
}

static void man_head(const char *name, const char *summary, FILE *out)
{
    fprintf(out, ".TH \"TESSERA%s%s\" 1 \"\" \"tessera %s\" \"User Commands\"\n.SH NAME\ntessera%s%s \\- ",
            name != NULL ? "\\-" : "", name != NULL ? name : "", PACKAGE_VERSION,
            name != NULL ? "\\-" : "", name != NULL ? name : "");
    roff(out, summary);
    fputs("\n.SH SYNOPSIS\n", out);
}

static void man_foot(FILE *out)
{
    fputs(".SH EXIT STATUS\n"
          "0 ok, 1 internal error, 2 usage, 3 input or output, 4 malformed input, 5 unsupported,\n"
          "6 memory, 7 CPU, 8 checksum, 130 interrupted.\n"
          ".SH ENVIRONMENT\n.TP\nTESSERA_CPU\nas \\-\\-cpu\\-isa, which wins over it.\n",
          out);
}

static void man_flags(unsigned bit, FILE *out)
{
    fputs(".SH OPTIONS\n", out);
    for (int i = 0; i < FLAGS; i++) {
        const struct flag *flag = &flags[i];

        if (!(flag->commands & bit))
            continue;
        fputs(".TP\n", out);
        if (flag->letter != 0)
            fprintf(out, "\\fB\\-%c\\fR, ", flag->letter);
        fputs("\\fB\\-\\-", out);
        roff(out, flag->name);
        fputs("\\fR", out);
        if (flag->meta != NULL)
            fprintf(out, " \\fI%s\\fR", flag->meta);
        fputc('\n', out);
        roff(out, flag->help);
        fputc('\n', out);
    }
}

void options_man(const struct command *command, FILE *out)
{
    if (command == NULL) {
        man_head(NULL, "unified multimodal models on CPUs: read pictures, draw pictures", out);
        fputs("\\fBtessera\\fR \\fICOMMAND\\fR [\\fIarguments\\fR]\n.SH DESCRIPTION\n"
              "Runs one model that reads pictures and text, and draws pictures and writes text.\n",
              out);
        for (size_t c = 0; commands[c] != NULL; c++) {
            fprintf(out, ".TP\n\\fBtessera\\-%s\\fR(1)\n", commands[c]->name);
            roff(out, commands[c]->summary);
            fputc('\n', out);
        }
        fputs(".SH FILES\n.TP\n\\fI/usr/share/tessera/mini\\-janus\\-Q8_0.gguf\\fR\n"
              "a small model that comes with the program (below another prefix if it was installed there)\n",
              out);
        man_foot(out);
        return;
    }
    man_head(command->name, command->summary, out);
    fprintf(out, "\\fBtessera %s\\fR ", command->name);
    roff(out, command->arguments);
    fputs("\n.SH DESCRIPTION\n", out);
    roff(out, command->text);
    fputc('\n', out);
    man_flags(command->bit, out);
    fputs(".SH EXAMPLES\n.nf\n", out);
    roff(out, command->examples);
    fputs("\n.fi\n", out);
    man_foot(out);
    fputs(".SH SEE ALSO\n\\fBtessera\\fR(1)\n", out);
}

void options_completion(FILE *out)
{
    fputs("# bash completion for tessera(1); made by `tessera help --completion`\n"
          "_tessera()\n{\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} flags=\n"
          "    case ${COMP_WORDS[1]} in\n",
          out);
    for (size_t c = 0; commands[c] != NULL; c++) {
        fprintf(out, "    %s) flags=\"", commands[c]->name);
        for (int i = 0; i < FLAGS; i++)
            if (flags[i].commands & commands[c]->bit)
                fprintf(out, "--%s ", flags[i].name);
        fputs("\" ;;\n", out);
    }
    fputs("    esac\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "        COMPREPLY=($(compgen -W \"",
          out);
    for (size_t c = 0; commands[c] != NULL; c++)
        fprintf(out, "%s ", commands[c]->name);
    fputs("help\" -- \"$word\"))\n"
          "    elif [[ $word == -* ]]; then\n"
          "        COMPREPLY=($(compgen -W \"$flags\" -- \"$word\"))\n"
          "    else\n"
          "        COMPREPLY=($(compgen -f -- \"$word\"))\n"
          "    fi\n"
          "}\n"
          "complete -o filenames -F _tessera tessera\n",
          out);
}
