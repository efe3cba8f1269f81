/* vgpu-sim: what a placement policy makes of a trace. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sim/report.h"

enum { EXIT_USAGE = 2, SEEDS_MAX = 10000, FIRST_SEED = 42 /* as in the paper's artifact */ };

struct arguments {
    const char *nodes, *pods, *policy;
    struct place_policy parsed;
    unsigned n_seeds;
    unsigned long first_seed;
    bool gpu_pods_only, with_churn, json;
    struct replay_churn churn;
};

static const char usage[] =
    "Usage: vgpu-sim --nodes CSV --pods CSV [OPTION]...\n"
    "Replays a trace of pods against a placement policy and says how much of the devices it could hand "
    "out.\n\n"
    "  --nodes CSV        the nodes: sn, cpu_milli, memory_mib, gpu, model\n"
    "  --pods CSV         the pods: name, cpu_milli, memory_mib, num_gpu, gpu_milli, gpu_spec\n"
    "  --policy NAME      fgd (default), binpack, spread, topology, numa, best-fit, ...; NODE/DEVICE for "
    "two\n"
    "  --seeds N          runs, each with an order of its own (default 10)\n"
    "  --first-seed N     the first one (default 42)\n"
    "  --gpu-pods-only    leave out pods that ask for no device\n"
    "  --churn LOAD       pods come and go; LOAD is what they ask for, in parts of the devices (1.0: all)\n"
    "  --warmup N         mean lifetimes before churn is measured (default 2)\n"
    "  --measure N        mean lifetimes that are measured (default 3)\n"
    "  --json             figures as JSON\n"
    "  --help\n";

static int read_count(const char *option, const char *text, unsigned long min, unsigned long max,
                      unsigned long *ret_count, struct error *err)
{
    unsigned long count;
    char *end;

    errno = 0;
    count = strtoul(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-' || count < min || count > max) {
        error_fail(err, -EINVAL, "%s is \"%.32s\"; expected a number from %lu to %lu", option, text, min,
                   max);
        return -EINVAL;
    }
    *ret_count = count;
    return 0;
}

static int read_real(const char *option, const char *text, double min, double max, double *ret_real,
                     struct error *err)
{
    char *end;
    double real = strtod(text, &end);

    if (end == text || *end || !(real >= min && real <= max))
        return error_fail(err, -EINVAL, "%s is \"%.32s\"; expected a number from %g to %g", option, text, min,
                          max);
    *ret_real = real;
    return 0;
}

static int read_option(int option, struct arguments *arguments, struct error *err)
{
    unsigned long count = 0;
    int rc = 0;

    switch (option) {
    case 'n':
        arguments->nodes = optarg;
        return 0;
    case 'p':
        arguments->pods = optarg;
        return 0;
    case 'P':
        arguments->policy = optarg;
        return place_policy_parse(optarg, &arguments->parsed, err);
    case 's':
        rc = read_count("--seeds", optarg, 1, SEEDS_MAX, &count, err);
        if (!rc)
            arguments->n_seeds = (unsigned)count;
        return rc;
    case 'f':
        return read_count("--first-seed", optarg, 0, 1UL << 40, &arguments->first_seed, err);
    case 'g':
        arguments->gpu_pods_only = true;
        return 0;
    case 'c':
        arguments->with_churn = true;
        return read_real("--churn", optarg, 0.01, 10, &arguments->churn.load, err);
    case 'w':
        return read_real("--warmup", optarg, 0, 1000, &arguments->churn.warmup_lifetimes, err);
    case 'm':
        return read_real("--measure", optarg, 0.1, 1000, &arguments->churn.measured_lifetimes, err);
    case 'j':
        arguments->json = true;
        return 0;
    default:
        return error_fail(err, -EINVAL, "vgpu-sim --help shows the options");
    }
}

/* 0, 1 for help, negative with err filled. */
static int read_arguments(int argc, char **argv, struct arguments *arguments, struct error *err)
{
    static const struct option options[] = {
        {"nodes", required_argument, NULL, 'n'},
        {"pods", required_argument, NULL, 'p'},
        {"policy", required_argument, NULL, 'P'},
        {"seeds", required_argument, NULL, 's'},
        {"first-seed", required_argument, NULL, 'f'},
        {"gpu-pods-only", no_argument, NULL, 'g'},
        {"churn", required_argument, NULL, 'c'},
        {"json", no_argument, NULL, 'j'},
        {"warmup", required_argument, NULL, 'w'},
        {"measure", required_argument, NULL, 'm'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option, rc;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'h')
            return 1;
        rc = read_option(option, arguments, err);
        if (rc)
            return rc;
    }
    if (optind < argc)
        return error_fail(err, -EINVAL, "\"%.64s\" is not an option; vgpu-sim --help shows them",
                          argv[optind]);
    if (!arguments->nodes || !arguments->pods)
        return error_fail(err, -EINVAL, "--nodes and --pods are needed: two CSV files");
    return 0;
}

static int run(const struct arguments *arguments, const struct trace *trace, struct replay_result *results,
               struct error *err)
{
    int rc = 0;

    for (unsigned i = 0; !rc && i < arguments->n_seeds; i++) {
        uint64_t seed = arguments->first_seed + i;

        rc = arguments->with_churn
                 ? replay_churn(trace, arguments->parsed, seed, &arguments->churn, &results[i], err)
                 : replay_arrivals(trace, arguments->parsed, seed, &results[i], err);
    }
    return rc;
}

static int simulate(const struct arguments *arguments, struct trace *trace, struct error *err)
{
    struct replay_result *results = calloc(arguments->n_seeds, sizeof(*results));
    uint64_t begin_ns = clock_monotonic_ns();
    struct report report;
    int rc;

    if (!results)
        return error_fail(err, -ENOMEM, "out of memory for the results");
    if (arguments->gpu_pods_only)
        trace_keep_gpu_pods(trace);
    rc = run(arguments, trace, results, err);
    if (!rc) {
        report = (struct report){
            .policy = arguments->policy,
            .nodes = arguments->nodes,
            .pods = arguments->pods,
            .gpu_pods_only = arguments->gpu_pods_only,
            .churn = arguments->with_churn ? &arguments->churn : NULL,
            .n_nodes = trace->n_nodes,
            .n_pods = trace->n_pods,
            .gpu_milli = trace->gpu_milli,
            .first_seed = arguments->first_seed,
            .n_seeds = arguments->n_seeds,
            .results = results,
            .wall_ns = clock_monotonic_ns() - begin_ns,
        };
        report_print(&report, arguments->json);
    }
    free(results);
    return rc;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.policy = "fgd",
                                  .parsed = {PLACE_FGD, PLACE_FGD},
                                  .n_seeds = 10,
                                  .first_seed = FIRST_SEED,
                                  .churn = {.load = 1, .warmup_lifetimes = 2, .measured_lifetimes = 3}};
    struct error err = {0};
    struct trace trace = {0};
    int rc = read_arguments(argc, argv, &arguments, &err);

    if (rc == 1) {
        fputs(usage, stdout);
        return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
    }
    if (rc) {
        fprintf(stderr, "vgpu-sim: %s\n", err.text);
        return EXIT_USAGE;
    }
    rc = trace_load(&trace, arguments.nodes, arguments.pods, &err);
    if (!rc)
        rc = simulate(&arguments, &trace, &err);
    trace_done(&trace);
    if (!rc && fflush(stdout))
        rc = error_fail(&err, error_errno(), "writing the figures: %s", strerror(errno));
    if (rc)
        fprintf(stderr, "vgpu-sim: %s\n", err.text);
    return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}
