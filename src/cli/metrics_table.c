/* Names, types and meanings of metrics; see metrics_table.h. tools/metrics.py reads the rows, so each is one
 * call of the macro with texts that need no other. */
#include "cli/metrics_table.h"

#define ROW(name, key, type, unit, scope, help)                                                              \
    {                                                                                                        \
        name, key, METRICS_##type, METRICS_##unit, METRICS_##scope, help                                     \
    }

/* clang-format off */
const struct metrics_row metrics_table[] = {
    ROW("vgpu_daemon_version", "version", TEXT, WORD, DAEMON, "vgpud's version"),
    ROW("vgpu_daemon_uptime_seconds", "uptime_ms", GAUGE, MS, DAEMON, "Time since vgpud was started"),
    ROW("vgpu_daemon_connections", "connection_count", GAUGE, NUMBER, DAEMON, "Connections to vgpud's control socket"),
    ROW("vgpu_daemon_instances", "instance_count", GAUGE, NUMBER, DAEMON, "Instances of all users"),

    ROW("vgpu_device_index", "index", GAUGE, NUMBER, DEVICE, "Number of the device in `vgpu device list`"),
    ROW("vgpu_device_kind", "kind", TEXT, WORD, DEVICE, "nvidia or software"),
    ROW("vgpu_device_memory_capacity_bytes", "memory_capacity_bytes", GAUGE, BYTES, DEVICE, "Memory of the device"),
    ROW("vgpu_device_memory_reserved_bytes", "memory_reserved_bytes", GAUGE, BYTES, DEVICE, "Memory that instances reserve"),
    ROW("vgpu_device_memory_free_bytes", "memory_free_bytes", GAUGE, BYTES, DEVICE, "Memory that is free to reserve"),
    ROW("vgpu_device_memory_used_bytes", "memory_used_bytes", GAUGE, BYTES, DEVICE, "Memory in use, by the device's own account"),
    ROW("vgpu_device_driver_bytes", "driver_bytes", GAUGE, BYTES, DEVICE, "Memory that processes of instances hold, by the driver"),
    ROW("vgpu_device_difference_bytes", "difference_bytes", GAUGE, BYTES, DEVICE, "That less what the instances' accounts say"),
    ROW("vgpu_device_not_limited", "not_limited", GAUGE, LIST, DEVICE, "Processes on the device that belong to no instance"),
    ROW("vgpu_device_instances", "instance_count", GAUGE, NUMBER, DEVICE, "Instances of all users on the device"),
    ROW("vgpu_device_used_permille", "used_permille", GAUGE, PERMILLE, DEVICE, "Compute time of the last second that instances used, in thousandths"),
    ROW("vgpu_device_copy_permille", "copy_permille", GAUGE, PERMILLE, DEVICE, "Copy engine's time of the last second that instances used, in thousandths"),
    ROW("vgpu_device_compute_reserved_permille", "compute_reserved_permille", GAUGE, PERMILLE, DEVICE, "Shares that instances were promised, in thousandths"),
    ROW("vgpu_device_compute_free_permille", "compute_free_permille", GAUGE, PERMILLE, DEVICE, "Shares that can still be promised, in thousandths"),

    ROW("vgpu_state", "state", TEXT, WORD, INSTANCE, "ready, running, over-limit, stopping or orphaned"),
    ROW("vgpu_policy", "policy", TEXT, WORD, INSTANCE, "best-effort, equal-share or fixed-share"),
    ROW("vgpu_priority", "priority", TEXT, WORD, INSTANCE, "low, normal or high"),
    ROW("vgpu_created_seconds", "created_ms", GAUGE, MS, INSTANCE, "When it was made, in Unix time"),
    ROW("vgpu_clients", "client_count", GAUGE, NUMBER, INSTANCE, "Processes that use the GPU"),
    ROW("vgpu_queued", "queued", GAUGE, NUMBER, INSTANCE, "Processes that are held back now"),
    ROW("vgpu_overcommit", "overcommit", GAUGE, BOOL, INSTANCE, "Whether it may have more memory than others left"),
    ROW("vgpu_leased", "leased", GAUGE, BOOL, INSTANCE, "Whether it ends with the connection that made it"),

    ROW("vgpu_memory_limit_bytes", "memory_limit_bytes", GAUGE, BYTES, SHARE, "Memory it may use"),
    ROW("vgpu_memory_used_bytes", "memory_used_bytes", GAUGE, BYTES, SHARE, "Memory it uses, by its account"),
    ROW("vgpu_memory_peak_bytes", "memory_peak_bytes", GAUGE, BYTES, SHARE, "The most memory it used"),
    ROW("vgpu_denied_total", "denied_total", COUNTER, NUMBER, SHARE, "Allocations that were refused"),
    ROW("vgpu_over_limit", "over_limit", GAUGE, BOOL, SHARE, "Whether it uses more memory than its limit, which was lowered"),
    ROW("vgpu_driver_bytes", "driver_bytes", GAUGE, BYTES, SHARE, "Memory that its processes hold, by the driver"),
    ROW("vgpu_difference_bytes", "difference_bytes", GAUGE, BYTES, SHARE, "That less what its account says"),
    ROW("vgpu_share_permille", "share_permille", GAUGE, PERMILLE, SHARE, "Share of the device's time that was asked for, in thousandths; 0: none"),
    ROW("vgpu_weight", "weight", GAUGE, NUMBER, SHARE, "Weight among those that share what is left; 0: none was asked for"),
    ROW("vgpu_time_slice_seconds", "time_slice_ns", GAUGE, NS, SHARE, "Length of a turn that was asked for; 0: none"),
    ROW("vgpu_rate_ppm", "rate_ppm", GAUGE, PPM, SHARE, "Part of the device's time that it may use now, in millionths"),
    ROW("vgpu_used_permille", "used_permille", GAUGE, PERMILLE, SHARE, "Compute time of the last second that it used, in thousandths"),
    ROW("vgpu_copy_permille", "copy_permille", GAUGE, PERMILLE, SHARE, "Copy engine's time of the last second that it used, in thousandths"),
    ROW("vgpu_gpu_time_seconds_total", "gpu_time_ns_total", COUNTER, NS, SHARE, "Compute time it used"),
    ROW("vgpu_copy_time_seconds_total", "copy_time_ns_total", COUNTER, NS, SHARE, "Copy engine's time it used"),
    ROW("vgpu_throttled_seconds_total", "throttled_ns_total", COUNTER, NS, SHARE, "Time its threads were held back; several threads add up"),
    ROW("vgpu_throttled_total", "throttled_total", COUNTER, NUMBER, SHARE, "How often its threads were held back"),
    ROW("vgpu_throttled_permille", "throttled_permille", GAUGE, PERMILLE, SHARE, "Time of the last second that its threads were held back, in thousandths"),
    ROW("vgpu_active", "active", GAUGE, BOOL, SHARE, "Whether it had work, or waited to, in the last 100 ms"),
    ROW("vgpu_debt_seconds", "debt_ns", GAUGE, NS, SHARE, "Time it used beyond its allowance, to be waited for"),
};

