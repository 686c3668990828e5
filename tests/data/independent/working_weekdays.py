"""Working weekdays of England by the `holidays` package: what src/domain/calendar.rs is checked against.

    python3 -m venv venv && venv/bin/pip install holidays==0.109
    venv/bin/python tests/data/independent/working_weekdays.py

writes working_weekdays.csv beside itself: the months of 2018 to 2035, with the bank holidays that fall on weekdays. Years
that the government has not announced follow the standing rule in both.
"""

import datetime
import pathlib

import holidays

YEARS = range(2018, 2036)
bank = holidays.UK(subdiv="ENG", years=YEARS)
with open(pathlib.Path(__file__).parent / "working_weekdays.csv", "w") as file:
    file.write("month,working_weekdays,bank_holidays\n")
    for year in YEARS:
        for month in range(1, 13):
            day, weekdays, off = datetime.date(year, month, 1), 0, []
            while day.month == month:
                if day.weekday() < 5:
                    if day in bank:
                        off.append(day.isoformat())
                    else:
                        weekdays += 1
                day += datetime.timedelta(days=1)
            file.write(f"{year}-{month:02},{weekdays},{' '.join(off)}\n")
