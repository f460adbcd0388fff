/* A libnvidia-ml.so.1 for tests: N GPUs of constant power, the energy counter its exact integral.
 *
 * MOCK_NVML_WATTS      comma-separated watts, one GPU each            (default "100")
 * MOCK_NVML_TICK_MS    refresh of the energy counter in milliseconds  (default 100)
 * MOCK_NVML_NO_COUNTER set: the counter is not supported
 * MOCK_NVML_NO_INSTANT set: the driver has no instantaneous power field
 * MOCK_NVML_NO_DRIVER  set: nvmlInit fails, as without a kernel module
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OK = 0, INVALID = 2, NOT_SUPPORTED = 3, DRIVER_NOT_LOADED = 9 };
enum { FIELD_POWER_INSTANT = 186, VALUE_UINT = 1, MAX_GPUS = 16 };

typedef struct { int index; double watts; } gpu_t;
typedef struct {
    unsigned field_id, scope_id;
    long timestamp, latency;
    unsigned value_type, status;
    union { double d; unsigned ui; unsigned long long ull; } value;
} field_value_t;
typedef struct { unsigned gpu, memory; } utilization_t;
typedef struct { unsigned long long total, free, used; } memory_t;

static gpu_t gpus[MAX_GPUS];
static unsigned gpu_count;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    if (getenv("MOCK_NVML_NO_DRIVER")) return DRIVER_NOT_LOADED;
    const char *text = getenv("MOCK_NVML_WATTS");
    char copy[256];
    snprintf(copy, sizeof copy, "%s", text ? text : "100");
    gpu_count = 0;
    for (char *part = strtok(copy, ","); part && gpu_count < MAX_GPUS; part = strtok(NULL, ",")) {
        gpus[gpu_count].index = (int)gpu_count;
        gpus[gpu_count++].watts = atof(part);
    }
    return OK;
}
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { return OK; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = gpu_count; return OK; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, gpu_t **gpu) {
    if (index >= gpu_count) return INVALID;
    *gpu = &gpus[index];
    return OK;
}
int nvmlDeviceGetUUID(gpu_t *gpu, char *text, unsigned length) {
    snprintf(text, length, "GPU-00000000-0000-0000-0000-%012d", gpu->index);
    return OK;
}
int nvmlDeviceGetName(gpu_t *gpu, char *text, unsigned length) { (void)gpu; snprintf(text, length, "Mock GPU"); return OK; }
int nvmlSystemGetDriverVersion(char *text, unsigned length) { snprintf(text, length, "570.00"); return OK; }
int nvmlDeviceGetPowerManagementLimit(gpu_t *gpu, unsigned *mw) { (void)gpu; *mw = 700000; return OK; }
int nvmlDeviceGetPowerUsage(gpu_t *gpu, unsigned *mw) { *mw = (unsigned)(gpu->watts * 1e3); return OK; }
int nvmlDeviceGetTotalEnergyConsumption(gpu_t *gpu, unsigned long long *mj) {
    if (getenv("MOCK_NVML_NO_COUNTER")) return NOT_SUPPORTED;
    const char *text = getenv("MOCK_NVML_TICK_MS");
    double tick = (text ? atof(text) : 100.0) / 1e3;
    double refreshed = (long long)(now() / tick) * tick;
    *mj = (unsigned long long)(refreshed * gpu->watts * 1e3);
    return OK;
}
int nvmlDeviceGetFieldValues(gpu_t *gpu, int count, field_value_t *values) {
    for (int i = 0; i < count; i++) {
        int known = values[i].field_id == FIELD_POWER_INSTANT && !getenv("MOCK_NVML_NO_INSTANT");
        values[i].status = known ? OK : NOT_SUPPORTED;
        values[i].value_type = VALUE_UINT;
        values[i].value.ui = known ? (unsigned)(gpu->watts * 1e3) : 0;
    }
    return OK;
}
int nvmlDeviceGetUtilizationRates(gpu_t *gpu, utilization_t *use) { (void)gpu; use->gpu = 50; use->memory = 10; return OK; }
int nvmlDeviceGetMemoryInfo(gpu_t *gpu, memory_t *m) { (void)gpu; m->total = 100; m->free = 60; m->used = 40; return OK; }
int nvmlDeviceGetTemperature(gpu_t *gpu, int sensor, unsigned *celsius) { (void)gpu; (void)sensor; *celsius = 45; return OK; }
int nvmlDeviceGetClockInfo(gpu_t *gpu, int kind, unsigned *mhz) { (void)gpu; (void)kind; *mhz = 1980; return OK; }
int nvmlDeviceGetCurrentClocksThrottleReasons(gpu_t *gpu, unsigned long long *bits) { (void)gpu; *bits = 0x4; return OK; }
const char *nvmlErrorString(int code) { return code == DRIVER_NOT_LOADED ? "Driver Not Loaded" : "Not Supported"; }
