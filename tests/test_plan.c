/*
 * test_plan.c: the memory plan that the program says with -v against the peak that the system saw
 * (ru_maxrss): within 5 % or 16 MiB, for a description and a drawing by the shipped model.
 */
#include "conditions.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs the program with stderr to us; what the plan says and the peak was, in MiB. */
static void run(const char *const *arguments, double *plan, double *peak)
{
    char text[4096] = "";
    size_t used = 0;
    struct rusage usage;
    int ends[2], status;
    ssize_t got;
    pid_t child;
    const char *total;

    cr_assert_eq(pipe(ends), 0);
    child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        char path[4096];

        snprintf(path, sizeof path, "%s/tessera", getenv("TSR_BUILDDIR"));
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        dup2(ends[1], STDOUT_FILENO);
        execv(path, (char *const *)arguments);
        _exit(127);
    }
    close(ends[1]);
    while ((got = read(ends[0], text + used, sizeof text - 1 - used)) > 0)
        used += (size_t)got;
    close(ends[0]);
    cr_assert_eq(wait4(child, &status, 0, &usage), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", text);
    total = strstr(text, ", total ");
    cr_assert_not_null(total, "no plan in: %s", text);
    *plan = atof(total + strlen(", total "));
    *peak = (double)usage.ru_maxrss / 1024;
}

static void check(const char *const *arguments)
{
    double plan, peak, most;

    if (!judged("the plan against the peak"))
        cr_skip_test("not judged here"); /* Criterion is silent about it */
    run(arguments, &plan, &peak);
    most = plan * 0.05 > 16 ? plan * 0.05 : 16;
    cr_expect(peak - plan <= most && plan - peak <= most, "%s: planned %.1f MiB, took %.1f",
              arguments[1], plan, peak);
}

static const char *source(char *path, size_t bytes, const char *name)
{
    snprintf(path, bytes, "%s/model/mini/%s", getenv("TSR_SRCDIR"), name);
    return path;
}

Test(plan, describe)
{
    char model[4096], picture[4096];
    const char *const arguments[] = {"tessera", "describe", "-v", "-m",
                                     source(model, sizeof model, "mini-janus-Q8_0.gguf"), "--image",
                                     source(picture, sizeof picture, "example.png"), NULL};
    check(arguments);
}

Test(plan, draw)
{
    char model[4096], drawn[4096];

    snprintf(drawn, sizeof drawn, "%s/plan.png", getenv("TSR_BUILDDIR"));
    const char *const arguments[] = {"tessera", "draw", "-v", "-m",
                                     source(model, sizeof model, "mini-janus-Q8_0.gguf"), "-p",
                                     "a red circle", "-o", drawn, NULL};
    check(arguments);
    remove(drawn);
}
