/* A libnvidia-ml.so.1 for tests and benchmarks: GPUs whose power follows a script, the energy counter its integral.
 *
 * MOCK_NVML_SCRIPT  path of the script; read again whenever the file changes. Written by mock_nvml.py, which also has
 *                   the exact joules. All times are in seconds of the clock.
 *     gpu K name=value …           properties, see set_property()
 *     power K START constant W | square LOW HIGH HERTZ DUTY | ramp FROM TO SECONDS | noise MEAN SPREAD SEED
 *     fault K FROM TO lost | counter_error | power_error | frozen | hang
 *     fault -1 FROM TO driver      no driver; afterwards every counter starts at 0 and handles are stale
 *     reset K AT                   the counter starts again at 0
 * MOCK_NVML_CLOCK   path of a file with one double: the time. A call's latency moves it on. Without it: CLOCK_BOOTTIME.
 */
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { OK = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15, UNKNOWN = 999 };
enum { FIELD_ENERGY = 83, FIELD_POWER_AVERAGE = 185, FIELD_POWER_INSTANT = 186, VALUE_UINT = 1, VALUE_ULL = 3 };
enum { SCOPE_GPU = 0, SCOPE_MODULE = 1, MAX_GPUS = 16, MAX_PIECES = 4096, MAX_FAULTS = 64, WAVES = 5 };
enum shape { CONSTANT, SQUARE, RAMP, NOISE };
enum fault { LOST, COUNTER_ERROR, POWER_ERROR, FROZEN, HANG, DRIVER, RESET };

typedef struct { double start; enum shape shape; double p[4]; double joules_before; } piece_t;
typedef struct { double from, to; enum fault kind; } fault_t;
typedef struct {
    int index, hidden, counter, instant, mig, arch;
    double tick, jitter, phase, power_tick, average, latency, latency_before, limit, module;
    char name[64], uuid[64];
    int pieces, faults;
    piece_t piece[MAX_PIECES];
    fault_t fault[MAX_FAULTS];
} gpu_t;
typedef struct {
    unsigned field_id, scope_id;
    long long timestamp, latency;
    unsigned value_type, status;
    union { double d; unsigned ui; unsigned long long ull; } value;
} field_value_t;
typedef struct { unsigned gpu, memory; } utilization_t;
typedef struct { unsigned long long total, free, used; } memory_t;

static gpu_t gpus[MAX_GPUS];
static int gpu_count, driver_faults, users, generation = -1;
static fault_t driver_fault[MAX_FAULTS];
static char driver_version[64] = "570.00";
static struct timespec script_read;
static off_t script_size = -1;
static volatile double *shared_clock;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* -- time -------------------------------------------------------------------------------------------------- */

