/*
 * profile.c: --profile: where the time of a job went, operator by operator, on stderr.
 *
 * The machine's rates are measured before the job, on its threads. A row says how often an operator
 * ran, its time, bytes and operations, and which share of the time its calls would need at these
 * rates. What was spent on making a prompt and on writing pictures to files has rows of its own, and so has what
 * lies between all these: the rows add up to the wall time, which runs from the opened context to the end of the job.
 */
#include "program.h"

#include "../bench/bench.h"

#include <stdlib.h>

int profile_open(struct session *session, const struct options *options, uint32_t tiers)
{
    const struct bench_settings settings = {.pool = session->pool, .tiers = tiers};
    struct tsr_error error;

    if (!options->profile)
        return 0;
    session->profile = calloc(1, sizeof *session->profile);
    if (session->profile == NULL)
        return program_error(TSR_MEMORY, "no memory for a profile");
    if (bench_rates(&settings, session->profile, &error) != TSR_OK)
        return program_fail(&error);
    return 0;
}

static void print_row(const char *name, const struct tsr_profile_row *row, double wall)
{
    fprintf(stderr, "%-17s %8llu %9.4f %7.1f%% %9.3f %9.2f", name, (unsigned long long)row->calls,
            row->seconds, 100 * row->seconds / wall, (row->work.weights + row->work.rows) / 1e9,
            row->work.operations / 1e9);
    if (row->seconds > 0 && row->least > 0)
        fprintf(stderr, " %8.0f%%", 100 * row->least / row->seconds);
    fputc('\n', stderr);
}

static void print_rest(const char *name, double seconds, double wall)
{
    if (seconds <= 0)
        return;
    fprintf(stderr, "%-17s %8s %9.4f %7.1f%%\n", name, "", seconds, 100 * seconds / wall);
}

void profile_print(const struct session *session, double wall)
{
    const struct tsr_profile *const profile = session->profile;
    struct tsr_profile_row all = {0};
    uint8_t order[TSR_OPS];

    for (size_t op = 0; op < TSR_OPS; op++) { /* slowest first */
        size_t at = op;

        for (; at > 0 && profile->rows[order[at - 1]].seconds < profile->rows[op].seconds; at--)
            order[at] = order[at - 1];
        order[at] = (uint8_t)op;
    }
    fflush(stdout); /* a reply ends before the table begins */
    fprintf(stderr, "%-17s %8s %9s %8s %9s %9s %9s\n", "operator", "calls", "seconds", "of wall",
            "GB", "Gop", "of limit");
    for (size_t i = 0; i < TSR_OPS && profile->rows[order[i]].calls > 0; i++) {
        const struct tsr_profile_row *const row = &profile->rows[order[i]];

        print_row(tsr_op_names[order[i]], row, wall);
        all.calls += row->calls;
        all.seconds += row->seconds;
        all.least += row->least;
        all.work.operations += row->work.operations;
        all.work.weights += row->work.weights;
        all.work.rows += row->work.rows;
    }
    print_row("operators", &all, wall);
    print_rest("preparing prompt", session->asking, wall);
    print_rest("writing files", session->writing, wall);
    print_rest("between them", wall - all.seconds - session->asking - session->writing, wall);
    fprintf(stderr,
            "limits: read %.1f GB/s, L2 copy %.0f GB/s, f32 %.0f GFLOP/s, int8 %.0f GOP/s\n",
            profile->read / 1e9, profile->copy / 1e9, profile->f32 / 1e9, profile->int8 / 1e9);
}
