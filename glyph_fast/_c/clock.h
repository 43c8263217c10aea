/* A monotonic clock for durations, in seconds. */
#ifndef GLYPH_FAST_CLOCK_H
#define GLYPH_FAST_CLOCK_H

#if defined(_WIN32)

#include <windows.h>

static inline double gf_now(void)
{
    LARGE_INTEGER ticks, frequency;
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&ticks);
    return (double)ticks.QuadPart / (double)frequency.QuadPart;
}

#else

#include <time.h>

static inline double gf_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#endif
#endif