static double now(void) {
    const char *path = getenv("MOCK_NVML_CLOCK");
    static char mapped[512];
    if (path && strcmp(mapped, path)) {
        snprintf(mapped, sizeof mapped, "%s", path);
        int file = open(path, O_RDWR);
        if (file < 0) { perror(path); abort(); }
        shared_clock = mmap(NULL, sizeof(double), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        close(file);
    }
    if (path) return *shared_clock;
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void pass(double seconds) {
    if (seconds <= 0) return;
    if (getenv("MOCK_NVML_CLOCK")) { double t = now(); *shared_clock = t + seconds; return; }
    struct timespec t = { (time_t)seconds, (long)(fmod(seconds, 1.0) * 1e9) };
    nanosleep(&t, NULL);
}

/* A number in [0, 1) that belongs to (seed, index): the same in mock_nvml.py. */
static double chance(unsigned long long seed, long long index) {
    unsigned long long x = seed * 0x9E3779B97F4A7C15ULL + (unsigned long long)index * 0xBF58476D1CE4E5B9ULL;
    x ^= x >> 30; x *= 0xBF58476D1CE4E5B9ULL; x ^= x >> 27; x *= 0x94D049BB133111EBULL; x ^= x >> 31;
    return (double)(x >> 11) / 9007199254740992.0;
}

/* -- power and its exact integral ---------------------------------------------------------------------------- */

static void wave(const piece_t *p, int i, double *hertz, double *angle) {
    *hertz = 0.3 + 30.0 * chance((unsigned long long)p->p[2], 2 * i) * chance((unsigned long long)p->p[2], 2 * i);
    *angle = 2 * M_PI * chance((unsigned long long)p->p[2], 2 * i + 1);
}

static double piece_watts(const piece_t *p, double s) {
    double hertz, angle, sum = 0;
    switch (p->shape) {
    case CONSTANT: return p->p[0];
    case SQUARE: return fmod(s * p->p[2], 1.0) < p->p[3] ? p->p[1] : p->p[0];
    case RAMP: return p->p[0] + (p->p[1] - p->p[0]) * fmin(1.0, s / p->p[2]);
    case NOISE:
        for (int i = 0; i < WAVES; i++) { wave(p, i, &hertz, &angle); sum += sin(2 * M_PI * hertz * s + angle); }
        return p->p[0] + p->p[1] * sum / WAVES;
    }
    return 0;
}

static double piece_joules(const piece_t *p, double s) {
    double hertz, angle, sum = 0;
    switch (p->shape) {
    case CONSTANT: return p->p[0] * s;
    case SQUARE: {
        double period = 1 / p->p[2], whole = floor(s / period), rest = s - whole * period, high = p->p[3] * period;
        return whole * (high * p->p[1] + (period - high) * p->p[0]) + fmin(rest, high) * p->p[1] + fmax(0, rest - high) * p->p[0];
    }
    case RAMP: {
        double rise = fmin(s, p->p[2]);
        return p->p[0] * rise + (p->p[1] - p->p[0]) * rise * rise / (2 * p->p[2]) + (s - rise) * p->p[1];
    }
    case NOISE:
        for (int i = 0; i < WAVES; i++) {
            wave(p, i, &hertz, &angle);
            sum += (cos(angle) - cos(2 * M_PI * hertz * s + angle)) / (2 * M_PI * hertz);
        }
        return p->p[0] * s + p->p[1] * sum / WAVES;
    }
    return 0;
}

static const piece_t *piece_at(const gpu_t *g, double t) {
    const piece_t *found = NULL;
    for (int i = 0; i < g->pieces && g->piece[i].start <= t; i++) found = &g->piece[i];
    return found;
}
static double watts_at(const gpu_t *g, double t) {
    const piece_t *p = piece_at(g, t);
    return p ? piece_watts(p, t - p->start) : 0;
}
static double joules_at(const gpu_t *g, double t) {
    const piece_t *p = piece_at(g, t);
    double module = g->pieces ? g->module * fmax(0, t - g->piece[0].start) : 0;
    return p ? p->joules_before + piece_joules(p, t - p->start) + module : 0;
}

/* The latest refresh at or before t of something that refreshes every `tick`, unevenly by `jitter` of it. */
static double refreshed(const gpu_t *g, double tick, double t) {
    if (tick <= 0) return t;
    for (long long k = (long long)floor((t - g->phase) / tick) + 1;; k--) {
        double at = g->phase + tick * (k + g->jitter * (chance(7, k) - 0.5));
        if (at <= t) return at;
    }
}

static const fault_t *fault_at(const gpu_t *g, enum fault kind, double t) {
    for (int i = 0; i < g->faults; i++)
        if (g->fault[i].kind == kind && g->fault[i].from <= t && t < g->fault[i].to) return &g->fault[i];
    return NULL;
}
static double counter_at(const gpu_t *g, double t) {
    const fault_t *frozen = fault_at(g, FROZEN, t);
    double at = refreshed(g, g->tick, frozen ? frozen->from : t), zero = -1e18;
    for (int i = 0; i < g->faults; i++)
        if (g->fault[i].kind == RESET && g->fault[i].from <= t) zero = fmax(zero, g->fault[i].from);
    for (int i = 0; i < driver_faults; i++)
        if (driver_fault[i].to <= t) zero = fmax(zero, driver_fault[i].to);
    return fmax(0, joules_at(g, at) - (zero > -1e18 ? joules_at(g, zero) : 0));
}
static double gauge_at(const gpu_t *g, double t, int averaged) {
    double at = refreshed(g, g->power_tick, t);
    return averaged ? (joules_at(g, at) - joules_at(g, at - g->average)) / g->average - g->module : watts_at(g, at);
}

/* -- the script ---------------------------------------------------------------------------------------------- */

static void set_property(gpu_t *g, const char *name, const char *text) {
    double value = atof(text);
    if (!strcmp(name, "tick")) g->tick = value;                    /* seconds between refreshes of the counter */
    else if (!strcmp(name, "jitter")) g->jitter = value;           /* unevenness of the ticks, part of a tick */
    else if (!strcmp(name, "phase")) g->phase = value;             /* seconds by which the ticks are moved */
    else if (!strcmp(name, "power_tick")) g->power_tick = value;   /* seconds between refreshes of the power gauge */
    else if (!strcmp(name, "average")) g->average = value;         /* seconds of the averaged gauge; 0: it is instant */
    else if (!strcmp(name, "instant")) g->instant = (int)value;    /* the instantaneous field exists */
    else if (!strcmp(name, "counter")) g->counter = (int)value;    /* the energy counter exists */
    else if (!strcmp(name, "latency")) g->latency = value;         /* seconds that a call takes */
    else if (!strcmp(name, "latency_before")) g->latency_before = value; /* part of it before the value is taken */
    else if (!strcmp(name, "limit")) g->limit = value;             /* power limit in watts */
    else if (!strcmp(name, "module")) g->module = value;           /* watts of the module beside the GPU */
    else if (!strcmp(name, "mig")) g->mig = (int)value;
    else if (!strcmp(name, "arch")) g->arch = (int)value;
    else if (!strcmp(name, "hidden")) g->hidden = (int)value;      /* not visible to this process */
    else if (!strcmp(name, "uuid")) snprintf(g->uuid, sizeof g->uuid, "%s", text);
    else if (!strcmp(name, "name")) snprintf(g->name, sizeof g->name, "%s", text);
    else { fprintf(stderr, "mock nvml: unknown property %s\n", name); abort(); }
}

static void new_gpu(int index) {
    gpu_t *g = &gpus[index];
    memset(g, 0, sizeof *g);
    g->index = index; g->counter = g->instant = 1; g->arch = 9;
    g->tick = g->power_tick = 0.1; g->limit = 700; g->latency_before = 0.5;
    snprintf(g->name, sizeof g->name, "Mock GPU");
    snprintf(g->uuid, sizeof g->uuid, "GPU-%08d-0000-0000-0000-000000000000", index);
}

static void add_piece(gpu_t *g, double start, const char *shape, const double *p) {
    piece_t *last = g->pieces ? &g->piece[g->pieces - 1] : NULL, *next = &g->piece[g->pieces];
    if (g->pieces == MAX_PIECES) { fprintf(stderr, "mock nvml: too many pieces\n"); abort(); }
    next->start = start;
    next->shape = !strcmp(shape, "square") ? SQUARE : !strcmp(shape, "ramp") ? RAMP : !strcmp(shape, "noise") ? NOISE : CONSTANT;
    memcpy(next->p, p, sizeof next->p);
    next->joules_before = last ? last->joules_before + piece_joules(last, start - last->start) : 0;
    g->pieces++;
}

static void add_fault(int index, double from, double to, const char *kind) {
    static const char *names[] = { "lost", "counter_error", "power_error", "frozen", "hang", "driver", "reset" };
    for (int i = 0; i < 7; i++)
        if (!strcmp(kind, names[i])) {
            fault_t fault = { from, to, (enum fault)i };
            if (i == DRIVER) driver_fault[driver_faults++] = fault;
            else gpus[index].fault[gpus[index].faults++] = fault;
            return;
        }
    fprintf(stderr, "mock nvml: unknown fault %s\n", kind);
    abort();
}

static void read_line(char *line) {
    int index, used;
    double start, to, p[4] = { 0 };
    char word[64];
    if (sscanf(line, "driver %63s", driver_version) == 1) return;
    if (sscanf(line, "gpu %d%n", &index, &used) == 1) {
        new_gpu(index);
        if (index >= gpu_count) gpu_count = index + 1;
        for (char *part = strtok(line + used, " \n"); part; part = strtok(NULL, " \n")) {
            char *equals = strchr(part, '=');
            if (equals) { *equals = 0; set_property(&gpus[index], part, equals + 1); }
        }
    } else if (sscanf(line, "power %d %lf %63s %lf %lf %lf %lf", &index, &start, word, p, p + 1, p + 2, p + 3) >= 4)
        add_piece(&gpus[index], start, word, p);
    else if (sscanf(line, "fault %d %lf %lf %63s", &index, &start, &to, word) == 4) add_fault(index, start, to, word);
    else if (sscanf(line, "reset %d %lf", &index, &start) == 2) add_fault(index, start, INFINITY, "reset");
}

static void read_script(void) {
    const char *path = getenv("MOCK_NVML_SCRIPT");
    struct stat s;
    if (!path || stat(path, &s)) { fprintf(stderr, "mock nvml: MOCK_NVML_SCRIPT names no file\n"); abort(); }
    if (s.st_size == script_size && !memcmp(&s.st_mtim, &script_read, sizeof script_read)) return;
    FILE *file = fopen(path, "r");
    char line[512];
    script_read = s.st_mtim; script_size = s.st_size;
    gpu_count = driver_faults = 0;
    while (fgets(line, sizeof line, file)) read_line(line);
    fclose(file);
}

/* -- the calls ----------------------------------------------------------------------------------------------- */

/* How often the driver was loaded by t; -1 while it is not there. */
static int driver_load(double t) {
    int loads = 0;
    for (int i = 0; i < driver_faults; i++) {
        if (driver_fault[i].from <= t && t < driver_fault[i].to) return -1;
        loads += driver_fault[i].to <= t;
    }
    return loads;
}

/* Enter a call on a GPU: its latency, its hang, its errors. Returns with the lock held when OK, and the time. */
static int enter(gpu_t *g, double *t) {
    pthread_mutex_lock(&lock);
    read_script();
    double before = g ? g->latency * g->latency_before : 0;
    const fault_t *hang = g ? fault_at(g, HANG, now()) : NULL;
    if (hang) before = fmax(before, hang->to - now());
    pthread_mutex_unlock(&lock);
    pass(before);
    pthread_mutex_lock(&lock);
    *t = now();
    int load = driver_load(*t), code = OK;
    if (load < 0) code = UNKNOWN;
    else if (!users || load != generation) code = UNINITIALIZED;
    else if (g && fault_at(g, LOST, *t)) code = GPU_IS_LOST;
    if (code) pthread_mutex_unlock(&lock);
    return code;
}
static int leave(gpu_t *g, int code) {
    double after = g ? g->latency * (1 - g->latency_before) : 0;
    pthread_mutex_unlock(&lock);
    pass(after);
    return code;
}

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    pthread_mutex_lock(&lock);
    read_script();
    int load = driver_load(now());
    if (load >= 0 && users++ == 0) generation = load;
    pthread_mutex_unlock(&lock);
    return load < 0 ? DRIVER_NOT_LOADED : OK;
}
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) {
    pthread_mutex_lock(&lock);
    int code = users > 0 ? OK : UNINITIALIZED;
    users -= users > 0;
    pthread_mutex_unlock(&lock);
    return code;
}
int nvmlDeviceGetCount_v2(unsigned *count) {
    double t;
    int code = enter(NULL, &t);
    if (code) return code;
    *count = 0;
    for (int i = 0; i < gpu_count; i++) *count += !gpus[i].hidden;
    return leave(NULL, OK);
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, gpu_t **gpu) {
    double t;
    int code = enter(NULL, &t);
    if (code) return code;
    code = INVALID;
    for (int i = 0, seen = 0; i < gpu_count; i++)
        if (!gpus[i].hidden && (unsigned)seen++ == index) {
            *gpu = &gpus[i];
            code = fault_at(*gpu, LOST, t) ? GPU_IS_LOST : OK;
        }
    return leave(NULL, code);
}

