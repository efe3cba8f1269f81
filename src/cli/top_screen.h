/* The terminal of `vgpu top`: the second screen and single keys, and all of it given back. No terminal
 * library: what is sent is understood by every terminal that can move its cursor. */
#ifndef VGPU_CLI_TOP_SCREEN_H
#define VGPU_CLI_TOP_SCREEN_H

#include <stdbool.h>
#include <termios.h>

enum { TOP_SCREEN_COLUMNS_MAX = 500, TOP_SCREEN_ROWS_MAX = 500 };

struct top_screen {
    struct termios before;
    bool entered;
    char *drawn; /* what is on it */
};

/* Whether standard input and output are a terminal that can be drawn on (TERM is set and not "dumb"). */
bool top_screen_can(void);
/* Whether it may have colours: not where NO_COLOR is set. */
bool top_screen_has_colours(void);

/* Takes the terminal: 0 or negative errno. */
int top_screen_enter(struct top_screen *screen);
/* Gives it back as it was; does nothing when it was not taken. */
void top_screen_leave(struct top_screen *screen);

void top_screen_size(unsigned *ret_columns, unsigned *ret_rows);

/* Shows text, lines with '\n' between, and keeps it; what is shown already is not sent again. 0, or negative
 * errno when the terminal is gone. */
int top_screen_show(struct top_screen *screen, char *text);
/* Forgets what is shown, so that the next one is sent whole. */
void top_screen_forget(struct top_screen *screen);

#endif
