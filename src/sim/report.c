/* Printing figures; see report.h. One table says what there is; both forms follow it. */
#include "sim/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/clock.h"

enum figure_of { OF_ARRIVALS = 1, OF_CHURN = 2, OF_BOTH = 3 };

static double at_90(const struct replay_result *result)
{
    return replay_allocation_pct(result, 90);
}

static double at_95(const struct replay_result *result)
{
    return replay_allocation_pct(result, 95);
}

static double at_100(const struct replay_result *result)
{
    return replay_allocation_pct(result, 100);
}

static double at_130(const struct replay_result *result)
{
    return replay_allocation_pct(result, 130);
}

static double mean_allocation(const struct replay_result *result)
{
    return result->final_allocation_pct;
}

static double frag_of_total(const struct replay_result *result)
{
    return result->frag_pct_of_total;
}

static double frag_of_idle(const struct replay_result *result)
{
    return result->frag_pct_of_idle;
}

static double rejected_gpu(const struct replay_result *result)
{
    return result->rejected_gpu_pct;
}

static double rejected_pods(const struct replay_result *result)
{
    return result->rejected_pods_pct;
}

static const struct figure {
    const char *key, *text;
    double (*of)(const struct replay_result *);
    enum figure_of kind;
} figures[] = {
    {"allocation_pct_at_90", "allocated when 90 % has arrived", at_90, OF_ARRIVALS},
    {"allocation_pct_at_95", "allocated when 95 % has arrived", at_95, OF_ARRIVALS},
    {"allocation_pct_at_100", "allocated when 100 % has arrived", at_100, OF_ARRIVALS},
    {"allocation_pct_at_130", "allocated when 130 % has arrived", at_130, OF_ARRIVALS},
    {"allocation_pct_mean", "allocated, mean over time", mean_allocation, OF_CHURN},
    {"fragmentation_pct_of_total", "fragmented at the end, of all devices", frag_of_total, OF_BOTH},
    {"fragmentation_pct_of_idle", "fragmented at the end, of what is idle", frag_of_idle, OF_BOTH},
    {"rejected_gpu_pct", "rejected, of the devices asked for", rejected_gpu, OF_BOTH},
    {"rejected_pods_pct", "rejected, of the pods", rejected_pods, OF_BOTH},
};

enum { N_FIGURES = sizeof(figures) / sizeof(figures[0]) };

static double mean_of(const struct report *report, const struct figure *figure, double *ret_sd)
{
    double sum = 0, squares = 0, mean;
    unsigned n = report->n_seeds;

    for (unsigned i = 0; i < n; i++)
        sum += figure->of(&report->results[i]);
    mean = sum / n;
    for (unsigned i = 0; i < n; i++) {
        double off = figure->of(&report->results[i]) - mean;

        squares += off * off;
    }
    *ret_sd = n > 1 ? sqrt(squares / (n - 1)) : 0;
    return mean;
}

static bool has(const struct report *report, const struct figure *figure)
{
    return figure->kind & (report->churn ? OF_CHURN : OF_ARRIVALS);
}

static double decisions(const struct report *report)
{
    double n = 0;

    for (unsigned i = 0; i < report->n_seeds; i++)
        n += (double)report->results[i].n_arrived;
    return n;
}

/* Of a text of ours or of the command line: JSON without surprises. */
static void json_string(const char *text)
{
    putchar('"');
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            printf("\\%c", *c);
        else if (*c < 0x20)
            printf("\\u%04x", *c);
        else
            putchar(*c);
    }
    putchar('"');
}

static void json_figure(const char *key, const char *suffix, double value)
{
    if (isnan(value))
        printf("  \"%s%s\": null,\n", key, suffix);
    else
        printf("  \"%s%s\": %.4f,\n", key, suffix, value);
}

static void print_json(const struct report *report)
{
    printf("{\n  \"policy\": ");
    json_string(report->policy);
    printf(",\n  \"nodes\": %zu,\n  \"gpus\": %" PRIu64 ",\n  \"pods\": %zu,\n", report->n_nodes,
           report->gpu_milli / 1000, report->n_pods);
    printf("  \"gpu_pods_only\": %s,\n", report->gpu_pods_only ? "true" : "false");
    if (report->churn)
        printf("  \"churn_load\": %.4f,\n  \"warmup_lifetimes\": %.2f,\n  \"measured_lifetimes\": %.2f,\n",
               report->churn->load, report->churn->warmup_lifetimes, report->churn->measured_lifetimes);
    printf("  \"first_seed\": %" PRIu64 ",\n  \"seeds\": %u,\n", report->first_seed, report->n_seeds);
    for (unsigned i = 0; i < N_FIGURES; i++) {
        double sd, mean = mean_of(report, &figures[i], &sd);

        if (!has(report, &figures[i]))
            continue;
        json_figure(figures[i].key, "", mean);
        json_figure(figures[i].key, "_sd", sd);
    }
    printf("  \"arrived_pods_total\": %.0f,\n  \"wall_s\": %.3f\n}\n", decisions(report),
           (double)report->wall_ns / (double)NS_PER_S);
}

static void print_table(const struct report *report)
{
    printf("policy %s; %zu nodes with %" PRIu64 " devices, %zu %s; seeds %" PRIu64 "..%" PRIu64 "\n",
           report->policy, report->n_nodes, report->gpu_milli / 1000, report->n_pods,
           report->gpu_pods_only ? "GPU pods" : "pods", report->first_seed,
           report->first_seed + report->n_seeds - 1);
    if (report->churn)
        printf("pods come and go at a load of %.1f %%; measured for %.1f mean lifetimes after %.1f\n",
               100 * report->churn->load, report->churn->measured_lifetimes, report->churn->warmup_lifetimes);
    printf("\n%-40s %8s %6s\n", "per cent", "mean", "sd");
    for (unsigned i = 0; i < N_FIGURES; i++) {
        double sd, mean = mean_of(report, &figures[i], &sd);

        if (!has(report, &figures[i]))
            continue;
        if (isnan(mean))
            printf("%-40s %8s %6s\n", figures[i].text, "-", "-");
        else
            printf("%-40s %8.2f %6.2f\n", figures[i].text, mean, sd);
    }
    printf("\n%.0f pods arrived in all; %.0f decisions a second\n", decisions(report),
           decisions(report) / ((double)report->wall_ns / (double)NS_PER_S));
}

void report_print(const struct report *report, bool json)
{
    if (json)
        print_json(report);
    else
        print_table(report);
}
