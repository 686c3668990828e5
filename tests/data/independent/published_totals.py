"""Writes deploy/reference/published_totals.csv from published files.

    python3 tests/data/independent/published_totals.py

England: the national summaries of February 2021 to December 2025. July 2023 is there twice, with two totals; the one
that stands second is taken. January and April 2020: sums of the published cells by ICB. ICBs and sub-ICBs: sums of the
regional files and of the cells in tests/data. Before March 2019 there is nothing, and of 2019 three counties only.
"""

import csv
import pathlib
from collections import defaultdict

ROOT = pathlib.Path(__file__).resolve().parents[3]
DATA = ROOT / "tests/data"
MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
totals = {}

# Published by sum: the cells of this month are not kept in the repository.
totals["england", "E92000001", "2020-04"] = (16007881, "cells by ICB")
for month in ("2020-01", "2022-02"):
    england = 0
    cells = defaultdict(int)
    for row in csv.DictReader(open(DATA / f"icb_cells_{month}.csv")):
        cells[row["icb_ons_code"]] += int(row["count_of_appointments"])
    for code, count in cells.items():
        totals["icb", code, month] = (count, "cells by ICB")
    totals["england", "E92000001", month] = (sum(cells.values()), "cells by ICB")
for county in ("Devon", "Dorset", "Somerset"):
    sums = defaultdict(int)
    for row in csv.DictReader(open(DATA / f"Regional_CSV_{county}.csv")):
        label = row["Appointment_Month"]
        month = f"{label[3:]}-{MONTHS.index(label[:3]) + 1:02}"
        sums["sub_icb", row["CCG_CODE"], month] += int(row["COUNT_OF_APPOINTMENTS"])
        sums["icb", row["STP_ONS"], month] += int(row["COUNT_OF_APPOINTMENTS"])
    for key, count in sums.items():
        known = totals.get(key)
        assert known is None or known[0] == count, (key, known, count)
        totals[key] = (count, "regional file")
for row in csv.DictReader(open(DATA / "national_summary_2021-02_2025-12.csv")):
    if row["metric"] == "Total count of appointments":
        key = "england", "E92000001", row["month"]
        if row["month"] == "2022-02":
            assert totals[key][0] == int(row["value"])
        totals[key] = (int(row["value"]), "national summary")

with open(ROOT / "deploy/reference/published_totals.csv", "w", newline="") as file:
    out = csv.writer(file, lineterminator="\n")
    out.writerow(["level", "code", "month", "appointments", "source"])
    for key in sorted(totals):
        out.writerow([*key, *totals[key]])