#define CALL(body) do { double t; int code = enter(g, &t); if (code) return code; code = OK; body; return leave(g, code); } while (0)

int nvmlDeviceGetUUID(gpu_t *g, char *text, unsigned length) { CALL(snprintf(text, length, "%s", g->uuid)); }
int nvmlDeviceGetName(gpu_t *g, char *text, unsigned length) { CALL(snprintf(text, length, "%s", g->name)); }
int nvmlDeviceGetArchitecture(gpu_t *g, unsigned *arch) { CALL(*arch = (unsigned)g->arch); }
int nvmlSystemGetDriverVersion(char *text, unsigned length) { snprintf(text, length, "%s", driver_version); return OK; }
int nvmlDeviceGetPowerManagementLimit(gpu_t *g, unsigned *mw) { CALL(*mw = (unsigned)(g->limit * 1e3)); }
int nvmlDeviceGetEnforcedPowerLimit(gpu_t *g, unsigned *mw) { CALL(*mw = (unsigned)(g->limit * 1e3)); }
int nvmlDeviceGetMigMode(gpu_t *g, unsigned *current, unsigned *pending) {
    CALL(if (g->mig < 0) code = NOT_SUPPORTED; *current = *pending = g->mig > 0);
}
int nvmlDeviceGetTotalEnergyConsumption(gpu_t *g, unsigned long long *mj) {
    CALL(
        if (!g->counter) code = NOT_SUPPORTED;
        else if (fault_at(g, COUNTER_ERROR, t)) code = UNKNOWN;
        else *mj = (unsigned long long)llround(counter_at(g, t) * 1e3));
}
int nvmlDeviceGetPowerUsage(gpu_t *g, unsigned *mw) {
    CALL(if (fault_at(g, POWER_ERROR, t)) code = UNKNOWN; *mw = (unsigned)llround(gauge_at(g, t, g->average > 0) * 1e3));
}
int nvmlDeviceGetFieldValues(gpu_t *g, int count, field_value_t *values) {
    double t;
    int code = enter(g, &t);
    if (code) return code;
    for (int i = 0; i < count; i++) {
        field_value_t *v = &values[i];
        int module = v->scope_id == SCOPE_MODULE, averaged = v->field_id == FIELD_POWER_AVERAGE;
        v->status = NOT_SUPPORTED;
        v->value_type = VALUE_UINT;
        if (v->field_id == FIELD_ENERGY && g->counter) {
            v->status = OK; v->value_type = VALUE_ULL;
            v->value.ull = (unsigned long long)llround(counter_at(g, t) * 1e3);
        } else if ((v->field_id == FIELD_POWER_INSTANT || averaged) && g->instant && (!module || g->module > 0)) {
            v->status = fault_at(g, POWER_ERROR, t) ? UNKNOWN : OK;
            double watts = gauge_at(g, t, averaged && g->average > 0) + (module ? g->module : 0);
            v->value.ui = (unsigned)llround(watts * 1e3);
        }
    }
    return leave(g, OK);
}
int nvmlDeviceGetUtilizationRates(gpu_t *g, utilization_t *use) { CALL(use->gpu = 50; use->memory = 10); }
int nvmlDeviceGetMemoryInfo(gpu_t *g, memory_t *m) { CALL(m->total = 100; m->free = 60; m->used = 40); }
int nvmlDeviceGetTemperature(gpu_t *g, int sensor, unsigned *celsius) { (void)sensor; CALL(*celsius = 45); }
int nvmlDeviceGetClockInfo(gpu_t *g, int kind, unsigned *mhz) { (void)kind; CALL(*mhz = 1980); }
int nvmlDeviceGetCurrentClocksThrottleReasons(gpu_t *g, unsigned long long *bits) { CALL(*bits = 0x4); }
const char *nvmlErrorString(int code) {
    return code == DRIVER_NOT_LOADED ? "Driver Not Loaded" : code == GPU_IS_LOST ? "GPU is lost"
        : code == UNINITIALIZED ? "Uninitialized" : code == UNKNOWN ? "Unknown Error" : "Not Supported";
}
