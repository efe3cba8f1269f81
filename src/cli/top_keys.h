/* What keys do in `vgpu top`: bytes of a terminal to keys, keys to changes of the view. Pure. */
#ifndef VGPU_CLI_TOP_KEYS_H
#define VGPU_CLI_TOP_KEYS_H

#include "cli/top_model.h"

/* Keys that are not a byte. */
enum top_key {
    TOP_KEY_ESCAPE = 256,
    TOP_KEY_UP,
    TOP_KEY_DOWN,
    TOP_KEY_PAGE_UP,
    TOP_KEY_PAGE_DOWN,
    TOP_KEY_HOME,
    TOP_KEY_END,
    TOP_KEY_OTHER
};

enum top_effect {
    TOP_NOTHING,
    TOP_REDRAW,
    TOP_REBUILD, /* other rows, of the same answers */
    TOP_ASK,     /* other answers are wanted */
    TOP_QUIT
};

/* The first key of what a terminal sent: its bytes, with the key in *ret_key. 0: its beginning only; with
 * `ended`, when nothing follows, that is the Escape key. */
size_t top_keys_decode(const char *bytes, size_t n, bool ended, int *ret_key);

/* Changes the view as the key says. page: lines of rows on the screen. */
enum top_effect top_keys_apply(struct top_view *view, const struct top_model *model, int key, unsigned page);

#endif
