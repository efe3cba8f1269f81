/* The metrics that `vgpu metrics` serves: one row each. docs/metrics.md is made from it (tools/metrics.py).
 */
#ifndef VGPU_CLI_METRICS_TABLE_H
#define VGPU_CLI_METRICS_TABLE_H

#include <stddef.h>

enum metrics_type {
    METRICS_GAUGE,
    METRICS_COUNTER,
    METRICS_TEXT, /* a gauge that is 1, with the text in a label named as the JSON member */
};

/* What the JSON member holds, and so how its value is written. */
enum metrics_unit {
    METRICS_NUMBER,
    METRICS_BYTES,
    METRICS_PERMILLE,
    METRICS_PPM,
    METRICS_NS, /* written in seconds: Prometheus' base unit, which promtool insists on */
    METRICS_MS, /* the same */
    METRICS_BOOL,
    METRICS_LIST, /* how many there are */
    METRICS_WORD,
};

/* Whose figure it is, and so where in vgpud's answers it stands and which labels it has. */
enum metrics_scope {
    METRICS_DAEMON,   /* daemon.status: no labels */
    METRICS_DEVICE,   /* device.list: device (UUID), name */
    METRICS_INSTANCE, /* instance.list: instance_id, name, owner_uid */
    METRICS_SHARE,    /* the instance's part of a device: those and device */
};

struct metrics_row {
    const char *name;
    const char *key; /* of the JSON object: the name without "vgpu_", but for units and counts */
    enum metrics_type type;
    enum metrics_unit unit;
    enum metrics_scope scope;
    const char *help;
};

extern const struct metrics_row metrics_table[];
extern const size_t metrics_table_rows;

/* HAMi's names for figures that vgpu has, for dashboards made for it. */
enum metrics_hami_labels {
    METRICS_HAMI_HOST,             /* node, device_index, device_uuid, device_type */
    METRICS_HAMI_CONTAINER,        /* namespace, pod, container, vdevice_index, device_uuid */
    METRICS_HAMI_LEGACY_HOST,      /* nodeid, deviceidx, deviceuuid, devicetype */
    METRICS_HAMI_LEGACY_CONTAINER, /* podnamespace, podname, ctrname, vdeviceid, deviceuuid */
};

struct metrics_hami_row {
    const char *name;
    const char *key;
    enum metrics_unit unit; /* METRICS_PERMILLE is written as a percentage, as HAMi does */
    enum metrics_hami_labels labels;
    const char *help;
};

extern const struct metrics_hami_row metrics_hami_table[];
extern const size_t metrics_hami_table_rows;

#endif
