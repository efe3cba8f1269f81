/* The shim's only voice: one line on stderr in one write, when something is refused. Never on a path that
 * succeeds. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/paths.h"
#include "shim/say.h"

void shim_say(const char *fmt, ...)
{
    char line[640] = "vgpu: ";
    const size_t room = sizeof(line) - 1; /* for the newline */
    const char *level = paths_env("VGPU_LOG");
    size_t n = strlen(line);
    const int kept_errno = errno;
    va_list args;
    int r;

    if (level && strcmp(level, "none") == 0)
        return;
    va_start(args, fmt);
    r = vsnprintf(line + n, room - n, fmt, args);
    va_end(args);
    if (r < 0)
        return;
    n = strlen(line);
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, n) < 0)
        errno = kept_errno; /* nobody is left to tell */
}
