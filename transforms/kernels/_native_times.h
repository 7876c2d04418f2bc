/* This header writes times as `2026-11-22T13:28:38.181Z`, as timestamps.to_text in Python does; years 1 to 9999. */

#ifndef PENSTOCK_TIMES_H
#define PENSTOCK_TIMES_H

#include <stdint.h>

#define TIME_CHARS 24

static inline char *put_digits(char *out, int value, int digits)
{
    for (int i = digits - 1; i >= 0; i--, value /= 10)
        out[i] = (char)('0' + value % 10);
    return out + digits;
}

/* Writes a time from its parts. Gives 0 where there is no such time. */
static inline int put_time(char *out, int year, int month, int day, int hour, int minute, int second, int millisecond)
{
    static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1 ||
        day > month_days[month - 1] + (leap && month == 2) || hour > 23 || minute > 59 || second > 59)
        return 0;
    out = put_digits(out, year, 4);
    *out++ = '-';
    out = put_digits(out, month, 2);
    *out++ = '-';
    out = put_digits(out, day, 2);
    *out++ = 'T';
    out = put_digits(out, hour, 2);
    *out++ = ':';
    out = put_digits(out, minute, 2);
    *out++ = ':';
    out = put_digits(out, second, 2);
    *out++ = '.';
    out = put_digits(out, millisecond, 3);
    *out = 'Z';
    return 1;
}

/* Writes a time from seconds since 1970, not before. Gives 0 beyond the year 9999. */
static inline int put_epoch(char *out, int64_t seconds, int millisecond)
{
    /* Days since 0000-03-01, in eras of 400 years: http://howardhinnant.github.io/date_algorithms.html */
    int64_t days = seconds / 86400 + 719468, era = days / 146097, day = days % 146097;
    int rest = (int)(seconds % 86400);
    int64_t years = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int of_year = (int)(day - (365 * years + years / 4 - years / 100)), shifted = (5 * of_year + 2) / 153;
    int month = shifted < 10 ? shifted + 3 : shifted - 9;
    int64_t year = years + era * 400 + (month <= 2);
    if (year > 9999)
        return 0;
    return put_time(out, (int)year, month, of_year - (153 * shifted + 2) / 5 + 1, rest / 3600, rest / 60 % 60,
                    rest % 60, millisecond);
}

#endif
