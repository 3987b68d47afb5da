"""Runs an export's own client where nothing but its runtime can be imported.

`python clean_process.py FOLDER PLACE BLOCKED`: the calls lie in PLACE/calls.json and their arrays
in PLACE/NUMBER.npz; the answers go to PLACE/NUMBER.answer.npy and the times to PLACE/times.json.
"""

import importlib.util
import json
import pathlib
import sys
import time

_NUM_TIMES = 6


def _main(folder, place, blocked):
    # As if they were not installed: importing them fails.
    blocked = blocked.split(",")
    sys.modules.update(dict.fromkeys(blocked))
    import numpy as np

    folder, place = pathlib.Path(folder), pathlib.Path(place)
    specification = importlib.util.spec_from_file_location("bld_client", folder / "bld_client.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    started = time.perf_counter()
    client = module.Client(folder)
    times = {"load": time.perf_counter() - started}
    for number, (request, values) in enumerate(json.loads((place / "calls.json").read_text())):
        with np.load(place / f"{number}.npz") as arrays:
            values |= dict(arrays)
        np.save(place / f"{number}.answer.npy", getattr(client, request)(**values))
        if request in times:
            continue
        seconds = []
        rows = [name for name in ("images", "mask", "codes") if name in values]
        size = client.manifest["batch_size"] or 1
        single = {name: values[name] for name in values if name in ("seed", "temperature")}
        single |= {name: np.resize(values[name], (size, *values[name].shape[1:])) for name in rows}
        if not rows:
            single["num_images"] = size
        for _ in range(_NUM_TIMES):
            started = time.perf_counter()
            getattr(client, request)(**single)
            seconds.append(time.perf_counter() - started)
        times[request] = min(seconds)  # whatever else the machine is doing
    if any(sys.modules[name] is not None for name in blocked):
        raise ImportError("a blocked package was imported")
    (place / "times.json").write_text(json.dumps(times))


if __name__ == "__main__":
    _main(*sys.argv[1:])
