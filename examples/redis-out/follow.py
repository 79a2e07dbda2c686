#!/usr/bin/env python3
"""Prints every normalised survey event of a surveygate on Redis, one line each, and goes on where it stopped.

    REDIS_URL=redis://127.0.0.1:6379/0 python3 follow.py

With --once it ends when there is nothing more, for cron. Several of them with one GROUP share the work; on
one machine each needs a NAME of its own.
"""

import json
import os
import socket
import sys
import time

import redis  # apt-get install python3-redis, or pip install redis

STREAM = os.environ.get("STREAM", "surveygate:{0}:events")
GROUP = os.environ.get("GROUP", "follow")  # ours: surveygate's own group is not touched
NAME = os.environ.get("NAME", socket.gethostname())


def handle(event):
    """What to do with one event. It may come twice, so whatever this does must bear that: by event["id"]."""
    data = event["data"]
    response, person = data.get("response", {}), data.get("respondent", {})
    print(event["time"], event["tenant"], event["type"], event["id"],
          "nps=%s" % response.get("score", {}).get("nps", "-"), person.get("email", "-"), flush=True)


def join(db):
    """Makes our group, once, at the beginning of what is kept. The stream itself is surveygate's to make."""
    while True:
        try:
            return db.xgroup_create(STREAM, GROUP, id="0")
        except redis.ResponseError as problem:
            if "BUSYGROUP" in str(problem):  # it is there: go on where it stopped
                return None
            if "requires the key to exist" not in str(problem):
                raise
            time.sleep(1)  # no event was ever accepted


def follow(db, once):
    position = "0"  # first what we were given before and have not acknowledged
    while True:
        answer = db.xreadgroup(GROUP, NAME, {STREAM: position}, count=100, block=None if once else 5000)
        entries = answer[0][1] if answer else []
        for entry, fields in entries:
            if fields:  # surveygate's retention does not wait for us: then only the id is left
                handle(json.loads(fields[b"event"]))
            db.xack(STREAM, GROUP, entry)
        if not entries and position == "0":
            position = ">"  # then what nobody was given
        elif not entries and once:
            return


def main():
    once = "--once" in sys.argv[1:]
    # Not decode_responses=True: the field `raw` holds a platform's bytes, which need not be UTF-8.
    db = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"))
    while True:
        try:
            join(db)
            return follow(db, once)
        except redis.ConnectionError as problem:
            if once:
                raise
            print("Redis is gone, trying again:", problem, file=sys.stderr)
            time.sleep(1)
        except redis.ResponseError as problem:
            if "NOGROUP" not in str(problem):
                raise  # else somebody took our group away: we begin again with what is kept


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
