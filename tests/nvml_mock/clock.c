/* The clock: a file that a test moves on, or CLOCK_BOOTTIME. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "nvml_mock.h"

char clock_path[512];
static volatile double *shared_clock;

static const char *path_of_clock(void) {
    const char *path = *clock_path ? clock_path : getenv("MOCK_NVML_CLOCK");
    return path && *path ? path : NULL;
}

int on_shared_clock(void) { return path_of_clock() != NULL; }

double now(void) {
    static char mapped[512];
    const char *path = path_of_clock();
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

void pass(double seconds) {
    if (seconds <= 0) return;
    if (on_shared_clock()) { double t = now(); *shared_clock = t + seconds; return; }
    struct timespec t = { (time_t)seconds, (long)(fmod(seconds, 1.0) * 1e9) };
    nanosleep(&t, NULL);
}
