/* Promises of `vgpu top` without a terminal: which rows there are, in which order, what their cells say, what
 * keys do, and that no line is wider than the screen. Answers are written down as vgpud would give them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/text.h"
#include "cli/top_draw.h"
#include "cli/top_keys.h"

/* Two devices; "slow" has a part of both, "gone" of one that vgpud does not list any more. */
static const char answers_text[] =
    "{'time_ms': 1, 'daemon': {'version': '0'}, 'devices': ["
    " {'index': 0, 'uuid': 'GPU-a', 'name': 'First', 'kind': 'nvidia', 'memory_capacity_bytes': 1073741824, "
    "'memory_used_bytes': 1048576},"
    " {'index': 1, 'uuid': 'GPU-b', 'name': 'Second', 'kind': 'nvidia', 'memory_capacity_bytes': 2147483648, "
    "'memory_used_bytes': 0}],"
    " 'instances': ["
    " {'id': 'v1', 'name': 'slow', 'state': 'running', 'client_count': 2, 'policy': 'fixed-share', "
    "'priority': 'low', 'queued': 2, 'devices': ["
    "   {'uuid': 'GPU-a', 'memory_used_bytes': 1024, 'memory_limit_bytes': 2048, 'memory_peak_bytes': 1536, "
    "'denied_total': 3,"
    "    'used_permille': 101, 'rate_ppm': 100000, 'throttled_permille': 899,"
    "    'last_denied': {'age_ms': 2500, 'why': 'limit', 'call': 'cuMemAlloc_v2', 'asked_bytes': 1048576},"
    "    'last_held': {'age_ms': 10, 'why': 'debt', 'call': 'cuLaunchKernel', 'held_ns': 8968633}},"
    "   {'uuid': 'GPU-b', 'memory_used_bytes': 0, 'memory_limit_bytes': 2048, 'memory_peak_bytes': 0, "
    "'denied_total': 0,"
    "    'used_permille': 7, 'rate_ppm': 100000, 'throttled_permille': 0}],"
    "  'clients': [{'pid': 41, 'command': 'python3', 'memory_used_bytes': 1024}, {'pid': 42, 'command': "
    "'evil\\u001b[2J', 'memory_used_bytes': 0}]},"
    " {'id': 'v2', 'name': 'fast', 'state': 'ready', 'client_count': 0, 'devices': ["
    "   {'uuid': 'GPU-a', 'memory_used_bytes': 512, 'memory_limit_bytes': 4096, 'memory_peak_bytes': 512, "
    "'denied_total': 0, 'used_permille': 600}]},"
    " {'id': 'v3', 'name': 'Lost', 'state': 'orphaned', 'client_count': 0, 'devices': ["
    "   {'uuid': 'GPU-a', 'memory_used_bytes': null, 'memory_limit_bytes': 100, 'memory_peak_bytes': null, "
    "'denied_total': null}]},"
    " {'id': 'v4', 'name': 'gone', 'state': 'ready', 'client_count': 0, 'devices': [{'uuid': 'GPU-c', "
    "'name': null, 'memory_used_bytes': 1}]}]}";

struct fixture {
    struct top_model model;
    struct top_view view;
    struct top_history history;
    json_t *answers;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char *text = strdup(answers_text);

    for (char *c = text; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    f->answers = json_loads(text, 0, NULL);
    f->view.sort = TOP_SHARE;
    free(text);
    *state = f;
    return f->answers ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    top_model_done(&f->model);
    top_history_done(&f->history);
    json_decref(f->answers);
    free(f);
    return 0;
}

/* The names of all rows, with commas between, as the tree shows them without blanks before. */
static const char *names(struct fixture *f)
{
    static char all[512];
    char cell[TOP_CELL_MAX];

    assert_int_equal(top_model_build(&f->model, f->answers, &f->view), 0);
    all[0] = '\0';
    for (size_t i = 0; i < f->model.n_rows; i++) {
        top_row_cell(&f->model.rows[i], TOP_NAME, cell);
        snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? "," : "",
                 cell + strspn(cell, " "));
    }
    return all;
}

static const char *cell_of(struct fixture *f, size_t row, enum top_column_id column)
{
    static char cell[TOP_CELL_MAX];

    return top_row_cell(&f->model.rows[row], column, cell);
}

static void instances_stand_below_their_devices_by_share(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(names(f), "0 First,fast,slow,Lost,1 Second,slow,- -,gone");
    f->view.reversed = true;
    assert_string_equal(names(f), "0 First,slow,fast,Lost,1 Second,slow,- -,gone"); /* unknown stays last */
}

