"""How long `true` takes through `process.exec` of the unmodified `daytona` package, and as a bare request, by turns.

    exec_times.py SANDBOX ROUNDS

Prints one JSON object: seconds of each round as `package` and as `bare`. The server comes from DAYTONA_API_URL and
DAYTONA_API_KEY. The bare request is what the package sends, over a connection of Python's own that stays open.
"""

import http.client
import json
import os
import sys
import time
import urllib.parse

from daytona import Daytona

SERVER = urllib.parse.urlsplit(os.environ["DAYTONA_API_URL"])
HEADERS = {"Authorization": f"Bearer {os.environ['DAYTONA_API_KEY']}", "Content-Type": "application/json"}


def timed(act):
    began = time.perf_counter()
    code = act()
    took = time.perf_counter() - began
    assert code == 0, code
    return took


def main(name, rounds):
    sandbox = Daytona().get(name)
    connection = http.client.HTTPConnection(SERVER.hostname, SERVER.port, timeout=30)
    body = json.dumps({"command": "true"})

    def bare():
        connection.request("POST", f"/toolbox/{sandbox.id}/process/execute", body, HEADERS)
        return json.load(connection.getresponse())["exitCode"]

    times = {"package": [], "bare": []}
    for _ in range(rounds):
        times["package"].append(timed(lambda: sandbox.process.exec("true").exit_code))
        times["bare"].append(timed(bare))
    print(json.dumps(times))


main(sys.argv[1], int(sys.argv[2]))
