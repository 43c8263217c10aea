"""The core's own calendar, which writes the time of an answer, beside Python's."""

from __future__ import annotations

import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

CLOCK = Path(__file__).parents[2] / "glyph_fast/_c/clock.h"
PROGRAM = """
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
static long long microseconds;
static int fake(int clock, struct timespec *now)
{
    now->tv_sec = microseconds / 1000000;
    now->tv_nsec = microseconds % 1000000 * 1000;
    return clock;
}
#define clock_gettime fake
#include "CLOCK"
int main(void)
{
    char text[GF_RFC3339_SIZE + 1] = "";
    while (scanf("%lld", &microseconds) == 1) {
        gf_rfc3339(text);
        puts(text);
    }
    return 0;
}
"""
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.skipif(sys.platform != "linux", reason="builds a program with the system's compiler")
def test_dates_are_those_of_the_calendar(tmp_path: Path) -> None:
    source = tmp_path / "clock.c"
    source.write_text(PROGRAM.replace('CLOCK"', f'{CLOCK}"'))
    subprocess.run(["gcc", "-o", tmp_path / "clock", source], check=True)
    draw = random.Random(7)
    last = int((datetime(2400, 1, 1, tzinfo=UTC) - BEGINNING).total_seconds())
    days = [datetime(year, month, day, tzinfo=UTC) for year in (1972, 2000, 2026, 2100, 2399)
            for month, day in ((1, 1), (2, 28), (3, 1), (12, 31))]  # fmt: skip
    times = [int((day - BEGINNING).total_seconds()) * 1_000_000 for day in days]
    times += [time - 1 for time in times] + [draw.randrange(last * 1_000_000) for _ in range(500)]
    done = subprocess.run(
        [tmp_path / "clock"], input="\n".join(map(str, times)), capture_output=True, text=True,
        check=True, timeout=60,
    )  # fmt: skip
    expected = [BEGINNING + timedelta(microseconds=time) for time in times]
    assert done.stdout.split() == [f"{each:%Y-%m-%dT%H:%M:%S.%f}Z" for each in expected]
