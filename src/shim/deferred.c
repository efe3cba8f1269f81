/* A list of frees under way, each marked by an event of ours in its stream; see deferred.h. The list is
 * emptied into the caller's hands while events are asked, so no lock is held over the driver. */
#include "shim/deferred.h"

#include <pthread.h>
#include <stdlib.h>

#include "shim/charge.h"
#include "shim/overhead.h"

struct deferred {
    struct deferred *next;
    CUevent event; /* NULL: goes with a wait for the context */
    CUcontext context;
    struct table_entry entry;
};

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct deferred *list;

bool deferred_any(void)
{
    return __atomic_load_n(&list, __ATOMIC_RELAXED) != NULL;
}

static void list_push(struct deferred *item)
{
    pthread_mutex_lock(&list_lock);
    item->next = list;
    __atomic_store_n(&list, item, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&list_lock);
}

static struct deferred *list_take(void)
{
    struct deferred *taken;

    pthread_mutex_lock(&list_lock);
    taken = list;
    __atomic_store_n(&list, NULL, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&list_lock);
    return taken;
}

static void item_release(struct ledger_client *client, struct deferred *item)
{
    charge_release(client, &item->entry);
    overhead_uncertain_sub(item->entry.device, charge_most_bytes(&item->entry));
    free(item);
}

void deferred_add(const struct table_entry *entry, CUstream stream, deferred_record_fn record)
{
    struct deferred *item = calloc(1, sizeof(*item));

    overhead_uncertain_add(entry->device, charge_most_bytes(entry));
    if (!item)
        return; /* nothing to remember it by: it stays charged until the process ends */
    item->entry = *entry;
    if (real(cuCtxGetCurrent)(&item->context) != CUDA_SUCCESS)
        item->context = NULL;
    if (record && real(cuEventCreate)(&item->event, CU_EVENT_DISABLE_TIMING) != CUDA_SUCCESS) {
        item->event = NULL;
    } else if (record && record(item->event, stream) != CUDA_SUCCESS) {
        real(cuEventDestroy_v2)(item->event);
        item->event = NULL;
    }
    list_push(item);
}

static bool item_is_over(const struct deferred *item, CUcontext waited)
{
    if (waited && item->context == waited)
        return true;
    return item->event && real(cuEventQuery)(item->event) == CUDA_SUCCESS;
}

void deferred_settle(struct ledger_client *client, bool context_waited)
{
    CUstreamCaptureMode mode;
    CUcontext waited = NULL;
    struct deferred *item, *next;
    bool relaxed;

    if (!deferred_any())
        return;
    if (context_waited && real(cuCtxGetCurrent)(&waited) != CUDA_SUCCESS)
        waited = NULL;
    relaxed = shim_capture_relax(&mode);
    for (item = list_take(); item; item = next) {
        next = item->next;
        if (!item_is_over(item, waited)) {
            list_push(item);
            continue;
        }
        if (item->event)
            real(cuEventDestroy_v2)(item->event);
        item_release(client, item);
    }
    shim_capture_restore(relaxed, mode);
}

void deferred_forget_context(struct ledger_client *client, CUcontext context)
{
    struct deferred *next;

    for (struct deferred *item = list_take(); item; item = next) {
        next = item->next;
        if (item->context == context)
            item_release(client, item); /* its event went with the context */
        else
            list_push(item);
    }
}

void deferred_reset_in_child(void)
{
    list_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    list = NULL;
}