static void every_column_sorts(void **state)
{
    struct fixture *f = *state;

    f->view.sort = TOP_NAME;
    assert_string_equal(names(f), "0 First,fast,Lost,slow,1 Second,slow,- -,gone");
    f->view.sort = TOP_DENIED;
    assert_string_equal(names(f), "0 First,slow,fast,Lost,1 Second,slow,- -,gone");
    f->view.sort = TOP_LIMIT;
    assert_string_equal(names(f), "0 First,fast,slow,Lost,1 Second,slow,- -,gone");
    f->view.sort = TOP_POLICY;
    assert_string_equal(names(f), "0 First,slow,Lost,fast,1 Second,slow,- -,gone");
}

static void a_filter_keeps_what_it_names_and_what_that_belongs_to(void **state)
{
    struct fixture *f = *state;

    strcpy(f->view.filter, "FAST");
    assert_string_equal(names(f), "0 First,fast");
    strcpy(f->view.filter, "gpu-b");
    assert_string_equal(names(f), "1 Second,slow");
    strcpy(f->view.filter, "python");
    f->view.processes = true;
    assert_string_equal(names(f), "0 First,slow,41 python3,1 Second,slow,41 python3");
    strcpy(f->view.filter, "nothing like it");
    assert_string_equal(names(f), "");
    assert_int_equal(f->model.n_instances, 4);
}

static void cells_say_what_vgpud_said(void **state)
{
    struct fixture *f = *state;

    f->view.processes = true;
    names(f);
    assert_string_equal(cell_of(f, 0, TOP_SHARE), "70.1%"); /* vgpud told none: the sum of what it told */
    assert_string_equal(cell_of(f, 0, TOP_LIMIT), "1.00 GiB");
    assert_string_equal(cell_of(f, 0, TOP_DENIED), "");
    assert_string_equal(cell_of(f, 2, TOP_SHARE), "10.1%");
    assert_string_equal(cell_of(f, 2, TOP_QUOTA), "10.0%");
    assert_string_equal(cell_of(f, 2, TOP_THROTTLED), "899ms/s");
    assert_string_equal(cell_of(f, 2, TOP_QUEUED), "2"); /* told of the instance in all */
    assert_string_equal(cell_of(f, 2, TOP_POLICY), "fixed-share");
    assert_string_equal(cell_of(f, 1, TOP_QUOTA), "-"); /* missing is not 0 */
    assert_string_equal(cell_of(f, 5, TOP_USED), "-");
    assert_string_equal(cell_of(f, 3, TOP_NAME), "    41 python3");
    assert_string_equal(cell_of(f, 3, TOP_LIMIT), "");
}

static void names_of_others_cannot_steer_the_terminal(void **state)
{
    struct fixture *f = *state;
    char buf[64];

    f->view.processes = true;
    names(f);
    assert_string_equal(cell_of(f, 4, TOP_NAME), "    42 evil?[2J");
    assert_string_equal(text_fit("a\tb\nc\177\xff", 10, TEXT_RIGHT, buf, sizeof(buf)), "   a?b?c??");
    assert_string_equal(text_fit("abcdef", 3, TEXT_LEFT, buf, sizeof(buf)), "abc");
    assert_string_equal(text_fit("", 3, TEXT_LEFT, buf, sizeof(buf)), "   ");
    assert_string_equal(text_fit("abcdef", 6, TEXT_LEFT, buf, 4), "abc");
}

static void no_line_is_wider_than_the_screen(void **state)
{
    struct fixture *f = *state;
    struct top_look look = {.interval_ms = 1000};

    f->view.processes = true;
    names(f);
    top_model_remember(f->answers, &f->history);
    for (look.columns = 1; look.columns < 200; look.columns++) {
        for (look.rows = 1; look.rows < 30; look.rows += 4) {
            char *text = top_draw(&f->model, &f->history, &f->view, &look);
            unsigned lines = 0;

            for (char *line = text, *end; line; line = end ? end + 1 : NULL, lines++) {
                end = strchr(line, '\n');
                assert_true((end ? (size_t)(end - line) : strlen(line)) <= look.columns);
            }
            assert_true(lines <= look.rows || look.rows < 5);
            free(text);
        }
    }
}

static bool draws(struct fixture *f, unsigned columns, const char *text)
{
    struct top_look look = {.columns = columns, .rows = 24, .interval_ms = 1000};
    char *screen = top_draw(&f->model, &f->history, &f->view, &look);
    bool there = strstr(screen, text) != NULL;

    free(screen);
    return there;
}

