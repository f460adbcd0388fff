/* The script, a text file that is read again whenever it changes. All times are in seconds of the clock.
 *
 *     driver VERSION
 *     gpu K name=value …           properties, see set_property(); a % in a value is a space
 *     power K START constant W | square LOW HIGH HERTZ DUTY | ramp FROM TO SECONDS | noise MEAN SPREAD SEED
 *     fault K FROM TO lost | counter_error | power_error | frozen | hang
 *     fault -1 FROM TO driver      no driver; afterwards every counter starts at 0 and handles are stale
 *     error K FROM TO CALL CODE    one NVML function answers with an error code
 *     reset K AT                   the counter starts again at 0
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "nvml_mock.h"

gpu_t gpus[MAX_GPUS];
int gpu_count, driver_faults;
fault_t driver_fault[MAX_FAULTS];
char driver_version[64];
char script_path[512];

static void wrong(const char *what, const char *which) {
    fprintf(stderr, "mock nvml: %s %s\n", what, which);
    abort();
}

static void set_text(char *target, size_t size, const char *text) {
    snprintf(target, size, "%s", text);
    for (char *c = target; *c; c++)
        if (*c == '%') *c = ' ';
}

static void set_property(gpu_t *g, const char *name, const char *text) {
    double value = atof(text);
    if (!strcmp(name, "tick")) g->tick = value;                    /* seconds between refreshes of the counter */
    else if (!strcmp(name, "jitter")) g->jitter = value;           /* unevenness of the ticks, part of a tick */
    else if (!strcmp(name, "phase")) g->phase = value;             /* seconds by which the ticks are moved */
    else if (!strcmp(name, "power_tick")) g->power_tick = value;   /* seconds between refreshes of the power gauge */
    else if (!strcmp(name, "average")) g->average = value;         /* seconds of the averaged gauge; 0: it is instant */
    else if (!strcmp(name, "instant")) g->instant = (int)value;    /* the instantaneous field exists */
    else if (!strcmp(name, "gain")) g->gain = value;               /* what both power gauges show of 1 W */
    else if (!strcmp(name, "counter")) g->counter = (int)value;    /* the energy counter exists */
    else if (!strcmp(name, "latency")) g->latency = value;         /* seconds that a call takes */
    else if (!strcmp(name, "latency_before")) g->latency_before = value; /* part of it before the value is taken */
    else if (!strcmp(name, "limit")) g->limit = value;             /* power limit in watts */
    else if (!strcmp(name, "max_limit")) g->max_limit = value;     /* the highest that may be set; 0: not told */
    else if (!strcmp(name, "module")) g->module = value;           /* watts of the module beside the GPU */
    else if (!strcmp(name, "mig")) g->mig = (int)value;            /* 1: MIG is on; -1: no such thing */
    else if (!strcmp(name, "arch")) g->arch = (int)value;
    else if (!strcmp(name, "hidden")) g->hidden = (int)value;      /* not visible to this process */
    else if (!strcmp(name, "pids")) set_text(g->pids, sizeof g->pids, text); /* processes that compute on it: 7+8 */
    else if (!strcmp(name, "uuid")) set_text(g->uuid, sizeof g->uuid, text);
    else if (!strcmp(name, "name")) set_text(g->name, sizeof g->name, text);
    else wrong("unknown property", name);
}

static void new_gpu(int index) {
    gpu_t *g = &gpus[index];
    memset(g, 0, sizeof *g);
    g->index = index; g->counter = g->instant = 1; g->arch = 9;
    g->tick = g->power_tick = 0.1; g->limit = 700; g->latency_before = 0.5; g->gain = 1;
    snprintf(g->name, sizeof g->name, "Mock GPU");
    snprintf(g->uuid, sizeof g->uuid, "GPU-%08d-0000-0000-0000-000000000000", index);
}

