/* vgpu NOUN VERB: one table of commands. */
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "wire/control.h"

static const struct command {
    const char *noun, *verb; /* no verb: the noun is the command */
    cli_fn run;
    const char *summary;
} commands[] = {
    {"run", NULL, run_main, "run a command with a slice of a GPU"},
    {"device", "list", device_list_main, "list the GPUs of this machine"},
    {"instance", "list", instance_list_main, "list the slices that are handed out"},
    {"instance", "show", instance_show_main, "show one, with who uses how much"},
    {"instance", "set", instance_set_main, "change the limits of a running one"},
    {"instance", "stop", instance_stop_main, "end one and its processes"},
    {"explain", NULL, explain_main, "say why a call of one was refused or held back"},
    {"top", NULL, top_main, "watch who uses how much"},
    {"metrics", NULL, metrics_main, "serve the figures to Prometheus"},
    {"doctor", NULL, doctor_main, "check this installation and machine"},
};

enum { N_COMMANDS = sizeof(commands) / sizeof(*commands) };

static int print_help(void)
{
    puts("Usage: vgpu COMMAND [OPTION]...\n"
         "Shares one GPU among many tenants, each with its own slice of memory and time.\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        printf("  vgpu %-8s %-6s %s\n", commands[i].noun, commands[i].verb ? commands[i].verb : "",
               commands[i].summary);
    puts("\n"
         "  vgpu COMMAND --help  its options\n"
         "  vgpu --version       version of program and protocol\n"
         "\n"
         "Try: vgpu run --memory 1G -- ./app");
    return output_end();
}

static void print_verbs(const char *noun)
{
    const char *between = "";

    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i].noun, noun) || !commands[i].verb)
            continue;
        fprintf(stderr, "%s%s", between, commands[i].verb);
        between = ", ";
    }
}

static int fail_unknown(const char *noun, const char *verb)
{
    bool known = false;

    for (size_t i = 0; i < N_COMMANDS; i++)
        known |= !strcmp(commands[i].noun, noun);
    if (!known) {
        fprintf(stderr, "vgpu: '%s' is not a command; vgpu --help shows them\n", noun);
        return CLI_USAGE;
    }
    if (verb)
        fprintf(stderr, "vgpu %s: '%s' is not one of: ", noun, verb);
    else
        fprintf(stderr, "vgpu %s: expected one of: ", noun);
    print_verbs(noun);
    fputc('\n', stderr);
    return CLI_USAGE;
}

static const struct command *find_command(const char *noun, const char *verb)
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (!strcmp(commands[i].noun, noun) &&
            (!commands[i].verb || (verb && !strcmp(commands[i].verb, verb))))
            return &commands[i];
    return NULL;
}

int main(int argc, char **argv)
{
    const char *noun = argc > 1 ? argv[1] : NULL, *verb = argc > 2 ? argv[2] : NULL;
    const struct command *command;
    int n_words;
    char name[64];

    setlocale(LC_CTYPE, ""); /* so that names of commands can be told from control characters */
    if (!noun) {
        print_help();
        return CLI_USAGE;
    }
    if (!strcmp(noun, "--help") || !strcmp(noun, "-h"))
        return print_help();
    if (!strcmp(noun, "--version")) {
        printf("vgpu %s (control protocol %d.%d)\n", VGPU_VERSION, CONTROL_MAJOR, CONTROL_MINOR);
        return output_end();
    }
    command = find_command(noun, verb);
    if (!command && verb && !strcmp(verb, "--help"))
        return print_help();
    if (!command)
        return fail_unknown(noun, verb);
    n_words = command->verb ? 2 : 1;
    snprintf(name, sizeof(name), "vgpu %s%s%s", command->noun, command->verb ? " " : "",
             command->verb ? command->verb : "");
    argv[n_words] = name; /* what getopt and messages call the command */
    return command->run(argc - n_words, argv + n_words);
}
