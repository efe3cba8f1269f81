/* No door of the driver API to device memory is left open: every function that the description marks as one
 * is hooked, or refused because it is only named there, or stands here with the reason why it need not be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/lookup.h"

static const struct {
    const char *symbol, *reason;
} need_not[] = {
    {"cuCheckpointProcessRestore",
     "brings back what is charged already: a checkpoint gives nothing back to the ledger"},
    {"cuGraphAddMemFreeNode", "frees what only an allocating node makes, and that stays in the graph memory"},
    {"cuKernelGetFunction", "may load code: found at the next measurement"},
    {"cuFuncLoad", "may load code: found at the next measurement"},
};

static bool is_door(const struct cuda_row *row)
{
    switch (row->memory) {
    case API_MEMORY_ALLOC:
    case API_MEMORY_CONTEXT:
    case API_MEMORY_MODULE:
    case API_MEMORY_IMPORT:
    case API_MEMORY_GRAPH:
        return true;
    default:
        return false;
    }
}

static bool need_not_be_hooked(const char *symbol)
{
    for (size_t i = 0; i < sizeof(need_not) / sizeof(need_not[0]); i++)
        if (strcmp(need_not[i].symbol, symbol) == 0)
            return true;
    return false;
}

static void every_memory_door_is_hooked_or_has_a_reason(void **state)
{
    unsigned doors = 0, open = 0;

    for (unsigned i = 0; i < api_cuda_rows_count; i++) {
        const struct cuda_row *row = &api_cuda_rows[i];

        if (!is_door(row))
            continue;
        doors++;
        if (row->typed && !row->hooked && !need_not_be_hooked(row->symbol)) {
            fprintf(stderr, "%s is a door to memory and not hooked\n", row->symbol);
            open++;
        }
    }
    assert_true(doors > 40);
    assert_int_equal(open, 0);
}

static void every_reason_is_still_needed(void **state)
{
    for (size_t i = 0; i < sizeof(need_not) / sizeof(need_not[0]); i++) {
        const struct cuda_row *row = api_cuda_symbol(need_not[i].symbol);

        assert_non_null(row);
        assert_true(is_door(row) && !row->hooked);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_memory_door_is_hooked_or_has_a_reason),
        cmocka_unit_test(every_reason_is_still_needed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
