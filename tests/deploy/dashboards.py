"""Holds Grafana dashboards against grafana-foundation-sdk: what it does not read is a key that Grafana does not know.

    python dashboards.py FILE...
"""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


def lost(before, after, path=""):
    """Every key and value that did not come back as it went in."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key not in after:
                # The encoder leaves out what is null.
                if value is not None:
                    yield f"{path}.{key}: unknown"
            else:
                yield from lost(value, after[key], f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list):
        if len(before) != len(after):
            yield f"{path}: {len(before)} became {len(after)}"
        for at, (one, other) in enumerate(zip(before, after)):
            yield from lost(one, other, f"{path}[{at}]")
    elif before != after:
        yield f"{path}: {before!r} became {after!r}"


def overlaps(panels):
    """Panels that lie on one another, or beyond the grid's 24 columns; ids that are there twice."""
    seen, ids = {}, set()
    for panel in panels:
        if panel["id"] in ids:
            yield f"the id {panel['id']} is there twice"
        ids.add(panel["id"])
        at = panel["gridPos"]
        if at["x"] + at["w"] > 24:
            yield f"{panel['title']!r} ends beyond column 24"
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                if (x, y) in seen:
                    yield f"{panel['title']!r} lies on {seen[x, y]!r}"
                    break
                seen[x, y] = panel["title"]


def main(files):
    if not files:
        sys.exit("usage: python dashboards.py FILE...")
    register_default_plugins()
    faults = []
    for file in files:
        with open(file, encoding="utf-8") as opened:
            before = json.load(opened)
        after = json.loads(JSONEncoder().encode(Dashboard.from_json(before)))
        faults += [f"{file}: {fault}" for fault in lost(before, after)]
        faults += [f"{file}: {fault}" for fault in dict.fromkeys(overlaps(before["panels"]))]
    if faults:
        sys.exit("\n".join(faults))


main(sys.argv[1:])
