/* Terminal control; see top_screen.h. */
#include "cli/top_screen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

#define ENTER "\033[?1049h\033[?25l\033[2J"
#define LEAVE "\033[0m\033[?25h\033[?1049l"

enum { COLUMNS_UNKNOWN = 80, ROWS_UNKNOWN = 24 };

bool top_screen_can(void)
{
    const char *term = getenv("TERM");

    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

bool top_screen_has_colours(void)
{
    const char *no_colour = getenv("NO_COLOR");

    return !no_colour || !*no_colour;
}

static int send_all(const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = write(STDOUT_FILENO, bytes, n);

        if (sent < 0 && errno != EINTR)
            return error_errno();
        bytes += sent > 0 ? sent : 0;
        n -= sent > 0 ? (size_t)sent : 0;
    }
    return 0;
}

int top_screen_enter(struct top_screen *screen)
{
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, &screen->before) < 0)
        return error_errno();
    raw = screen->before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_iflag &= ~(tcflag_t)(IXON | ICRNL); /* a stopped terminal would stop the program */
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0)
        return error_errno();
    screen->entered = true;
    return send_all(ENTER, strlen(ENTER));
}

void top_screen_leave(struct top_screen *screen)
{
    if (!screen->entered)
        return;
    screen->entered = false;
    send_all(LEAVE, strlen(LEAVE));
    tcsetattr(STDIN_FILENO, TCSANOW, &screen->before);
    top_screen_forget(screen);
}

void top_screen_size(unsigned *ret_columns, unsigned *ret_rows)
{
    struct winsize size = {0};

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_col || !size.ws_row)
        size = (struct winsize){.ws_col = COLUMNS_UNKNOWN, .ws_row = ROWS_UNKNOWN};
    *ret_columns = size.ws_col < TOP_SCREEN_COLUMNS_MAX ? size.ws_col : TOP_SCREEN_COLUMNS_MAX;
    *ret_rows = size.ws_row < TOP_SCREEN_ROWS_MAX ? size.ws_row : TOP_SCREEN_ROWS_MAX;
}

int top_screen_show(struct top_screen *screen, char *text)
{
    CLEANUP_FREE char *sent = NULL;
    size_t bytes = 0;
    unsigned columns, rows, line = 1;
    FILE *out;

    if (screen->drawn && !strcmp(screen->drawn, text)) {
        free(text);
        return 0;
    }
    out = open_memstream(&sent, &bytes);
    top_screen_size(&columns, &rows);
    if (!out) {
        free(text);
        return -ENOMEM;
    }
    for (const char *at = text; at && line <= rows; line++) {
        const char *end = strchr(at, '\n');

        /* Cleared before it is written: behind a full line the cursor stands on its last column. */
        fprintf(out, "\033[%u;1H\033[K%.*s", line, end ? (int)(end - at) : (int)strlen(at), at);
        at = end ? end + 1 : NULL;
    }
    if (line <= rows)
        fprintf(out, "\033[%u;1H\033[J", line);
    fclose(out);
    free(screen->drawn);
    screen->drawn = text;
    return send_all(sent, bytes);
}

void top_screen_forget(struct top_screen *screen)
{
    free(screen->drawn);
    screen->drawn = NULL;
}
