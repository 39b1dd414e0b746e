/*
 * error.c: errors in words. One line, whatever the caller's strings contain: a file name or a key
 * of a damaged file ends up in messages, so control bytes (terminal escapes, newlines) become '?'.
 */
#include "kernels.h"

#include <stdarg.h>
#include <stdio.h>

tsr_status tsr_fail(struct tsr_error *error, tsr_status status, const char *format, ...)
{
    va_list list;

    if (!error)
        return status;
    error->status = status;
    va_start(list, format);
    if (vsnprintf(error->message, sizeof error->message, format, list) < 0)
        error->message[0] = 0;
    va_end(list);
    for (char *c = error->message; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    return status;
}
