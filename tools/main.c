/*
 * main.c: the program `tessera`: chooses the subcommand.
 *
 * The CPU is checked first: below the floor (x86-64 with AVX2 and FMA, or AArch64) every command prints one
 * line and exits 7, before any kernel runs. Then `tessera COMMAND [flags]`; the commands are the table below.
 */
#include "program.h"

#include <string.h>

const struct command *const commands[] = {&command_convert, &command_info,  &command_describe,
                                          &command_draw,    &command_chat,  &command_probe,
                                          &command_bench,   NULL};

static int print_version(void)
{
    printf("tessera %s\n", PACKAGE_VERSION);
    return program_flush();
}

static void print_usage(FILE *out)
{
    fputs("tessera - unified multimodal models on CPUs: read pictures, draw pictures\n\n"
          "usage: tessera COMMAND [flags]\n\n",
          out);
    for (size_t i = 0; commands[i] != NULL; i++)
        fprintf(out, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n  tessera COMMAND --help tells more.\n"
          "\nexamples:\n"
          "  tessera describe -m model.gguf --image photo.png\n"
          "  tessera draw -m model.gguf -p \"a red circle\" -o circle.png\n",
          out);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; commands[i] != NULL; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

/* tessera help [--man|--completion] [COMMAND] */
static int run_help(int argc, char **argv)
{
    const int man = argc > 0 && strcmp(argv[0], "--man") == 0;
    const struct command *command;

    if (argc > 0 && strcmp(argv[0], "--completion") == 0) {
        options_completion(stdout);
        return program_flush();
    }
    if (argc - man > 0) {
        command = find_command(argv[man]);
        if (command == NULL)
            return program_error(TSR_USAGE, "no command '%.60s'; see tessera --help", argv[man]);
        (man ? options_man : options_help)(command, stdout);
    } else if (man) {
        options_man(NULL, stdout);
    } else {
        print_usage(stdout);
    }
    return program_flush();
}

int main(int argc, char **argv)
{
    const struct command *command;
    struct options options;
    int code;

    program_descriptors();
    program_catch();
    if (tsr_cpu_tiers() == 0)
        return program_error(TSR_CPU, "this CPU is below the floor: tessera needs x86-64 with AVX2, FMA, "
                                      "F16C and BMI2, or AArch64");
    if (argc < 2) {
        print_usage(stderr);
        return TSR_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0)
        return print_version();
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return run_help(0, NULL);
    if (strcmp(argv[1], "help") == 0)
        return run_help(argc - 2, argv + 2);
    command = find_command(argv[1]);
    if (command == NULL)
        return program_error(TSR_USAGE, "no command '%.60s'; see tessera --help", argv[1]);
    code = options_parse(&options, command, argc - 1, argv + 1);
    if (code != 0)
        return code;
    if (options.help) {
        options_help(command, stdout);
        return program_flush();
    }
    json_begin();
    code = command->run(&options);
    return code == 0 ? program_flush() : code;
}
