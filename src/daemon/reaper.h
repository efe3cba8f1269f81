/* The processes of instances: noticed the moment they end, given back what they held. Each has a pidfd in the
 * loop, so a reused pid is never taken for it, and one that died before it was watched is noticed at once. */
#ifndef VGPU_DAEMON_REAPER_H
#define VGPU_DAEMON_REAPER_H

#include "daemon/instance.h"

/* A client without a slot in the ledger: it belongs to an orphaned instance. */
#define REAPER_NO_SLOT UINT32_MAX

/* Watches a process for an instance. Takes over pidfd, also on failure. 0 or negative errno (nothing is
 * watched then, and a slot stays the caller's to reap). */
int reaper_watch(struct instance *instance, int pidfd, const struct state_client *who);

/* Watches the peer of a connection as the client's process, which could not be seen so far. 0 or negative
 * errno. */
int reaper_watch_peer(struct client *client, int sock);

/* Gives back what the program held that the same process ran before it became `who` by execve: a process
 * attaches as another image when its former one, and with it that one's GPU memory, is gone. */
void reaper_replace(struct instance *instance, const struct state_client *who);

/* Opens a pidfd of exactly that process. Descriptor, or -ESRCH when it has ended. */
int reaper_open(struct state_process process);

/* Signals every process of the instance; returns how many were reached. */
unsigned reaper_signal(const struct instance *instance, int signal_number);

/* Tries again to give back what a hostile tenant kept busy when its process died. */
void reaper_retry(struct instance *instance);

/* Gives back now what processes hold that are dead and whose pidfd the loop has not come to yet; returns how
 * many it found. The instance may be left without clients: settle it. */
unsigned reaper_reap_dead(struct instance *instance);

/* Stops watching: the instance ends. */
void reaper_forget_all(struct instance *instance);

/* Reaps the slot of a client whose process has ended, now; the client is gone then, or stays to be tried
 * again (reaper_retry). */
void reaper_finish(struct client *client);

#endif
