/*
 * info.c: `tessera info`: what is in a model file and what running it takes; what the CPU is and which kernels
 * it gets.
 */
#include "program.h"

#include <string.h>

static double mib(size_t bytes)
{
    return (double)bytes / (1024 * 1024);
}

/* ---- --cpu ----------------------------------------------------------------------------------------- */

static int show_cpu(const struct options *options)
{
    const struct tsr_pool_options wanted = {.threads = (unsigned)options->threads, .numa = options->numa};
    const uint32_t able = tsr_cpu_tiers() | tsr_cpu_fast_tiers(), slow = tsr_cpu_slow_tiers();
    struct tsr_topology found;
    struct tsr_error error;
    uint32_t tiers;
    int code = program_tiers(options, &tiers);

    if (code != 0)
        return code;
    if (tsr_topology_read(&found, &wanted, &error) != TSR_OK)
        return program_fail(&error);
    if (options->json) {
        json_t *list = json_array();

        for (size_t i = 0; i < TSR_TIERS; i++)
            if (tiers >> i & 1)
                json_array_append_new(list, json_string(tsr_tier_names[i]));
        return json_print(json_pack("{s:i,s:i,s:i,s:f,s:i,s:i,s:I,s:I,s:I,s:i,s:s,s:s,s:s,s:o}", "cores", (int)found.cores,
                               "performance_cores", (int)found.performance, "usable", (int)found.usable,
                               "quota", found.quota, "numa_nodes", (int)found.numa_nodes, "numa_used",
                               (int)found.numa_used, "l1",
                               (json_int_t)found.l1_bytes, "l2", (json_int_t)found.l2_bytes, "l3",
                               (json_int_t)found.l3_bytes, "threads", (int)found.threads, "why",
                               found.why, "cpus", found.cpus, "memory", found.memory, "tiers", list),
                          JSON_INDENT(1));
    }
    printf("cores        %u", found.cores);
    if (found.performance < found.cores)
        printf(": %u fast, %u slower", found.performance, found.cores - found.performance);
    printf("\nusable       %u (by affinity and cpuset)\n", found.usable);
    if (found.quota > 0)
        printf("cpu quota    the time of %.2f CPUs (cgroup)\n", found.quota);
    else
        printf("cpu quota    none\n");
    printf("numa nodes   %u\n", found.numa_nodes);
    if (found.l1_bytes + found.l2_bytes + found.l3_bytes > 0)
        printf("caches       L1 %zu KiB, L2 %zu KiB, L3 %zu KiB\n", found.l1_bytes / 1024,
               found.l2_bytes / 1024, found.l3_bytes / 1024);
    else
        printf("caches       unknown: the kernel does not tell\n");
    printf("threads      %s\n", found.why);
    printf("on cpus      %s\n", found.cpus);
    printf("memory       %s\n", found.memory);
    for (size_t i = 0; i < TSR_TIERS; i++)
        printf("tier         %-10s %-29s %s\n", tsr_tier_names[i], tsr_tier_texts[i],
               tiers >> i & 1    ? "in use"
               : !(able >> i & 1) ? "not in this CPU"
               : slow >> i & 1    ? "able, but slow here"
               : tsr_fast_tiers >> i & 1 ? "with --math fast"
                                  : "switched off");
    return 0;
}

/* ---- --kernels ------------------------------------------------------------------------------------- */

static int show_kernels(const struct options *options)
{
    struct tsr_kernels chosen;
    uint32_t tiers;
    int code = program_tiers(options, &tiers);

    if (code != 0)
        return code;
    chosen = tsr_kernels_select(tiers);
    if (options->json) {
        json_t *object = json_object();

        for (size_t i = 0; i < TSR_OPS; i++)
            json_object_set_new(object, tsr_op_names[i], json_string(tsr_tier_names[chosen.tier[i]]));
        return json_print(json_pack("{s:o,s:I}", "kernels", object, "math_fingerprint",
                               (json_int_t)tsr_math_fingerprint()),
                          JSON_INDENT(1));
    }
    for (size_t op = 0; op < TSR_OPS; op++) {
        printf("%-18s %-10s of", tsr_op_names[op], tsr_tier_names[chosen.tier[op]]);
        for (size_t i = 0; i < tsr_impl_count; i++)
            if (tsr_impls[i].op == op && tsr_impls[i].bound > 0)
                printf(" %s (within %.1e)", tsr_tier_names[tsr_impls[i].tier], (double)tsr_impls[i].bound);
            else if (tsr_impls[i].op == op)
                printf(" %s", tsr_tier_names[tsr_impls[i].tier]);
        putchar('\n');
    }
    printf("math fingerprint   %08x\n", (unsigned)tsr_math_fingerprint());
    return 0;
}

/* ---- a file ---------------------------------------------------------------------------------------- */

static const struct {
    const char *job;
    unsigned wants;
} jobs[] = {{"describe", TSR_TEXT | TSR_SEE}, {"draw", TSR_PICTURE}, {"chat", TSR_TEXT}};

enum { JOBS = sizeof jobs / sizeof *jobs };

static void print_tensors(const tsr_gguf *file)
{
    for (size_t i = 0; i < tsr_gguf_tensor_count(file); i++) {
        const struct tsr_tensor *tensor = tsr_gguf_tensor_at(file, i);

        printf("  %-40s %-5s %7zu x %-7zu %10.3f MiB\n", tensor->name,
               tsr_format_name(tensor->tile.format), tensor->tile.n, tensor->tile.k,
               mib(tensor->bytes));
    }
}