#define HAMI(name, key, unit, labels, help)                                                                                        \
    {                                                                                                                              \
        name, key, METRICS_##unit, METRICS_HAMI_##labels, help                                                                     \
    }

const struct metrics_hami_row metrics_hami_table[] = {
    HAMI("hami_host_gpu_memory_used_bytes", "memory_used_bytes", BYTES, HOST, "Memory in use on the device"),
    HAMI("hami_host_gpu_utilization_ratio", "used_permille", PERMILLE, HOST, "Compute time used, in percent"),
    HAMI("hami_vgpu_memory_used_bytes", "memory_used_bytes", BYTES, CONTAINER, "Memory the instance uses"),
    HAMI("hami_vgpu_memory_limit_bytes", "memory_limit_bytes", BYTES, CONTAINER, "Memory the instance may use"),
    HAMI("hami_container_device_memory_bytes", "memory_used_bytes", BYTES, CONTAINER, "Memory the instance uses"),
    HAMI("hami_container_device_utilization_ratio", "used_permille", PERMILLE, CONTAINER, "Compute time the instance used, in percent"),
    HAMI("HostGPUMemoryUsage", "memory_used_bytes", BYTES, LEGACY_HOST, "Memory in use on the device"),
    HAMI("HostCoreUtilization", "used_permille", PERMILLE, LEGACY_HOST, "Compute time used, in percent"),
    HAMI("vGPU_device_memory_usage_in_bytes", "memory_used_bytes", BYTES, LEGACY_CONTAINER, "Memory the instance uses"),
    HAMI("vGPU_device_memory_limit_in_bytes", "memory_limit_bytes", BYTES, LEGACY_CONTAINER, "Memory the instance may use"),
    HAMI("Device_utilization_desc_of_container", "used_permille", PERMILLE, LEGACY_CONTAINER, "Compute time the instance used, in percent"),
};
/* clang-format on */

const size_t metrics_table_rows = sizeof(metrics_table) / sizeof(*metrics_table);
const size_t metrics_hami_table_rows = sizeof(metrics_hami_table) / sizeof(*metrics_hami_table);
