/* The signals area, from vgpud's side: made once a node, lines taken back from the dead. What stands in it is
 * hostile: it decides only for whom others wait a little. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ledger/area.h"
#include "ledger/ledger.h"
#include "ledger/word.h"

int ledger_signals_new(int *ret_fd, struct ledger_signals **ret_signals, struct error *err)
{
    struct ledger_signals *signals;
    void *map;
    int fd, r = area_new("vgpu-signals", sizeof(*signals), AREA_SHARED_SEALS, &fd, &map, err);

    if (r < 0)
        return r;
    signals = map;
    signals->major = LEDGER_MAJOR;
    signals->minor = LEDGER_MINOR;
    signals->n_devices = LEDGER_SIGNAL_DEVICES_MAX;
    signals->area_bytes = sizeof(*signals);
    signals->magic = LEDGER_SIGNALS_MAGIC;
    *ret_fd = fd;
    *ret_signals = signals;
    return 0;
}

int ledger_signals_adopt(int fd, struct ledger_signals **ret_signals, struct error *err)
{
    struct ledger_signals *signals;
    void *map;
    int r = area_adopt("signals area", fd, sizeof(*signals), AREA_SHARED_SEALS, PROT_READ | PROT_WRITE, &map,
                       err);

    if (r < 0)
        return r;
    signals = map;
    if (signals->magic != LEDGER_SIGNALS_MAGIC || signals->major != LEDGER_MAJOR ||
        signals->area_bytes != sizeof(*signals)) {
        munmap(map, sizeof(*signals));
        return error_fail(err, -EBADMSG, "the signals area that was kept is not one of this vgpud");
    }
    *ret_signals = signals;
    return 0;
}

void ledger_signals_free(int fd, struct ledger_signals *signals)
{
    if (!signals)
        return;
    munmap(signals, sizeof(*signals));
    close(fd);
}

bool ledger_signal_is_busy(const struct ledger_signals *signals, unsigned device, unsigned line)
{
    const struct ledger_signal *signal = &signals->lines[device][line];

    return ledger_load(&signal->begun) != ledger_load(&signal->ended);
}

/* Not to zero: one who looks just now must see a line come to rest, not begin anew. */
void ledger_signal_clear(struct ledger_signals *signals, unsigned device, unsigned line)
{
    struct ledger_signal *signal = &signals->lines[device][line];

    __atomic_store_n(&signal->ended, ledger_load(&signal->begun), __ATOMIC_RELEASE);
}