static void narrow_screens_keep_what_matters_most(void **state)
{
    struct fixture *f = *state;

    names(f);
    assert_true(draws(f, 160, "POLICY"));
    assert_true(draws(f, 160, "HISTORY"));
    assert_false(draws(f, 80, "POLICY"));
    for (size_t i = 0; i < 6; i++)
        assert_true(
            draws(f, 80, (const char *[]){"STATE", "SHARE", "QUOTA", "THROTTLED", "USED", "LIMIT"}[i]));
    assert_true(draws(f, 40, "SHARE"));
    assert_false(draws(f, 40, "LIMIT"));
}

static void attributes_are_only_there_when_wanted(void **state)
{
    struct fixture *f = *state;
    struct top_look look = {.columns = 100, .rows = 24, .interval_ms = 1000, .styles = true};
    char *text;

    names(f);
    text = top_draw(&f->model, &f->history, &f->view, &look);
    assert_non_null(strstr(text, "\033[7m"));
    assert_null(strstr(text, "\033[3"));
    free(text);
    look.colours = true;
    text = top_draw(&f->model, &f->history, &f->view, &look);
    assert_non_null(strstr(text, "\033[31m")); /* denied */
    free(text);
    look.styles = look.colours = false;
    text = top_draw(&f->model, &f->history, &f->view, &look);
    assert_null(strchr(text, '\033'));
    free(text);
}

static void a_history_is_drawn_with_the_newest_to_the_right(void **state)
{
    struct fixture *f = *state;

    names(f);
    top_model_remember(f->answers, &f->history); /* the device at 70.1 % is selected */
    json_object_set_new(json_array_get(json_object_get(f->answers, "devices"), 0), "used_permille",
                        json_integer(350));
    top_model_remember(f->answers, &f->history);
    assert_true(draws(f, 100, "share of First: 35.0%, full height is 70.1%"));
    assert_true(draws(f, 100, "#-\n"));
}

static void the_last_refusal_and_wait_of_the_selected_one_are_told(void **state)
{
    struct fixture *f = *state;

    names(f);
    assert_false(draws(f, 120, "refused"));
    strcpy(f->view.selected, "GPU-a/v1/0");
    assert_true(
        draws(f, 120,
              "refused 2.5 s ago: cuMemAlloc_v2 of 1 MiB (limit)  held back 0.0 s ago: cuLaunchKernel "
              "for 9.0 ms (debt)"));
}

static void a_series_keeps_the_last_values_and_forgets_who_is_gone(void **state)
{
    struct top_history *history = &((struct fixture *)*state)->history;

    for (int i = 0; i < TOP_HISTORY_MAX + 10; i++) {
        top_history_begin(history);
        top_history_add(history, "a", i);
        top_history_add(history, "a", 9999); /* once a look */
        if (i == 0)
            top_history_add(history, "b", 1);
        top_history_end(history);
        assert_int_equal(history->n, i == 0 ? 2 : 1);
    }
    assert_int_equal(top_series_at(top_history_find(history, "a"), 0), TOP_HISTORY_MAX + 9);
    assert_int_equal(top_series_at(top_history_find(history, "a"), TOP_HISTORY_MAX - 1), 10);
    assert_int_equal(top_series_at(top_history_find(history, "a"), TOP_HISTORY_MAX), TOP_HISTORY_UNKNOWN);
    assert_null(top_history_find(history, "b"));
}

static int press(struct fixture *f, int key)
{
    int effect = top_keys_apply(&f->view, &f->model, key, 2);

    assert_int_equal(top_model_build(&f->model, f->answers, &f->view), 0);
    return effect;
}

static void the_selection_stays_with_its_row(void **state)
{
    struct fixture *f = *state;

    names(f);
    press(f, TOP_KEY_DOWN);
    press(f, 'j');
    assert_int_equal(top_model_selected(&f->model, &f->view), 2); /* slow on First */
    press(f, 'r');
    assert_int_equal(top_model_selected(&f->model, &f->view), 1);
    press(f, TOP_KEY_END);
    assert_int_equal(top_model_selected(&f->model, &f->view), f->model.n_rows - 1);
    press(f, TOP_KEY_DOWN);
    assert_int_equal(top_model_selected(&f->model, &f->view), f->model.n_rows - 1);
    press(f, TOP_KEY_PAGE_UP);
    assert_int_equal(top_model_selected(&f->model, &f->view), f->model.n_rows - 3);
    press(f, 'g');
    assert_int_equal(top_model_selected(&f->model, &f->view), 0);
}

