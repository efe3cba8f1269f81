/* Signals: the page in which processes of higher priority show that they have work, and which of them has
 * which line of it. vgpud hands lines out and takes them back; what is in them is the processes' business
 * (struct ledger_signals). */
#ifndef VGPU_DAEMON_SIGNALS_H
#define VGPU_DAEMON_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "ledger/ledger.h"

struct client;
struct daemon;
struct instance;

enum { SIGNALS_WORDS = LEDGER_SIGNALS_MAX / 64 };

struct signals {
    int fd, read_fd; /* to hand to clients, for reading and writing, and for reading only */
    bool is_kept;    /* the keeper has it */
    struct ledger_signals *area;
    uint64_t taken[LEDGER_SIGNAL_DEVICES_MAX][SIGNALS_WORDS]; /* bits of lines */
};

/* Makes the area, or takes that of a former vgpud over, which the keeper kept. 0 or negative errno with err
 * filled. */
int signals_open(struct daemon *daemon, struct error *err);

/* What the processes of the instance get: only those that may have a line can write. */
int signals_descriptor(const struct instance *instance);

/* The client has had that line under a former vgpud. LEDGER_NO_SLOT: none; signals_settle gives it another
 * where it cannot have that one. */
void signals_restore(struct client *client, uint32_t line);

/* Gives each process of the instance a line that has none, but for those of the lowest priority. Where no
 * line is left it goes without: lower ones then do not wait for it, and vgpud takes it for idle while it
 * waits for its work. */
void signals_settle(struct instance *instance);

/* Takes the line of a process back, which has ended or soon will be forgotten. */
void signals_release(struct client *client);

#endif
