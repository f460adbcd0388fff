/* Power over time, its exact integral, and what a GPU's instruments show of them. */
#include <math.h>
#include <stddef.h>

#include "nvml_mock.h"

enum { WAVES = 5 };

/* A number in [0, 1) that belongs to (seed, index): the same in script.py. */
static double chance(unsigned long long seed, long long index) {
    unsigned long long x = seed * 0x9E3779B97F4A7C15ULL + (unsigned long long)index * 0xBF58476D1CE4E5B9ULL;
    x ^= x >> 30; x *= 0xBF58476D1CE4E5B9ULL; x ^= x >> 27; x *= 0x94D049BB133111EBULL; x ^= x >> 31;
    return (double)(x >> 11) / 9007199254740992.0;
}

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

double piece_joules(const piece_t *p, double s) {
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

double counter_at(const gpu_t *g, double t) {
    const fault_t *frozen = fault_at(g, FROZEN, t);
    double at = refreshed(g, g->tick, frozen ? frozen->from : t), zero = -1e18;
    for (int i = 0; i < g->faults; i++)
        if (g->fault[i].kind == RESET && g->fault[i].from <= t) zero = fmax(zero, g->fault[i].from);
    for (int i = 0; i < driver_faults; i++)
        if (driver_fault[i].to <= t) zero = fmax(zero, driver_fault[i].to);
    return fmax(0, joules_at(g, at) - (zero > -1e18 ? joules_at(g, zero) : 0));
}
double gauge_at(const gpu_t *g, double t, int averaged) {
    double at = refreshed(g, g->power_tick, t);
    if (!averaged) return g->gain * watts_at(g, at);
    return g->gain * ((joules_at(g, at) - joules_at(g, at - g->average)) / g->average - g->module);
}
