/* A libnvidia-ml.so.1 for tests and benchmarks: GPUs whose power follows a script, the energy counter its integral.
 *
 * MOCK_NVML_SCRIPT  path of the script, see script.c; script.py writes it and has the exact joules
 * MOCK_NVML_CLOCK   path of a file with one double: the time. A call's latency moves it on. Without it: CLOCK_BOOTTIME.
 * MOCK_NVML_CALLS   path of a file to which the name of every function is written when it is first called
 *
 * A process that has the library as its own may call mock_nvml_use() in place of setting the first two.
 */
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nvml_mock.h"

enum { FIELD_ENERGY = 83, FIELD_POWER_AVERAGE = 185, FIELD_POWER_INSTANT = 186, VALUE_UINT = 1, VALUE_ULL = 3 };
enum { SCOPE_GPU = 0, SCOPE_MODULE = 1, MAX_CALLS = 64 };

typedef struct {
    unsigned field_id, scope_id;
    long long timestamp, latency;
    unsigned value_type, status;
    union { double d; unsigned ui; unsigned long long ull; } value;
} field_value_t;
typedef struct { unsigned gpu, memory; } utilization_t;
typedef struct { unsigned pid; unsigned long long memory; unsigned gpu_instance, compute_instance; } process_t;
typedef struct { unsigned long long total, free, used; } memory_t;

static int users, generation = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void take_in_script(void) {
    if (read_script()) { users = 0; generation = -1; }
}

static void note_call(const char *name) {
    static const char *seen[MAX_CALLS];
    static int count;
    const char *path = getenv("MOCK_NVML_CALLS");
    for (int i = 0; i < count; i++)
        if (!strcmp(seen[i], name)) return;
    if (!path || count == MAX_CALLS) return;
    seen[count++] = name;
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (file < 0 || dprintf(file, "%s\n", name) < 0) { perror(path); abort(); }
    close(file);
}

/* Stay in a call for as long as the script says that calls hang. */
static void hang(gpu_t *g) {
    for (;;) {
        pthread_mutex_lock(&lock);
        take_in_script();
        const fault_t *hung = fault_at(g, HANG, now());
        double left = hung ? hung->to - now() : 0;
        pthread_mutex_unlock(&lock);
        if (!hung) return;
        pass(on_shared_clock() ? left : fmin(left, 0.02));
    }
}

static int code_of(const gpu_t *g, const char *call, double t) {
    int load = driver_load(t);
    if (load < 0) return UNKNOWN;
    if (!users || load != generation) return UNINITIALIZED;
    if (g && fault_at(g, LOST, t)) return GPU_IS_LOST;
    for (int i = 0; g && i < g->faults; i++) {
        const fault_t *f = &g->fault[i];
        if (f->kind == CALL_ERROR && f->from <= t && t < f->to && !strcmp(f->call, call)) return f->code;
    }
    return OK;
}

/* Enter a call on a GPU: its latency, its hang, its errors. Returns with the lock held when OK, and the time. */
static int enter(gpu_t *g, const char *call, double *t) {
    pthread_mutex_lock(&lock);
    note_call(call);
    take_in_script();
    double before = g ? g->latency * g->latency_before : 0;
    pthread_mutex_unlock(&lock);
    if (g) hang(g);
    pass(before);
    pthread_mutex_lock(&lock);
    *t = now();
    int code = code_of(g, call, *t);
    if (code) pthread_mutex_unlock(&lock);
    return code;
}
static int leave(gpu_t *g, int code) {
    double after = g ? g->latency * (1 - g->latency_before) : 0;
    pthread_mutex_unlock(&lock);
    pass(after);
    return code;
}

#define CALL(g, body) do { \
    double t; int code = enter(g, __func__, &t); if (code) return code; body; return leave(g, code); } while (0)

#pragma GCC visibility push(default)

