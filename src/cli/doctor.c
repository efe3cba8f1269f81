/* vgpu doctor: everything that must be so for a limit to hold, one line each, and what to do where it is not.
 */
#include "cli/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/options.h"
#include "cli/output.h"

static const char usage[] =
    "Usage: vgpu doctor [--json]\n"
    "Checks this installation, the machine and its drivers. Exit status 1 when something fails.\n"
    "\n"
    "  --json  as JSON\n"
    "  --help  this text\n";

static const char *const status_names[] = {"ok", "warn", "fail"};

void doctor_add(struct doctor *doctor, const char *check, enum doctor_status status, const char *advice,
                const char *fmt, ...)
{
    char text[ERROR_TEXT_MAX + 64];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    doctor->failed |= status == DOCTOR_FAIL;
    json_array_append_new(doctor->rows, json_pack("{s:s, s:s, s:s, s:s?}", "check", check, "status",
                                                  status_names[status], "text", text, "advice", advice));
}

static int print_lines(const json_t *rows)
{
    const json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        const char *advice = json_string_value(json_object_get(row, "advice"));

        printf("%-4s  %s: %s\n", json_string_value(json_object_get(row, "status")),
               json_string_value(json_object_get(row, "check")),
               json_string_value(json_object_get(row, "text")));
        if (advice)
            printf("      -> %s\n", advice);
    }
    return output_end();
}

int doctor_main(int argc, char **argv)
{
    static const struct option options[] = {OPTIONS_HELP_ROW, OPTIONS_JSON_ROW, OPTIONS_END_ROW};
    json_auto_t *report = json_pack("{s:[]}", "checks");
    struct doctor doctor = {.rows = json_object_get(report, "checks")};
    bool as_json = false;
    int code, status;

    options_begin();
    while ((code = options_next(argc, argv, options, false)) != -1) {
        if (code == OPTIONS_HELP)
            return fputs(usage, stdout) < 0 ? CLI_FAILED : output_end();
        if (code != OPTIONS_JSON)
            return CLI_USAGE;
        as_json = true;
    }
    if (optind < argc)
        return options_fail_arguments(argv, "no arguments");
    doctor_check_install(&doctor);
    doctor_check_loading(&doctor);
    doctor_check_kernel(&doctor);
    doctor_check_daemon(&doctor);
    status = as_json ? output_json(report) : print_lines(doctor.rows);
    return doctor.failed ? CLI_FAILED : status;
}
