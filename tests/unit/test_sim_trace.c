/* Promises of src/sim: a table is read exactly or refused with the line; a trace makes the cluster it
 * describes; a replay is the same for the same seed. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/units.h"
#include "sim/replay.h"

static const char node_header[] = "sn,cpu_milli,memory_mib,gpu,model\n";
static const char pod_header[] = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos\n";

static char *copy_of(const char *header, const char *rows)
{
    char *text = malloc(strlen(header) + strlen(rows) + 1);

    assert_non_null(text);
    return strcat(strcpy(text, header), rows);
}

/* Reads the tables without the NUL behind them: there is one character to spare, no more. */
static int read_trace(struct trace *trace, const char *nodes, const char *pods, struct error *err)
{
    char *node_text = copy_of("", nodes), *pod_text = copy_of("", pods);

    return trace_init(trace, node_text, strlen(nodes), "n.csv", pod_text, strlen(pods), "p.csv", err);
}

static void refuses(const char *nodes, const char *pods, const char *says)
{
    struct error err = {0};
    struct trace trace;

    assert_true(read_trace(&trace, nodes, pods, &err) < 0);
    trace_done(&trace);
    if (!strstr(err.text, says))
        fail_msg("says \"%s\", expected \"%s\"", err.text, says);
}

static void a_trace_is_read_as_written(void **state)
{
    struct error err = {0};
    struct trace trace;

    /* Columns in another order, an extra one, an empty line, a line's end of two characters, none at the end.
     */
    assert_int_equal(read_trace(&trace,
                                "gpu,sn,model,cpu_milli,memory_mib\n2,a,T4,8000,1024\r\n\n8,b,G2,96000,2048",
                                "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos\n"
                                "p2,100,10,1,250,T4|G2,LS\np1,200,20,4,1000,,BE\np0,300,30,0,0,,BE\n",
                                &err),
                     0);
    assert_int_equal(trace.n_nodes, 2);
    assert_int_equal(trace.gpu_milli, 10000);
    assert_string_equal(trace.nodes[1].name, "b");
    assert_string_equal(trace.nodes[1].model, "G2");
    assert_int_equal(trace.nodes[1].cpu_milli, 96000);
    assert_int_equal(trace.nodes[0].memory_bytes, GIB);
    assert_int_equal(trace.n_pods, 3);
    assert_string_equal(trace.pods[0].name, "p0"); /* by name */
    assert_int_equal(trace.pods[0].request.n_devices, 0);
    assert_int_equal(trace.pods[1].gpu_milli, 4000);
    assert_int_equal(trace.pods[1].request.n_devices, 4);
    assert_int_equal(trace.pods[2].request.compute_permille, 250);
    assert_int_equal(trace.pods[2].request.device_memory_permille, 250);
    assert_int_equal(trace.pods[2].request.types.n, 2);
    assert_string_equal(trace.pods[2].request.types.names[1], "G2");
    trace_keep_gpu_pods(&trace);
    assert_int_equal(trace.n_pods, 2);
    trace_done(&trace);
}

static void memory_may_differ_from_compute(void **state)
{
    struct error err = {0};
    struct trace trace;

    assert_int_equal(
        read_trace(&trace, "sn,cpu_milli,memory_mib,gpu,model,gpu_memory_mib\na,1,1,1,T4,24576\n",
                   "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_memory_milli\np,1,1,1,100,900\n", &err),
        0);
    assert_int_equal(trace.nodes[0].gpu_memory_bytes, 24 * GIB);
    assert_int_equal(trace.pods[0].request.compute_permille, 100);
    assert_int_equal(trace.pods[0].request.device_memory_permille, 900);
    trace_done(&trace);
}

