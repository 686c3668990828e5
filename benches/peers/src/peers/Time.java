package peers;

import java.time.DayOfWeek;
import java.time.LocalDate;
import java.time.temporal.TemporalAdjusters;

/** Europe/London: from 1996 to 2037 summer time is between 01:00 UTC of the last Sundays of March and October. */
final class Time {
    static final long MINUTE = 60_000;
    static final long HOUR = 60 * MINUTE;
    static final long DAY = 24 * HOUR;

    private static final int FIRST = 1996;
    private static final long[] START = new long[42];
    private static final long[] END = new long[42];

    static {
        for (int year = 0; year < START.length; year++) {
            START[year] = change(FIRST + year, 3);
            END[year] = change(FIRST + year, 10);
        }
    }

    private Time() {}

    private static long change(int year, int month) {
        LocalDate last = LocalDate.of(year, month, 31);
        return last.with(TemporalAdjusters.previousOrSame(DayOfWeek.SUNDAY)).toEpochDay() * DAY + HOUR;
    }

    private static int season(long millis) {
        int year = (int) (1970 + Math.floorDiv(Math.floorDiv(millis, DAY) * 4 + 2, 1461L)) - FIRST;
        if (year < 0 || year >= START.length) {
            throw new IllegalArgumentException("instant " + millis + " lies outside 1996 to 2037");
        }
        return year;
    }

    static int londonDay(long utc) {
        int season = season(utc);
        boolean isSummer = START[season] <= utc && utc < END[season];
        return (int) Math.floorDiv(isSummer ? utc + HOUR : utc, DAY);
    }

    /** The earlier of an hour that comes twice; the end of the gap for one that never comes. */
    static long utc(long local) {
        long summer = local - HOUR;
        int season = season(summer);
        if (START[season] <= summer && summer < END[season]) {
            return summer;
        }
        long gap = START[season] - 1;
        return summer <= gap && gap < local ? START[season] : local;
    }
}
