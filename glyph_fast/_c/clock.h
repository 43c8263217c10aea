/* A monotonic clock for durations, in seconds, and the present as text. */
#ifndef GLYPH_FAST_CLOCK_H
#define GLYPH_FAST_CLOCK_H

#include <stdint.h>
#include <string.h>

#if defined(_WIN32)

#include <windows.h>

static inline double gf_now(void)
{
    LARGE_INTEGER ticks, frequency;
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&ticks);
    return (double)ticks.QuadPart / (double)frequency.QuadPart;
}

static inline int64_t gf_unix_microseconds(void)
{
    FILETIME since_1601;  /* in tenths of a microsecond */
    GetSystemTimePreciseAsFileTime(&since_1601);
    int64_t tenths = ((int64_t)since_1601.dwHighDateTime << 32) | since_1601.dwLowDateTime;
    return tenths / 10 - INT64_C(11644473600000000);
}

#else

#include <time.h>

static inline double gf_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static inline int64_t gf_unix_microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

#endif

#define GF_RFC3339_SIZE 27  /* 2031-05-06T07:08:09.123456Z */

/* So many last digits of a number, from left to right. */
static inline void gf_digits(char *out, int count, int64_t number)
{
    while (count--) {
        out[count] = (char)('0' + number % 10);
        number /= 10;
    }
}

/* The present in UTC, RFC 3339 with microseconds. Days become dates as in a calendar whose years
 * begin in March: a leap day is then the last of its year, and months have a pattern. */
static inline void gf_rfc3339(char *out)
{
    static char last[GF_RFC3339_SIZE];  /* of the second that was asked for last */
    static int64_t last_second = -1;
    int64_t now = gf_unix_microseconds(), second = now / 1000000;
    if (second != last_second) {
        int64_t days = second / 86400 + 719468;  /* since 0000-03-01 */
        int64_t of_day = second % 86400, era = days / 146097, day_of_era = days % 146097;
        int64_t year = (day_of_era - day_of_era / 1460 + day_of_era / 36524
                        - day_of_era / 146096) / 365;
        int64_t day = day_of_era - (365 * year + year / 4 - year / 100);
        int64_t month = (5 * day + 2) / 153;
        year += era * 400 + (month > 9);
        gf_digits(last, 4, year);
        gf_digits(last + 5, 2, month < 10 ? month + 3 : month - 9);
        gf_digits(last + 8, 2, day - (153 * month + 2) / 5 + 1);
        gf_digits(last + 11, 2, of_day / 3600);
        gf_digits(last + 14, 2, of_day / 60 % 60);
        gf_digits(last + 17, 2, of_day % 60);
        last[4] = last[7] = '-';
        last[10] = 'T';
        last[13] = last[16] = ':';
        last[19] = '.';
        last[26] = 'Z';
        last_second = second;
    }
    gf_digits(last + 20, 6, now % 1000000);
    memcpy(out, last, GF_RFC3339_SIZE);
}

#endif
