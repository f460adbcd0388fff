/* What the parts of the mock share: GPUs as scripted, the clock, power and counters over time. */
#ifndef NVML_MOCK_H
#define NVML_MOCK_H

enum { OK = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6,
       INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15, UNKNOWN = 999 };
enum { MAX_GPUS = 16, MAX_PIECES = 4096, MAX_FAULTS = 64 };
enum shape { CONSTANT, SQUARE, RAMP, NOISE };
enum fault { LOST, COUNTER_ERROR, POWER_ERROR, FROZEN, HANG, DRIVER, RESET, CALL_ERROR };

typedef struct { double start; enum shape shape; double p[4]; double joules_before; } piece_t;
typedef struct { double from, to; enum fault kind; int code; char call[64]; } fault_t;
typedef struct {
    int index, hidden, counter, instant, mig, arch;
    double tick, jitter, phase, power_tick, average, gain, latency, latency_before, limit, max_limit, module;
    char name[64], uuid[64], pids[512];
    int pieces, faults;
    piece_t piece[MAX_PIECES];
    fault_t fault[MAX_FAULTS];
} gpu_t;

/* script.c: the machine as the script has it now. */
extern gpu_t gpus[MAX_GPUS];
extern int gpu_count, driver_faults;
extern fault_t driver_fault[MAX_FAULTS];
extern char driver_version[64];
/* Read the script if it has changed; returns 1 when it is another machine's. */
int read_script(void);
const fault_t *fault_at(const gpu_t *g, enum fault kind, double t);
/* How often the driver was loaded by t; -1 while it is not there. */
int driver_load(double t);
/* Whether this process may see a GPU: by the script, and by NVIDIA_VISIBLE_DEVICES as in a container. */
int visible(const gpu_t *g);

/* clock.c */
double now(void);
/* Let time pass: on the shared clock at once, else by sleeping. */
void pass(double seconds);
int on_shared_clock(void);

/* power.c: what the instruments of a GPU show at an instant, in watts and joules. */
double piece_joules(const piece_t *p, double seconds);
double counter_at(const gpu_t *g, double t);
double gauge_at(const gpu_t *g, double t, int averaged);

/* Set by a test that has the library in its own process; else the environment is asked. */
extern char script_path[512], clock_path[512];

#endif
