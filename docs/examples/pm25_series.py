#!/usr/bin/env python3
"""Brings Chengdu's hourly PM2.5 of 2010–2015 into a city by SensorThings: three Things with places,
a Datastream each, and its observations by CreateObservations. Nothing but Python is needed.

    SHUJIN_TOKEN=… python3 docs/examples/pm25_series.py chengdu_pm25_2010_2015.csv.gz http://127.0.0.1:8080

The file is UCI's "PM2.5 Data of Five Chinese Cities" (CC BY 4.0). Its hours are local; a value that
is missing (NA) is left out. Run again, it goes on where it stopped.
"""

import csv
import gzip
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

LOCAL = timezone(timedelta(hours=8))
ROWS_AT_ONCE = 5_000
SECONDS_MAX = 120
MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"


@dataclass(frozen=True)
class Site:
    column: str
    zh: str
    en: str
    area_code: str
    # About where the site is: the file does not say.
    lon: float
    lat: float


SITES = [
    Site("PM_Caotangsi", "草堂寺", "Caotang Temple", "510105000000", 104.0236, 30.6601),
    Site("PM_Shahepu", "沙河铺", "Shahepu", "510104000000", 104.1113, 30.6306),
    Site("PM_US Post", "美国领事馆", "US consulate", "510107000000", 104.0714, 30.6293),
]


def readings(file):
    """Of each column, moments in UTC with their values, in order of time."""
    series = {site.column: [] for site in SITES}
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            parts = (int(row[part]) for part in ("year", "month", "day", "hour"))
            moment = datetime(*parts, tzinfo=LOCAL).astimezone(UTC)
            for column, values in series.items():
                if row[column] != "NA":
                    values.append((moment, float(row[column])))
    return series


def station(site):
    """A Thing with all that hangs on it, to be made in one request."""
    name = f"{site.zh} PM2.5"
    return {
        "name": name,
        "description": f"Air station, {site.en}",
        "properties": {
            "kind": "air",
            "sharing": "open",
            "area_code": site.area_code,
            "source": "https://archive.ics.uci.edu/dataset/394",
        },
        "Locations": [
            {
                "name": site.zh,
                "description": site.en,
                "encodingType": "application/geo+json",
                "location": {"type": "Point", "coordinates": [site.lon, site.lat]},
            }
        ],
        "Datastreams": [
            {
                "name": name,
                "description": "Mean of the hour that begins at the time given",
                "observationType": MEASUREMENT,
                "unitOfMeasurement": {
                    "name": "microgram per cubic metre",
                    "symbol": "ug/m3",
                    "definition": "http://unitsofmeasure.org/ucum.html",
                },
                "properties": {"period_s": 3600},
                "Sensor": {
                    "name": "PM2.5 monitor",
                    "description": "as the file's publishers describe it",
                    "encodingType": "text/html",
                    "metadata": "https://archive.ics.uci.edu/dataset/394",
                },
                "ObservedProperty": {
                    "name": "PM2.5",
                    "definition": "http://dd.eionet.europa.eu/vocabulary/aq/pollutant/6001",
                    "description": "Fine particles in the air",
                },
            }
        ],
    }


def text_of(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class SensorThings:
    """The few requests that are needed."""

    def __init__(self, server, token):
        self.root = f"{server.rstrip('/')}/sta/v1.1"
        self.token = token

    def ask(self, path, **options):
        query = {f"${name}": value for name, value in options.items()}
        query = f"?{urllib.parse.urlencode(query)}" if query else ""
        return self._send(urllib.request.Request(f"{self.root}/{path}{query}"))[1]

    def post(self, path, body):
        """Where what was made is, and what was answered."""
        request = urllib.request.Request(
            f"{self.root}/{path}", data=json.dumps(body).encode(), method="POST"
        )
        request.add_header("Content-Type", "application/json")
        return self._send(request)

    def _send(self, request):
        request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=SECONDS_MAX) as answer:
                text = answer.read()
                return answer.headers.get("Location"), json.loads(text) if text else None
        except urllib.error.HTTPError as refusal:
            sys.exit(f"{request.full_url}: {refusal.code} {refusal.read().decode()}")


def datastream_of(service, site):
    """The number of a site's Datastream; its Thing is made where it is not there."""
    body = station(site)
    found = service.ask("Datastreams", filter=f"name eq '{body['name']}'", select="id")["value"]
    if not found:
        location, _ = service.post("Things", body)
        thing = location.removeprefix(f"{service.root}/")
        found = service.ask(f"{thing}/Datastreams", select="id")["value"]
    return found[0]["@iot.id"]


def bring_in(service, file):
    """Of each site, the number of its Datastream and how many observations were taken now."""
    taken = {}
    for column, series in readings(file).items():
        [site] = [site for site in SITES if site.column == column]
        datastream = datastream_of(service, site)
        newest = service.ask(
            f"Datastreams({datastream})/Observations",
            orderby="phenomenonTime desc",
            top=1,
            select="phenomenonTime",
        )["value"]
        since = newest[0]["phenomenonTime"] if newest else ""
        since = datetime.fromisoformat(since) if since else datetime.min.replace(tzinfo=UTC)
        rows = [[text_of(moment), value] for moment, value in series if moment > since]
        for first in range(0, len(rows), ROWS_AT_ONCE):
            page = rows[first : first + ROWS_AT_ONCE]
            array = {
                "Datastream": {"@iot.id": datastream},
                "components": ["phenomenonTime", "result"],
                "dataArray@iot.count": len(page),
                "dataArray": page,
            }
            _, links = service.post("CreateObservations", [array])
            if "error" in links:
                sys.exit(f"{column}: {links.count('error')} rows of {len(page)} were refused")
        taken[column] = (datastream, len(rows))
    return taken


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    _, file, server = sys.argv
    service = SensorThings(server, os.environ["SHUJIN_TOKEN"])
    for column, (datastream, rows) in bring_in(service, file).items():
        print(f"{column}: {rows} observations into {service.root}/Datastreams({datastream})")


if __name__ == "__main__":
    main()
