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

/* The number in a control file of our cgroup (v2); UINT64_MAX if there is none or it says "max". */
static uint64_t cgroup_number(const char *group, const char *name)
{
    char path[2 * LINE], line[64];
    uint64_t value = UINT64_MAX;
    FILE *file;

    snprintf(path, sizeof path, "/sys/fs/cgroup%s/%s", group, name);
    file = fopen(path, "re");
    if (file == NULL)
        return value;
    if (fgets(line, sizeof line, file) != NULL && line[0] >= '0' && line[0] <= '9')
        value = strtoull(line, NULL, 10);
    fclose(file);
    return value;
}

/* What the control groups on the way to the root still grant. */
static uint64_t cgroup_available(void)
{
    char line[LINE] = "";
    uint64_t least = UINT64_MAX;
    FILE *file = fopen("/proc/self/cgroup", "re");
    char *group = NULL;

    if (file == NULL)
        return least;
    while (group == NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "0::", 3) == 0)
            group = line + 3;
    fclose(file);
    if (group == NULL)
        return least;
    group[strcspn(group, "\n")] = '\0';
    for (;;) {
        const uint64_t limit = cgroup_number(group, "memory.max");
        const uint64_t used = cgroup_number(group, "memory.current");
        char *slash;

        if (limit != UINT64_MAX && used != UINT64_MAX) {
            const uint64_t left = limit > used ? limit - used : 0;

            least = left < least ? left : least;
        }
        slash = strrchr(group, '/');
        if (slash == NULL)
            return least;
        *slash = '\0';
    }
}

uint64_t memory_available(void)
{
    uint64_t least = kilobytes("/proc/meminfo", "MemAvailable:");
    const uint64_t group = cgroup_available();
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
        .cache_format = ~0u,
        .wants = wants,
    };
    if (options->cache_type != NULL) {
        if (strcmp(options->cache_type, "f16") == 0)
            settings->cache_format = TSR_F16;
        else if (strcmp(options->cache_type, "f32") == 0)
            settings->cache_format = TSR_F32;
        else
            return program_error(TSR_USAGE, "--ctk %.40s: must be f16 or f32", options->cache_type);
    }
    if (options->math != NULL && strcmp(options->math, "exact") != 0)
        return strcmp(options->math, "fast") == 0
                   ? program_error(TSR_UNSUPPORTED, "--math fast: this build has no fast kernels; leave it out")
                   : program_error(TSR_USAGE, "--math %.40s: must be exact", options->math);
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
                         "fewer pictures or a shorter context, or --force to go on",
                         (double)session->plan.total / mib, (double)available / mib);
}

int session_open(struct session *session, const struct options *options, unsigned wants)
{
    struct tsr_model_options how = {.verify = options->verify};
    struct tsr_settings settings;
    struct tsr_error error;
    int code;

    memset(session, 0, sizeof *session);
    if (options->model == NULL)
        return program_error(TSR_USAGE, "no model: give one with -m FILE.gguf");
    code = program_load(options, &how.load);
    if (code == 0)
        code = fill_settings(&settings, options, wants);
    if (code != 0)
        return code;
    if (tsr_model_open(&session->model, options->model, &how, &error) != TSR_OK)
        return program_fail(&error);
    program_guards(tsr_model_file(session->model));
    tsr_model_describe(session->model, &session->info);
    if ((wants & TSR_PICTURE) && !(session->info.can & TSR_PICTURE))
        return program_error(TSR_USAGE, "%.100s: this model cannot draw", options->model);
    if ((wants & TSR_SEE) && !(session->info.can & TSR_SEE))
        return program_error(TSR_USAGE, "%.100s: this model cannot read pictures", options->model);
    if (tsr_plan_make(&session->plan, session->model, &settings, &error) != TSR_OK)
        return program_fail(&error);
    code = check_memory(session, options);
    if (code == 0)
        code = program_pool(options, &session->pool);
    if (code != 0)
        return code;
    if (tsr_context_new(&session->context, session->model, session->pool, &settings, &error) != TSR_OK)
        return program_fail(&error);
    program_cancels(session->context);
    return 0;
}

void session_close(struct session *session)
{
    program_cancels(NULL);
    program_guards(NULL);
    tsr_context_free(session->context);
    tsr_pool_free(session->pool);
    tsr_model_close(session->model);
}
