/* Granting instances: choosing devices, holding requests to what is free, and the queue of those who wait. */
#ifndef VGPU_DAEMON_GRANT_H
#define VGPU_DAEMON_GRANT_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/daemon.h"
#include "daemon/instance.h"
#include "daemon/reservation.h"
#include "daemon/share_terms.h"

enum grant_choice {
    GRANT_ANY, /* an NVIDIA device, or a software one where there is none */
    GRANT_NVIDIA,
    GRANT_SOFTWARE,
    GRANT_LISTED, /* all of `devices` */
};

struct grant_request {
    char name[STATE_NAME_MAX]; /* "": the id */
    uid_t uid;
    int pid; /* of the asker */
    enum grant_choice choice;
    unsigned n_devices; /* GRANT_LISTED */
    uint8_t devices[LEDGER_DEVICES_MAX][UUID_BYTES];
    struct reservation_request memory; /* of each device */
    struct share_terms share;          /* the same */
    char cgroup[STATE_CGROUP_MAX];     /* "": none was named */
    bool wait, lease;
};

/* One who waits. Ends with its connection. */
struct grant_waiting {
    struct grant_waiting *next;
    struct conn *conn;
    struct grant_request request;
    int told_place; /* in the line, as it knows it */
};

/* Grants at once or not. 0 and *ret_instance; -EAGAIN: not free now, waiting would help; other negative
 * errno: never, as asked. err says how much is free and who holds what. The inventory must know the sources
 * that the choice needs. */
int grant_try(struct daemon *daemon, const struct grant_request *request, struct conn *conn,
              struct instance **ret_instance, struct error *err);

/* Puts a request into the queue. Returns its place there, from 1, or -ENOMEM. */
int grant_wait(struct daemon *daemon, const struct grant_request *request, struct conn *conn);
/* Tells one who waits where it stands in the line, and what is missing. */
void grant_tell_queued(struct conn *conn, int place, const char *reason);
/* Takes a connection's request out again. */
void grant_forget(struct daemon *daemon, struct conn *conn);
/* Serves those who wait and now fit, in order; nobody overtakes another on a device both want. Tells the
 * others when their place in the line is another. */
void grant_serve(struct daemon *daemon);

/* Changes what an instance has: its memory, unless that is RESERVATION_ALL_FREE, and of its shares what is
 * given. 0, or negative errno with err filled and nothing changed. */
int grant_change(struct daemon *daemon, struct instance *instance, const struct reservation_request *memory,
                 const struct share_request *share, struct error *err);

/* Answers a granted request. -ENOMEM: that could not be made, the instance is gone again, and conn waits for
 * an error. */
int grant_answer(struct instance *instance, struct conn *conn);

#endif
