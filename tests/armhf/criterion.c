/*
 * criterion.c: runs the registered tests, each in a process of its own (see criterion.h). Prints a
 * line for each failed test and a summary; exits 1 when a test failed or there was none.
 */
#include <criterion/criterion.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct cr_test *tests;
static int failures; /* of the test that runs in this process */

void cr_register(struct cr_test *test)
{
    test->next = tests;
    tests = test;
}

void cr_check(int passed, int then, const char *format, ...)
{
    va_list arguments;

    if (passed)
        return;
    failures++;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    if (then == CR_END)
        exit(1);
}

/* Runs one test in a child process; true if it passed. */
static int passes(const struct cr_test *test)
{
    int status = 0;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        test->run();
        exit(failures > 0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 0;
    if (WIFSIGNALED(status))
        printf("signal %d\n", WTERMSIG(status));
    return status == 0;
}

int main(void)
{
    int count = 0, failed = 0;

    for (const struct cr_test *test = tests; test != NULL; test = test->next, count++)
        if (!passes(test)) {
            printf("FAIL: %s/%s\n", test->suite, test->name);
            failed++;
        }
    printf("%d tests, %d failed\n", count, failed);
    return failed > 0 || count == 0;
}
