/*
 * bench.c: `tessera bench`: the command line of the benchmarks in bench/.
 */
#include "program.h"

#include "../bench/bench.h"

#include <string.h>

static int run(const struct options *options)
{
    const char *const what = options->argument_count > 0 ? options->arguments[0] : "kernels";
    struct bench_settings settings = {
        .model = options->model,
        .repeat = options->repeat != 0 ? (unsigned)options->repeat : 5,
        .tokens = (size_t)options->tokens,
        .filter = options->filter,
        .full = options->full,
        .json = options->json,
        .quiet = options->quiet,
        .compare = options->compare,
    };
    struct tsr_settings formats = {.wants = 0};
    struct tsr_error error;
    tsr_status status;
    int code;

    code = program_formats(&formats, options);
    settings.maps = formats.map_format;
    if (code == 0)
        code = program_tiers(options, &settings.tiers);
    if (code == 0)
        code = program_load(options, &settings.load);
    if (code == 0)
        code = program_pool(options, &settings.pool);
    if (code != 0)
        return code;
    if (strcmp(what, "limits") == 0)
        status = bench_limits(&settings, &error);
    else if (strcmp(what, "kernels") == 0)
        status = bench_kernels(&settings, &error);
    else if (strcmp(what, "model") == 0)
        status = bench_model(&settings, &error);
    else
        status = tsr_fail(&error, TSR_USAGE, "no benchmark '%.40s': limits, kernels or model", what);
    tsr_pool_free(settings.pool);
    return status == TSR_OK ? 0 : program_fail(&error);
}

const struct command command_bench = {
    .name = "bench",
    .bit = BENCH,
    .arguments = "[limits | kernels | model -m FILE.gguf] [flags]",
    .summary = "measure: the machine's limits, the kernels' share of them, models",
    .text = "limits: read bandwidth, int8, bf16 and f32 peaks, L2 and L3. kernels: time, rate and share of the\n"
            "limit measured just before and after, oneDNN beside ours; a kernel is timed only after its bits\n"
            "were compared with the reference in the same process. model: prompt (pp), tokens (tg), picture\n"
            "encode, picture codes, picture decode, seconds a picture, time to open, peak memory.",
    .examples = "  tessera bench limits\n"
                "  tessera bench kernels --filter matmul -t 2\n"
                "  tessera bench model -m model.gguf\n"
                "  tessera bench kernels --json > old.json\n"
                "  tessera bench kernels --compare old.json",
    .arguments_min = 0,
    .arguments_max = 1,
    .run = run,
};
