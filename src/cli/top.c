/* vgpu top: who uses how much of which GPU, again and again, or once. Figures are vgpud's; this only shows
 * them. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/text.h"
#include "cli/top_draw.h"
#include "cli/top_keys.h"
#include "cli/top_model.h"
#include "cli/top_screen.h"
#include "cli/top_source.h"

enum { INTERVAL_DEFAULT_MS = 1000, INTERVAL_MIN_MS = 100, ESCAPE_WAIT_MS = 50, INPUT_MAX = 64 };

static const char usage[] =
    "Usage: vgpu top [--sort COLUMN] [--reverse] [--filter TEXT] [--processes] [--interval TIME]\n"
    "                [--once] [--json]\n"
    "Shows devices, the instances on them and what they use, again and again. Root sees all instances, "
    "other\n"
    "users their own. Without a terminal it shows them once.\n"
    "\n"
    "  --sort COLUMN    name, state, share (default), quota, throttled, used, limit, peak, denied, queued,\n"
    "                   priority or policy; figures from large to small, unknown ones last\n"
    "  --reverse        the other way around\n"
    "  --filter TEXT    only what has TEXT in its name, id, state, policy, priority or command, or is on a\n"
    "                   device that has it in its name or UUID\n"
    "  --processes      the processes of each instance too\n"
    "  --interval TIME  how often, as 2s or 500ms (default: 1s)\n"
    "  --once           print one table and end; no terminal is needed\n"
    "  --json           print one JSON document and end\n"
    "  --help           this text\n"
    "\n"
    "SHARE is the part of the device's time that was used in the last second, QUOTA what may be used now,\n"
    "THROTTLED for how long threads were held back in the last second, DENIED how many allocations were\n"
    "refused, QUEUED how many processes are held back now. \"-\" is not known. The key h lists the keys.\n";

struct top {
    struct top_view view;
    struct top_model model;
    struct top_history history;
    struct top_screen screen;
    struct top_source source;
    struct error problem;
    uint64_t answered_ns;
    unsigned interval_ms;
    int signal_fd;
    sigset_t signals_before;
    char input[INPUT_MAX];
    size_t n_input;
};

/* ---- drawing ---- */

static struct top_look look_now(const struct top *top)
{
    struct top_look look = {.styles = true, .interval_ms = top->interval_ms};

    top_screen_size(&look.columns, &look.rows);
    look.colours = top_screen_has_colours();
    look.blocks = text_is_utf8();
    if (top->problem.code)
        look.problem = top->problem.text;
    else if (!top->model.answers)
        look.problem = "waiting for vgpud";
    look.age_s = (unsigned)((clock_monotonic_ns() - top->answered_ns) / NS_PER_S);
    return look;
}

static int draw(struct top *top)
{
    struct top_look look = look_now(top);
    char *text = top_draw(&top->model, &top->history, &top->view, &look);

    return text ? top_screen_show(&top->screen, text) : -ENOMEM;
}

static int rebuild(struct top *top)
{
    return top->model.answers ? top_model_build(&top->model, top->model.answers, &top->view) : 0;
}

static int take_answers(struct top *top)
{
    json_t *answers;
    int r = 0;

    top_source_take(&top->source, &answers, &top->problem);
    if (!answers)
        return 0;
    top->answered_ns = clock_monotonic_ns();
    top_model_remember(answers, &top->history);
    r = top_model_build(&top->model, answers, &top->view);
    json_decref(answers);
    return r;
}

/* ---- keys and signals ---- */

/* Does what the keys in the buffer say. 1 to quit, else 0 or negative errno. */
static int apply_keys(struct top *top, bool ended)
{
    struct top_look look = look_now(top);
    size_t used;
    int key, r = 0;

    while (r == 0 && (used = top_keys_decode(top->input, top->n_input, ended, &key)) > 0) {
        top->n_input -= used;
        memmove(top->input, top->input + used, top->n_input);
        switch (top_keys_apply(&top->view, &top->model, key, top_draw_page(&look))) {
        case TOP_QUIT:
            return 1;
        case TOP_ASK:
            top_source_want(&top->source, top->view.processes);
            r = rebuild(top);
            break;
        case TOP_REBUILD:
            r = rebuild(top);
            break;
        default:
            break;
        }
    }
    return r;
}

/* 1 when the terminal has no more keys, else as apply_keys. */
static int read_keys(struct top *top)
{
    ssize_t n = read(STDIN_FILENO, top->input + top->n_input, sizeof(top->input) - top->n_input);

    if (n <= 0)
        return n < 0 && (errno == EINTR || errno == EAGAIN) ? 0 : 1;
    top->n_input += (size_t)n;
    return apply_keys(top, top->n_input == sizeof(top->input));
}

/* Stops like any program on Ctrl-Z, with the terminal given back, and takes it again when it goes on. */
static int suspend(struct top *top)
{
    top_screen_leave(&top->screen);
    kill(getpid(), SIGSTOP);
    return top_screen_enter(&top->screen);
}