static void a_bad_table_is_refused_with_its_line(void **state)
{
    static const struct {
        const char *rows, *says;
    } nodes[] =
        {
            {"a,1,1,1,T4\nb,1,1,1\n", "n.csv:3: 4 fields; the header names 5"},
            {"a,1,1,1,T4\n\nb,x,1,1,T4\n", "n.csv:4: cpu_milli is \"x\"; expected a whole number"},
            {"a,,1,1,T4\n", "n.csv:2: cpu_milli is \"\""},
            {"a,-1,1,1,T4\n", "cpu_milli is \"-1\""},
            {"a,1,1,65,T4\n", "n.csv:2: gpu is 65; at most 64"},
            {"a,99999999999999999999999,1,1,T4\n", "at most 1000000000"},
            {",1,1,1,T4\n", "n.csv:2: a node without a name"},
            {"\"a\",1,1,1,T4\n", "n.csv:2: quotes"},
            {"a,1,1,0,T4\n", "n.csv: no node has a device"},
            {"", "n.csv: no node has a device"},
        },
      pods[] = {
          {"p,1,1,1,0,,\n", "p.csv:2: a pod asks for nothing of 1 devices"},
          {"p,1,1,1,1001,,\n", "p.csv:2: gpu_milli is 1001; at most 1000"},
          {"p,1,1,1,5,a||b,\n", "p.csv:2: gpu_spec"},
          {"p,1,1,1,5,a|a|a|a|a|a|a|a|a|a|a|a|a|a|a|a|a,\n", "at most 16 names"},
          {"", "p.csv: no pods"},
      };
    char *text;

    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        text = copy_of(node_header, nodes[i].rows);
        refuses(text, pod_header, nodes[i].says);
        free(text);
    }
    for (size_t i = 0; i < sizeof(pods) / sizeof(pods[0]); i++) {
        text = copy_of(pod_header, pods[i].rows);
        refuses("sn,cpu_milli,memory_mib,gpu,model\na,1,1,1,T4\n", text, pods[i].says);
        free(text);
    }
    refuses("", pod_header, "n.csv: empty");
    refuses("\n\n", pod_header, "n.csv: empty");
    refuses("sn,cpu_milli,memory_mib,model\n", pod_header, "n.csv:1: no column \"gpu\"");
}

static void a_table_of_too_many_columns_is_refused(void **state)
{
    char header[200] = "a";

    for (unsigned i = 0; i < 64; i++)
        strcat(header, ",b");
    refuses(header, pod_header, "more than 64 fields");
}

static void a_replay_is_the_same_for_the_same_seed_and_another_for_another(void **state)
{
    struct place_policy policy = {PLACE_RANDOM, PLACE_RANDOM};
    struct replay_churn churn = {.load = 1, .warmup_lifetimes = 2, .measured_lifetimes = 5};
    struct replay_result one, same, other;
    struct error err = {0};
    struct trace trace;

    assert_int_equal(read_trace(&trace,
                                "sn,cpu_milli,memory_mib,gpu,model\na,64000,9999,8,T4\nb,64000,9999,8,T4\n",
                                "name,cpu_milli,memory_mib,num_gpu,gpu_milli\n"
                                "a,1000,1,1,300\nb,1000,1,1,700\nc,3000,1,2,1000\nd,1000,1,1,450\n",
                                &err),
                     0);
    assert_int_equal(replay_arrivals(&trace, policy, 1, &one, &err), 0);
    assert_int_equal(replay_arrivals(&trace, policy, 1, &same, &err), 0);
    assert_int_equal(replay_arrivals(&trace, policy, 2, &other, &err), 0);
    assert_memory_equal(&one, &same, sizeof(one));
    assert_memory_not_equal(&one, &other, sizeof(one));
    assert_int_equal(replay_churn(&trace, policy, 1, &churn, &one, &err), 0);
    assert_int_equal(replay_churn(&trace, policy, 1, &churn, &same, &err), 0);
    assert_memory_equal(&one, &same, sizeof(one));
    trace_done(&trace);
}

static void a_trace_that_asks_for_no_device_cannot_be_replayed(void **state)
{
    struct place_policy policy = {PLACE_FGD, PLACE_FGD};
    struct replay_churn churn = {.load = 1, .warmup_lifetimes = 2, .measured_lifetimes = 5};
    struct replay_result result;
    struct error err = {0};
    struct trace trace;

    assert_int_equal(read_trace(&trace, "sn,cpu_milli,memory_mib,gpu,model\na,64000,9999,8,T4\n",
                                "name,cpu_milli,memory_mib,num_gpu,gpu_milli\na,1000,1,0,0\n", &err),
                     0);
    assert_int_equal(replay_arrivals(&trace, policy, 1, &result, &err), -EINVAL);
    assert_int_equal(replay_churn(&trace, policy, 1, &churn, &result, &err), -EINVAL);
    trace_done(&trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trace_is_read_as_written),
        cmocka_unit_test(memory_may_differ_from_compute),
        cmocka_unit_test(a_bad_table_is_refused_with_its_line),
        cmocka_unit_test(a_table_of_too_many_columns_is_refused),
        cmocka_unit_test(a_replay_is_the_same_for_the_same_seed_and_another_for_another),
        cmocka_unit_test(a_trace_that_asks_for_no_device_cannot_be_replayed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