static void a_filter_is_typed_and_can_be_given_up(void **state)
{
    struct fixture *f = *state;

    names(f);
    press(f, '/');
    for (const char *c = "fasx"; *c; c++)
        press(f, *c);
    press(f, 0177);
    press(f, 'q'); /* is a letter here */
    press(f, 0177);
    assert_int_equal(f->model.n_rows, 2);
    press(f, '\r');
    assert_string_equal(f->view.filter, "fas");
    press(f, '/');
    press(f, 'z');
    assert_int_equal(f->model.n_rows, 0);
    press(f, TOP_KEY_ESCAPE);
    assert_string_equal(f->view.filter, "fas");
    press(f, TOP_KEY_ESCAPE);
    assert_string_equal(f->view.filter, "");
    for (int i = 0; i < 2 * TOP_FILTER_MAX; i++)
        press(f, i == 0 ? '/' : 'x');
    assert_int_equal(strlen(f->view.filter), TOP_FILTER_MAX - 1);
}

static void keys_have_their_effects(void **state)
{
    struct fixture *f = *state;

    names(f);
    assert_int_equal(press(f, 'p'), TOP_ASK);
    assert_int_equal(f->model.n_rows, 12);
    assert_int_equal(press(f, 'p'), TOP_REBUILD);
    assert_int_equal(press(f, 's'), TOP_REBUILD);
    assert_int_equal(f->view.sort, TOP_QUOTA);
    press(f, 'S');
    press(f, 'S');
    press(f, 'S');
    press(f, 'S');
    assert_int_equal(f->view.sort, TOP_POLICY);
    assert_int_equal(press(f, 'h'), TOP_REDRAW);
    assert_int_equal(press(f, 'x'), TOP_REDRAW); /* leaves the help */
    assert_int_equal(press(f, 'x'), TOP_NOTHING);
    assert_int_equal(press(f, TOP_KEY_OTHER), TOP_NOTHING);
    assert_int_equal(press(f, 'q'), TOP_QUIT);
}

static void bytes_become_keys(void **state)
{
    static const struct {
        const char *bytes;
        size_t used;
        int key;
    } cases[] = {{"q", 1, 'q'},
                 {"\033[A", 3, TOP_KEY_UP},
                 {"\033OBx", 3, TOP_KEY_DOWN},
                 {"\033[5~", 4, TOP_KEY_PAGE_UP},
                 {"\033[1;5A", 6, TOP_KEY_OTHER},
                 {"\033[200~", 6, TOP_KEY_OTHER},
                 {"\033x", 2, TOP_KEY_OTHER},
                 {"\033[", 0, 0},
                 {"\033", 0, 0}};
    int key = 0;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_int_equal(top_keys_decode(cases[i].bytes, strlen(cases[i].bytes), false, &key), cases[i].used);
        if (cases[i].used)
            assert_int_equal(key, cases[i].key);
    }
    assert_int_equal(top_keys_decode("\033", 1, true, &key), 1);
    assert_int_equal(key, TOP_KEY_ESCAPE);
}

static void a_column_is_found_by_name_or_all_are_named(void **state)
{
    enum top_column_id column = TOP_NAME;
    struct error err = {0};

    assert_int_equal(top_column_find("throttled", &column, &err), 0);
    assert_int_equal(column, TOP_THROTTLED);
    assert_int_equal(top_column_find("colour", &column, &err), -EINVAL);
    assert_string_equal(err.text, "there is no column 'colour' to sort by; there are name, state, share, "
                                  "quota, throttled, used, limit, peak, "
                                  "denied, queued, priority, policy");
}

static void the_document_has_each_object_once(void **state)
{
    struct fixture *f = *state;
    json_t *document;

    names(f);
    document = top_model_json(&f->model);
    assert_int_equal(json_array_size(json_object_get(document, "devices")), 3);
    assert_int_equal(json_array_size(json_object_get(document, "instances")), 4);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(json_object_get(document, "instances"), 0), "name")),
        "fast");
    json_decref(document);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(instances_stand_below_their_devices_by_share),
        TEST(every_column_sorts),
        TEST(a_filter_keeps_what_it_names_and_what_that_belongs_to),
        TEST(cells_say_what_vgpud_said),
        TEST(names_of_others_cannot_steer_the_terminal),
        TEST(no_line_is_wider_than_the_screen),
        TEST(narrow_screens_keep_what_matters_most),
        TEST(attributes_are_only_there_when_wanted),
        TEST(a_history_is_drawn_with_the_newest_to_the_right),
        TEST(the_last_refusal_and_wait_of_the_selected_one_are_told),
        TEST(a_series_keeps_the_last_values_and_forgets_who_is_gone),
        TEST(the_selection_stays_with_its_row),
        TEST(a_filter_is_typed_and_can_be_given_up),
        TEST(keys_have_their_effects),
        TEST(bytes_become_keys),
        TEST(a_column_is_found_by_name_or_all_are_named),
        TEST(the_document_has_each_object_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
