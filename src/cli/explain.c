/* vgpu explain: why the last calls of an instance were refused or held back. The words are explain_words.c's;
 * this file asks for what they are made of. */
#include <jansson.h>
#include <stdio.h>

#include "base/paths.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/explain_words.h"
#include "cli/options.h"
#include "cli/output.h"

static const char usage[] =
    "Usage: vgpu explain INSTANCE [--json]\n"
    "Says why the last call of an instance was refused or held back: which call of which process, what the\n"
    "limits are and who else is on the device, and what can be done.\n"
    "\n"
    "  --json  as JSON\n"
    "  --help  this text\n";

/* 0, or negative errno with err filled. */
static int ask(struct client *client, const json_t *request, json_t **ret_findings, struct error *err)
{
    json_auto_t *devices_request = json_pack("{s:s}", "op", "device.list");
    json_auto_t *shown = NULL, *devices = NULL, *instances = json_array();
    const char *software_devices = paths_env("VGPU_SOFTGPU_DEVICES");

    if (software_devices)
        json_object_set_new(devices_request, "software_devices", json_string(software_devices));
    if (client_open(client, err) < 0 || !(shown = client_ask(client, request, err)) ||
        client_ask_instances(client, instances, err) < 0 ||
        !(devices = client_ask(client, devices_request, err)))
        return err->code;
    *ret_findings =
        explain_findings(json_object_get(shown, "instance"), instances, json_object_get(devices, "devices"));
    return 0;
}

int explain_main(int argc, char **argv)
{
    static const struct option options[] = {OPTIONS_HELP_ROW, OPTIONS_JSON_ROW, OPTIONS_END_ROW};
    struct client client = {.fd = -1};
    json_auto_t *request = NULL, *findings = NULL;
    struct error err = {0};
    bool as_json = false;
    int code, r;

    options_begin();
    while ((code = options_next(argc, argv, options, false)) != -1) {
        if (code == OPTIONS_HELP)
            return fputs(usage, stdout) < 0 ? CLI_FAILED : output_end();
        if (code != OPTIONS_JSON)
            return CLI_USAGE;
        as_json = true;
    }
    if (argc - optind != 1)
        return options_fail_arguments(argv, "one instance, by name or id");
    request = json_pack("{s:s, s:s}", "op", "instance.show", "instance", argv[optind]);
    if (!request)
        return options_fail_arguments(argv, "a name in UTF-8");
    r = ask(&client, request, &findings, &err);
    client_close(&client);
    if (r < 0)
        return options_fail(argv, CLI_FAILED, &err);
    if (as_json)
        return output_json(findings);
    explain_print(findings, stdout);
    return output_end();
}
