/*
 * session.c: a model opened for a job, with its memory planned before anything of size is touched.
 *
 * Opening a model maps it and reads its header: little memory. The plan then says what this job will touch;
 * if that exceeds what the machine, the control group or the address-space limit grants, the job is refused
 * with both numbers (exit 6) unless --force says to go on.
 */
#include "program.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { LINE = 512 };

/* "Name:   123 kB" in a file like /proc/meminfo; 0 if it is not there. */
static uint64_t kilobytes(const char *path, const char *name)
{
    char line[LINE];
    uint64_t value = 0;
    FILE *file = fopen(path, "re");

    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            value = strtoull(line + strlen(name), NULL, 10) * 1024;
    fclose(file);
    return value;
}

uint64_t memory_available(void)
{
    uint64_t least = kilobytes("/proc/meminfo", "MemAvailable:");
    const uint64_t group = tsr_cgroup_memory(NULL);
    struct rlimit limit;

    if (least == 0)
        least = UINT64_MAX;
    least = group < least ? group : least;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        const uint64_t used = kilobytes("/proc/self/status", "VmSize:");
        const uint64_t left = limit.rlim_cur > used ? limit.rlim_cur - used : 0;

        least = left < least ? left : least;
    }
    return least;
}

/* -ctk and -ctv: one type holds keys and values. */
static int cache_type(uint32_t *format, const struct options *options)
{
    const char *const type = options->key_type != NULL ? options->key_type : options->value_type;

    if (type == NULL)
        return 0;
    if (options->value_type != NULL && strcmp(type, options->value_type) != 0)
        return program_error(TSR_USAGE,
                             "--ctk %.40s --ctv %.40s: keys and values have the same type; give one",
                             type, options->value_type);
    if (tsr_format_parse(format, type, NULL) == TSR_OK &&
        (*format == TSR_F16 || *format == TSR_F32 || *format == TSR_T8))
        return 0;
    return program_error(TSR_USAGE, "--%s %.40s: must be f16, q8_0 or f32",
                         options->key_type != NULL ? "ctk" : "ctv", type);
}

/* --maps. */
static int map_type(uint32_t *format, const struct options *options)
{
    *format = TSR_F32;
    if (options->maps == NULL || (tsr_format_parse(format, options->maps, NULL) == TSR_OK &&
                                  (*format == TSR_F16 || *format == TSR_F32)))
        return 0;
    return program_error(TSR_USAGE, "--maps %.40s: must be f32 or f16", options->maps);
}

int program_formats(struct tsr_settings *settings, const struct options *options)
{
    settings->cache_format = ~0u;
    if (cache_type(&settings->cache_format, options) != 0)
        return TSR_USAGE;
    return map_type(&settings->map_format, options);
}

static int fill_settings(struct tsr_settings *settings, const struct options *options, unsigned wants)
{
    *settings = (struct tsr_settings){
        .context = (size_t)options->context,
        .seed = options->seed,
        .temperature = (float)options->temperature,
        .top_k = (size_t)options->top_k,
        .top_p = (float)options->top_p,
        .guidance = (float)options->guidance,
        .tokens_max = (size_t)options->tokens,
        .count = (unsigned)options->count,
        .wants = wants,
    };
    if (program_formats(settings, options) != 0)
        return TSR_USAGE;
    return program_tiers(options, &settings->tiers);
}

static int check_memory(const struct session *session, const struct options *options)
{
    const uint64_t available = memory_available();
    const double mib = 1024 * 1024;

    if (options->verbose)
        fprintf(stderr, "memory: weights %.1f MiB, cache %.1f MiB, buffers %.1f MiB, total %.1f MiB\n",
                (double)session->plan.weights / mib, (double)session->plan.cache / mib,
                (double)session->plan.buffers / mib, (double)session->plan.total / mib);
    if (options->force || session->plan.total <= available)
        return 0;
    return program_error(TSR_MEMORY,
                         "this job needs %.1f MiB and %.1f MiB are available; use a smaller type, "
                         "fewer pictures, --maps f16 or a shorter context, or --force to go on",
                         (double)session->plan.total / mib, (double)available / mib);
}

/* A text has at most a token a byte; beside it the template and the model's own system text. */
size_t session_positions(const struct tsr_model_info *info, const struct options *options,
                         unsigned wants)
{
    enum { TEMPLATE = 128, PROMPT = 64, TOKENS = 512, AROUND = 2 /* begin and end of a picture */ };
    const size_t pictures = options->images.count > 0 ? options->images.count : 1;
    const size_t prompt = options->prompt != NULL ? strlen(options->prompt) : PROMPT;
    const size_t system = options->system != NULL ? strlen(options->system) : 0;
    size_t positions = TEMPLATE + prompt + system;

    if (wants == (TSR_TEXT | TSR_SEE))
        positions += pictures * (info->see_tokens + AROUND) +
                     (options->tokens > 0 ? (size_t)options->tokens : TOKENS);
    else if (wants == TSR_PICTURE)
        positions += info->picture_codes;
    else
        return 0;
    return positions < info->context_max ? positions : info->context_max;
}

int session_open(struct session *session, const struct options *options, unsigned wants)
{
    struct tsr_settings settings;
    struct tsr_error error;
    int code;

    memset(session, 0, sizeof *session);
    if (options->model == NULL)
        return program_error(TSR_USAGE, "no model: give one with -m FILE.gguf");
    code = fill_settings(&settings, options, wants);
    if (code == 0 && options->numa != NULL) /* holds for what is touched afterwards: for the model, too */
        code = program_pool(options, &session->pool);
    if (code == 0)
        code = program_model(&session->model, options->model, options);
    if (code != 0)
        return code;
    tsr_model_describe(session->model, &session->info);
    if (settings.context == 0)
        settings.context = session_positions(&session->info, options, wants);
    if ((wants & TSR_PICTURE) && !(session->info.can & TSR_PICTURE))
        return program_error(TSR_USAGE, "%.100s: this model cannot draw", options->model);
    if ((wants & TSR_SEE) && !(session->info.can & TSR_SEE))
        return program_error(TSR_USAGE, "%.100s: this model cannot read pictures", options->model);
    if (tsr_plan_make(&session->plan, session->model, &settings, &error) != TSR_OK)
        return program_fail(&error);
    code = check_memory(session, options);
    if (code == 0 && session->pool == NULL) /* the plan first: stacks of threads take address space */
        code = program_pool(options, &session->pool);
    if (code == 0)
        code = profile_open(session, options, settings.tiers);
    if (code != 0)
        return code;
    settings.profile = session->profile;
    if (tsr_context_new(&session->context, session->model, session->pool, &settings, &error) != TSR_OK)
        return program_fail(&error);
    program_cancels(session->context);
    session->opened = seconds_now();
    return 0;
}

int session_ask(struct session *session, const struct options *options, const char *text,
                const struct tsr_picture *pictures, size_t count, unsigned want)
{
    const double start = seconds_now();
    tsr_context *const context = session->context;
    struct tsr_error error;

    if ((options->system != NULL && tsr_prompt_system(context, options->system, &error) != TSR_OK) ||
        tsr_prompt_user(context, text, pictures, count, &error) != TSR_OK ||
        tsr_want(context, want, &error) != TSR_OK)
        return program_fail(&error);
    session->asking += seconds_now() - start;
    return 0;
}

void session_close(struct session *session)
{
    if (session->profile != NULL && session->context != NULL)
        profile_print(session, seconds_now() - session->opened);
    program_cancels(NULL);
    tsr_context_free(session->context);
    tsr_pool_free(session->pool);
    tsr_model_close(session->model);
    free(session->profile);
}
