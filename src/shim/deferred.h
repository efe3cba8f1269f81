/* Memory that a stream will free: cuMemFreeAsync of memory that came from cuMemAlloc. It stays charged until
 * the stream has got there. Private to src/shim. */
#ifndef VGPU_SHIM_DEFERRED_H
#define VGPU_SHIM_DEFERRED_H

#include "shim/shim.h"
#include "shim/table.h"

typedef CUresult (*deferred_record_fn)(CUevent event, CUstream stream);

/* Remembers that entry, taken out of the table, goes when stream has come past this point. record: the
 * driver's cuEventRecord of the caller's kind of default stream; NULL, or when no event can be had: they go
 * with the next wait for the whole context. */
void deferred_add(const struct table_entry *entry, CUstream stream, deferred_record_fn record);

/* Gives back what streams have freed by now. context_waited: the current context has no work left. */
void deferred_settle(struct ledger_client *client, bool context_waited);

/* The context is gone, and with it what its streams were to free. */
void deferred_forget_context(struct ledger_client *client, CUcontext context);

/* Something is waiting: one load. */
bool deferred_any(void);

void deferred_reset_in_child(void);

#endif