/* Of a job, with the formats of `settings`. */
static tsr_status job_plan(struct tsr_plan *plan, const tsr_model *model, const struct options *options,
                           const struct tsr_model_info *info, struct tsr_settings settings, unsigned wants,
                           struct tsr_error *error)
{
    settings.context = session_positions(info, options, wants);
    settings.wants = wants;
    return tsr_plan_make(plan, model, &settings, error);
}

static int show_text(const tsr_model *model, const struct options *options, const struct tsr_settings *formats)
{
    const tsr_gguf *const file = tsr_model_file(model);
    struct tsr_model_info info;
    char value[120];
    const char *key;

    tsr_model_describe(model, &info);
    printf("family       %s%s%s\n", info.family, info.name[0] != '\0' ? ", " : "", info.name);
    printf("can          %s%s%s\n", info.can & TSR_TEXT ? "write " : "", info.can & TSR_SEE ? "see " : "",
           info.can & TSR_PICTURE ? "draw" : "");
    printf("vocabulary   %zu, context up to %zu\n", info.vocabulary, info.context_max);
    if (info.can & TSR_PICTURE)
        printf("pictures     drawn %zux%zu from %zu codes, read as %zu positions\n", info.picture_width,
               info.picture_height, info.picture_codes, info.see_tokens);
    for (size_t i = 0; i < JOBS; i++) {
        struct tsr_error error;
        struct tsr_plan plan;

        if ((info.can & jobs[i].wants) != jobs[i].wants)
            continue;
        if (job_plan(&plan, model, options, &info, *formats, jobs[i].wants, &error) != TSR_OK)
            return program_fail(&error);
        printf("memory       %-8s %8.1f MiB = weights %.1f + cache %.1f + buffers %.1f\n", jobs[i].job,
               mib(plan.total), mib(plan.weights), mib(plan.cache), mib(plan.buffers));
    }
    printf("tensors      %zu\n", tsr_gguf_tensor_count(file));
    if (options->verbose) {
        print_tensors(file);
        for (size_t i = 0; tsr_gguf_entry(file, i, &key, value, sizeof value); i++)
            printf("  %-40s %s\n", key, value);
    }
    if (options->verify)
        printf("checksums    all right\n");
    return 0;
}

static int show_json(const tsr_model *model, const struct options *options, const struct tsr_settings *formats)
{
    const tsr_gguf *const file = tsr_model_file(model);
    json_t *tensors = json_array(), *plans = json_object(), *metadata = json_object();
    struct tsr_model_info info;
    char value[120];
    const char *key;

    tsr_model_describe(model, &info);
    for (size_t i = 0; i < tsr_gguf_tensor_count(file); i++) {
        const struct tsr_tensor *tensor = tsr_gguf_tensor_at(file, i);

        json_array_append_new(tensors, json_pack("{s:s,s:s,s:I,s:I,s:I}", "name", tensor->name, "type",
                                                 tsr_format_name(tensor->tile.format), "n",
                                                 (json_int_t)tensor->tile.n, "k",
                                                 (json_int_t)tensor->tile.k, "bytes",
                                                 (json_int_t)tensor->bytes));
    }
    for (size_t i = 0; i < JOBS; i++) {
        struct tsr_error error;
        struct tsr_plan plan;

        if ((info.can & jobs[i].wants) != jobs[i].wants)
            continue;
        if (job_plan(&plan, model, options, &info, *formats, jobs[i].wants, &error) != TSR_OK) {
            json_decref(tensors);
            json_decref(plans);
            json_decref(metadata);
            return program_fail(&error);
        }
        json_object_set_new(plans, jobs[i].job,
                                json_pack("{s:I,s:I,s:I,s:I}", "weights", (json_int_t)plan.weights,
                                          "cache", (json_int_t)plan.cache, "buffers",
                                          (json_int_t)plan.buffers, "total", (json_int_t)plan.total));
    }
    for (size_t i = 0; tsr_gguf_entry(file, i, &key, value, sizeof value); i++)
        json_object_set_new(metadata, key, json_words(value, strlen(value)));
    return json_print(json_pack("{s:s,s:o,s:I,s:I,s:I,s:I,s:I,s:o,s:o,s:o}", "family", info.family, "name",
                           json_words(info.name, strlen(info.name)), "vocabulary", (json_int_t)info.vocabulary, "context_max",
                           (json_int_t)info.context_max, "picture_width",
                           (json_int_t)info.picture_width, "picture_height",
                           (json_int_t)info.picture_height, "picture_codes",
                           (json_int_t)info.picture_codes, "memory", plans, "tensors", tensors,
                           "metadata", metadata),
                      JSON_INDENT(1));
}

static int run(const struct options *options)
{
    struct tsr_settings formats = {.wants = 0};
    tsr_model *model;
    int code;

    if (options->cpu)
        return show_cpu(options);
    if (options->kernels)
        return show_kernels(options);
    if (options->argument_count == 0)
        return program_error(TSR_USAGE, "usage: tessera info %s", command_info.arguments);
    code = program_formats(&formats, options);
    if (code != 0)
        return code;
    code = program_model(&model, options->arguments[0], options);
    if (code == 0)
        code = options->json ? show_json(model, options, &formats) : show_text(model, options, &formats);
    tsr_model_close(model);
    return code;
}

const struct command command_info = {
    .name = "info",
    .bit = INFO,
    .arguments = "FILE.gguf [--verify] | --cpu | --kernels",
    .summary = "what is in a model, what it needs; what the CPU offers",
    .text = "For a file: family, abilities and the memory that each job needs; with -v every tensor and\n"
            "metadata entry; --verify checks every checksum (exit 8 if one is wrong).",
    .examples = "  tessera info model.gguf --verify\n"
                "  tessera info --cpu\n"
                "  tessera info --kernels --cpu-isa avx2",
    .arguments_min = 0,
    .arguments_max = 1,
    .run = run,
};