/* The signal to end by, 0, or negative errno. */
static int read_signal(struct top *top)
{
    struct signalfd_siginfo info;

    if (read(top->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return 0;
    if (info.ssi_signo == SIGTSTP)
        return suspend(top);
    if (info.ssi_signo != SIGWINCH)
        return (int)info.ssi_signo;
    top_screen_forget(&top->screen);
    return 0;
}

/* Until a key or a signal ends it: 0, the signal, or negative errno. */
static int loop(struct top *top)
{
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                           {.fd = top->signal_fd, .events = POLLIN},
                           {.fd = top->source.ready_fd, .events = POLLIN}};
    int r = draw(top);

    while (r == 0) {
        int timeout_ms = top->n_input ? ESCAPE_WAIT_MS : top->problem.code ? 1000 : -1;
        int n = poll(fds, sizeof(fds) / sizeof(*fds), timeout_ms);

        if (n < 0)
            return errno == EINTR ? 0 : error_errno();
        if (fds[1].revents && (r = read_signal(top)) != 0)
            return r;
        if (fds[0].revents)
            r = read_keys(top);
        else if (n == 0 && top->n_input)
            r = apply_keys(top, true);
        if (r > 0)
            return 0;
        if (r == 0 && fds[2].revents)
            r = take_answers(top);
        if (r == 0)
            r = draw(top);
    }
    return r;
}

static int catch_signals(struct top *top, struct error *err)
{
    static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(caught) / sizeof(*caught); i++)
        sigaddset(&set, caught[i]);
    sigprocmask(SIG_BLOCK, &set, &top->signals_before);
    signal(SIGPIPE, SIG_IGN);
    top->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return top->signal_fd < 0 ? error_fail(err, error_errno(), "cannot wait for signals: %s", strerror(errno))
                              : 0;
}

/* Shows it until the person has seen enough. Returns the exit status, unless a signal ended it: then by that.
 */
static int watch(struct top *top, struct collect *collect, char **argv)
{
    struct error err = {0};
    int r;

    if (catch_signals(top, &err) < 0 ||
        top_source_start(&top->source, collect, top->interval_ms, top->view.processes, &err) < 0)
        return options_fail(argv, CLI_FAILED, &err);
    top->answered_ns = clock_monotonic_ns();
    r = top_screen_enter(&top->screen);
    if (r == 0)
        r = loop(top);
    top_screen_leave(&top->screen);
    if (r > 0) {
        signal(r, SIG_DFL);
        raise(r);
        sigprocmask(SIG_SETMASK, &top->signals_before, NULL);
    }
    if (r < 0) {
        error_fail(&err, r, "the terminal cannot be used: %s", strerror(-r));
        return options_fail(argv, CLI_FAILED, &err);
    }
    return CLI_OK;
}

static int print_once(struct top *top, struct collect *collect, bool as_json, char **argv)
{
    struct error err = {0};
    json_auto_t *answers = collect_ask(collect, top->view.processes, clock_monotonic_ns(), &err),
                *document = NULL;

    if (!answers)
        return options_fail(argv, CLI_FAILED, &err);
    if (top_model_build(&top->model, answers, &top->view) < 0) {
        error_fail(&err, -ENOMEM, "not enough memory");
        return options_fail(argv, CLI_FAILED, &err);
    }
    if (as_json) {
        document = top_model_json(&top->model);
        return output_json(document);
    }
    top_draw_plain(&top->model, stdout);
    return output_end();
}

/* ---- options ---- */

static int take_filter(const char *text, struct top_view *view, struct error *err)
{
    if (strlen(text) >= sizeof(view->filter))
        return error_fail(err, -EINVAL, "--filter: '%s' is too long: at most %zu bytes", text,
                          sizeof(view->filter) - 1);
    memcpy(view->filter, text, strlen(text) + 1);
    return 0;
}

static int take_interval(const char *text, unsigned *ret_ms, struct error *err)
{
    uint64_t ms;

    if (options_duration(text, &ms, err) < 0)
        return error_prefix(err, "--interval");
    if (ms < INTERVAL_MIN_MS)
        return error_fail(err, -EINVAL, "--interval: '%s' is too short: at least %d ms", text,
                          INTERVAL_MIN_MS);
    *ret_ms = (unsigned)ms;
    return 0;
}

int top_main(int argc, char **argv)
{
    enum { SORT = OPTIONS_OWN, REVERSE, FILTER, PROCESSES, INTERVAL, ONCE };
    static const struct option options[] = {
        OPTIONS_HELP_ROW,
        OPTIONS_JSON_ROW,
        {"sort", required_argument, NULL, SORT},
        {"reverse", no_argument, NULL, REVERSE},
        {"filter", required_argument, NULL, FILTER},
        {"processes", no_argument, NULL, PROCESSES},
        {"interval", required_argument, NULL, INTERVAL},
        {"once", no_argument, NULL, ONCE},
        OPTIONS_END_ROW,
    };
    static struct top top; /* the asking thread may outlive this call */
    static struct collect collect;
    struct error err = {0};
    bool once = false, as_json = false;
    int code, r = 0;

    top.view.sort = TOP_SHARE;
    top.interval_ms = INTERVAL_DEFAULT_MS;
    options_begin();
    while ((code = options_next(argc, argv, options, false)) != -1) {
        if (code == OPTIONS_HELP)
            return fputs(usage, stdout) < 0 ? CLI_FAILED : output_end();
        if (code == OPTIONS_JSON)
            as_json = true;
        else if (code == REVERSE)
            top.view.reversed = true;
        else if (code == PROCESSES)
            top.view.processes = true;
        else if (code == ONCE)
            once = true;
        else if (code == SORT)
            r = top_column_find(optarg, &top.view.sort, &err);
        else if (code == FILTER)
            r = take_filter(optarg, &top.view, &err);
        else if (code == INTERVAL)
            r = take_interval(optarg, &top.interval_ms, &err);
        else
            return CLI_USAGE;
        if (r < 0)
            return options_fail(argv, CLI_USAGE, &err);
    }
    if (optind < argc)
        return options_fail_arguments(argv, "no arguments");
    collect_init(&collect);
    if (collect_connect(&collect, true, &err) < 0)
        return options_fail(argv, CLI_FAILED, &err);
    if (!once && !as_json && top_screen_can())
        return watch(&top, &collect, argv);
    code = print_once(&top, &collect, as_json, argv);
    top_model_done(&top.model);
    collect_done(&collect);
    return code;
}
