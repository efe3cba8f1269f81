/* Log lines; see say.h. One write a line, so that lines of a dying and a starting daemon do not mix. */
#include "daemon/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

void say(const char *fmt, ...)
{
    char line[1024];
    struct tm tm;
    time_t now = time(NULL);
    size_t at;
    va_list ap;

    localtime_r(&now, &tm);
    at = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S ", &tm);
    at += (size_t)snprintf(line + at, sizeof(line) - at, "vgpud[%d]: ", (int)getpid());
    va_start(ap, fmt);
    vsnprintf(line + at, sizeof(line) - at, fmt, ap);
    va_end(ap);
    dprintf(STDERR_FILENO, "%s\n", line);
}