void mock_nvml_use(const char *script, const char *clock) {
    pthread_mutex_lock(&lock);
    snprintf(script_path, sizeof script_path, "%s", script);
    snprintf(clock_path, sizeof clock_path, "%s", clock);
    pthread_mutex_unlock(&lock);
}

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    pthread_mutex_lock(&lock);
    note_call(__func__);
    take_in_script();
    int load = driver_load(now());
    if (load >= 0 && users++ == 0) generation = load;
    pthread_mutex_unlock(&lock);
    return load < 0 ? DRIVER_NOT_LOADED : OK;
}
int nvmlShutdown(void) {
    pthread_mutex_lock(&lock);
    note_call(__func__);
    int code = users > 0 ? OK : UNINITIALIZED;
    users -= users > 0;
    pthread_mutex_unlock(&lock);
    return code;
}
int nvmlDeviceGetCount_v2(unsigned *count) {
    CALL(NULL, *count = 0; for (int i = 0; i < gpu_count; i++) *count += visible(&gpus[i]));
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, gpu_t **gpu) {
    double t;
    int code = enter(NULL, __func__, &t);
    if (code) return code;
    code = INVALID;
    for (int i = 0, seen = 0; i < gpu_count; i++)
        if (visible(&gpus[i]) && (unsigned)seen++ == index) {
            *gpu = &gpus[i];
            code = code_of(*gpu, __func__, t);
        }
    return leave(NULL, code);
}
int nvmlDeviceGetHandleByUUID(const char *uuid, gpu_t **gpu) {
    double t;
    int code = enter(NULL, __func__, &t);
    if (code) return code;
    code = NOT_FOUND;
    for (int i = 0; i < gpu_count; i++)
        if (visible(&gpus[i]) && !strcmp(gpus[i].uuid, uuid)) {
            *gpu = &gpus[i];
            code = code_of(*gpu, __func__, t);
        }
    return leave(NULL, code);
}
int nvmlSystemGetDriverVersion(char *text, unsigned length) {
    CALL(NULL, snprintf(text, length, "%s", driver_version));
}
int nvmlSystemGetNVMLVersion(char *text, unsigned length) {
    CALL(NULL, snprintf(text, length, "12.%s", driver_version));
}
int nvmlSystemGetCudaDriverVersion_v2(int *version) { CALL(NULL, *version = 12080); }
int nvmlDeviceGetUUID(gpu_t *g, char *text, unsigned length) { CALL(g, snprintf(text, length, "%s", g->uuid)); }
int nvmlDeviceGetName(gpu_t *g, char *text, unsigned length) { CALL(g, snprintf(text, length, "%s", g->name)); }
int nvmlDeviceGetArchitecture(gpu_t *g, unsigned *arch) { CALL(g, *arch = (unsigned)g->arch); }
int nvmlDeviceGetPowerManagementLimit(gpu_t *g, unsigned *mw) { CALL(g, *mw = (unsigned)(g->limit * 1e3)); }
int nvmlDeviceGetEnforcedPowerLimit(gpu_t *g, unsigned *mw) { CALL(g, *mw = (unsigned)(g->limit * 1e3)); }
int nvmlDeviceGetPowerManagementLimitConstraints(gpu_t *g, unsigned *least_mw, unsigned *most_mw) {
    CALL(g, if (!(g->max_limit > 0)) code = NOT_SUPPORTED;
            *least_mw = 100000; *most_mw = (unsigned)(g->max_limit * 1e3));
}
int nvmlDeviceGetMigMode(gpu_t *g, unsigned *current, unsigned *pending) {
    CALL(g, if (g->mig < 0) code = NOT_SUPPORTED; *current = *pending = g->mig > 0);
}
int nvmlDeviceGetTotalEnergyConsumption(gpu_t *g, unsigned long long *mj) {
    CALL(g,
        if (!g->counter) code = NOT_SUPPORTED;
        else if (fault_at(g, COUNTER_ERROR, t)) code = UNKNOWN;
        else *mj = (unsigned long long)llround(counter_at(g, t) * 1e3));
}
int nvmlDeviceGetPowerUsage(gpu_t *g, unsigned *mw) {
    CALL(g, if (fault_at(g, POWER_ERROR, t)) code = UNKNOWN;
            *mw = (unsigned)llround(gauge_at(g, t, g->average > 0) * 1e3));
}

static void fill_field(const gpu_t *g, field_value_t *v, double t) {
    int module = v->scope_id == SCOPE_MODULE, averaged = v->field_id == FIELD_POWER_AVERAGE;
    v->status = NOT_SUPPORTED;
    v->value_type = VALUE_UINT;
    if (v->field_id == FIELD_ENERGY && g->counter) {
        v->status = OK; v->value_type = VALUE_ULL;
        v->value.ull = (unsigned long long)llround(counter_at(g, t) * 1e3);
    } else if ((v->field_id == FIELD_POWER_INSTANT || averaged) && g->instant
               && (v->scope_id == SCOPE_GPU || (module && g->module > 0))) {
        v->status = fault_at(g, POWER_ERROR, t) ? UNKNOWN : OK;
        double watts = gauge_at(g, t, averaged && g->average > 0) + (module ? g->module : 0);
        v->value.ui = (unsigned)llround(watts * 1e3);
    }
}
int nvmlDeviceGetFieldValues(gpu_t *g, int count, field_value_t *values) {
    CALL(g, for (int i = 0; i < count; i++) fill_field(g, &values[i], t));
}
int nvmlDeviceGetUtilizationRates(gpu_t *g, utilization_t *use) {
    /* With MIG on, nobody knows the use of the whole board. */
    CALL(g, if (g->mig > 0) code = NOT_SUPPORTED; use->gpu = 50; use->memory = 10);
}
/* As many as there is room for; those named first have the most memory. */
static int list_processes(const gpu_t *g, unsigned *count, process_t *found) {
    unsigned room = *count;
    *count = 0;
    for (const char *c = g->pids; *c; (*count)++) {
        char *end;
        unsigned pid = (unsigned)strtoul(c, &end, 10);
        if (*count < room) found[*count] = (process_t){pid, (1000ull - *count) << 20, ~0u, ~0u};
        c = *end ? end + 1 : end;
    }
    return *count > room ? INSUFFICIENT_SIZE : OK;
}
int nvmlDeviceGetComputeRunningProcesses_v3(gpu_t *g, unsigned *count, process_t *found) {
    CALL(g, code = list_processes(g, count, found));
}
int nvmlDeviceGetPersistenceMode(gpu_t *g, unsigned *mode) { CALL(g, *mode = 1); }
int nvmlDeviceGetMemoryInfo(gpu_t *g, memory_t *m) { CALL(g, m->total = 100; m->free = 60; m->used = 40); }
int nvmlDeviceGetTemperature(gpu_t *g, int sensor, unsigned *celsius) { (void)sensor; CALL(g, *celsius = 45); }
int nvmlDeviceGetClockInfo(gpu_t *g, int kind, unsigned *mhz) { (void)kind; CALL(g, *mhz = 1980); }
int nvmlDeviceGetCurrentClocksThrottleReasons(gpu_t *g, unsigned long long *bits) { CALL(g, *bits = 0x4); }
const char *nvmlErrorString(int code) {
    return code == DRIVER_NOT_LOADED ? "Driver Not Loaded" : code == GPU_IS_LOST ? "GPU is lost"
        : code == UNINITIALIZED ? "Uninitialized" : code == UNKNOWN ? "Unknown Error"
        : code == NO_PERMISSION ? "Insufficient Permissions" : code == NOT_FOUND ? "Not Found" : "Not Supported";
}