static void add_piece(gpu_t *g, double start, const char *shape, const double *p) {
    piece_t *last = g->pieces ? &g->piece[g->pieces - 1] : NULL, *next = &g->piece[g->pieces];
    if (g->pieces == MAX_PIECES) wrong("too many pieces of", g->uuid);
    next->start = start;
    next->shape = !strcmp(shape, "square") ? SQUARE : !strcmp(shape, "ramp") ? RAMP : !strcmp(shape, "noise") ? NOISE : CONSTANT;
    memcpy(next->p, p, sizeof next->p);
    next->joules_before = last ? last->joules_before + piece_joules(last, start - last->start) : 0;
    g->pieces++;
}

static void add_fault(int index, fault_t fault) {
    int *count = fault.kind == DRIVER ? &driver_faults : &gpus[index].faults;
    if (*count == MAX_FAULTS) wrong("too many faults of", gpus[index].uuid);
    (fault.kind == DRIVER ? driver_fault : gpus[index].fault)[(*count)++] = fault;
}

static enum fault kind_of(const char *name) {
    static const char *names[] = { "lost", "counter_error", "power_error", "frozen", "hang", "driver" };
    for (int i = 0; i < 6; i++)
        if (!strcmp(name, names[i])) return (enum fault)i;
    wrong("unknown fault", name);
    return LOST;
}

static void read_line(char *line) {
    int index, used, code;
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
    else if (sscanf(line, "fault %d %lf %lf %63s", &index, &start, &to, word) == 4)
        add_fault(index, (fault_t){ start, to, kind_of(word), 0, "" });
    else if (sscanf(line, "error %d %lf %lf %63s %d", &index, &start, &to, word, &code) == 5) {
        fault_t fault = { start, to, CALL_ERROR, code, "" };
        snprintf(fault.call, sizeof fault.call, "%s", word);
        add_fault(index, fault);
    } else if (sscanf(line, "reset %d %lf", &index, &start) == 2)
        add_fault(index, (fault_t){ start, INFINITY, RESET, 0, "" });
    else if (*line != '#' && *line != '\n') wrong("line not understood:", line);
}

int read_script(void) {
    static char read[512];
    static struct timespec changed;
    static off_t size = -1;
    const char *path = *script_path ? script_path : getenv("MOCK_NVML_SCRIPT");
    struct stat s;
    if (!path || stat(path, &s)) wrong("no script at", path ? path : "MOCK_NVML_SCRIPT");
    int another = strcmp(read, path) != 0;
    if (!another && s.st_size == size && !memcmp(&s.st_mtim, &changed, sizeof changed)) return 0;
    FILE *file = fopen(path, "r");
    char line[512];
    changed = s.st_mtim; size = s.st_size;
    snprintf(read, sizeof read, "%s", path);
    gpu_count = driver_faults = 0;
    while (fgets(line, sizeof line, file)) read_line(line);
    fclose(file);
    return another;
}

const fault_t *fault_at(const gpu_t *g, enum fault kind, double t) {
    for (int i = 0; i < g->faults; i++)
        if (g->fault[i].kind == kind && g->fault[i].from <= t && t < g->fault[i].to) return &g->fault[i];
    return NULL;
}

int driver_load(double t) {
    int loads = 0;
    for (int i = 0; i < driver_faults; i++) {
        if (driver_fault[i].from <= t && t < driver_fault[i].to) return -1;
        loads += driver_fault[i].to <= t;
    }
    return loads;
}

int visible(const gpu_t *g) {
    const char *wanted = getenv("NVIDIA_VISIBLE_DEVICES");
    char list[1024], index[16];
    if (g->hidden) return 0;
    if (!wanted || !strcmp(wanted, "all")) return 1;
    snprintf(list, sizeof list, "%s", wanted);
    snprintf(index, sizeof index, "%d", g->index);
    for (char *part = strtok(list, ","); part; part = strtok(NULL, ","))
        if (!strcmp(part, g->uuid) || !strcmp(part, index)) return 1;
    return 0;
}
