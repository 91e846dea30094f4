"""What disk-objectstore needs: prints the seconds, by the wall and by the processor, as JSON.

    objectstore.py store FOLDER COUNT BYTES    a new container with COUNT objects, straight into a pack, with fsync
    objectstore.py read FOLDER COUNT           COUNT objects in a random order, one by one
    objectstore.py read-all FOLDER COUNT       ... with one call
    objectstore.py exists FOLDER COUNT         whether COUNT objects are there, with one call
"""

import json
import os
import random
import sys
import time

from disk_objectstore import Container


def main(work, folder, count, size="0"):
    count, size = int(count), int(size)
    keys_path = os.path.join(folder, "keys.json")
    container = Container(os.path.join(folder, "container"))
    if work == "store":
        container.init_container()
        contents = [os.urandom(size) for _ in range(count)]
        done = lambda: container.add_objects_to_pack(contents)
    else:
        with open(keys_path) as file:
            keys = json.load(file)
        random.Random(1).shuffle(keys)
        keys = keys[:count]
        assert len(keys) == count
        container.has_objects(keys[:1])
        done = {
            "read": lambda: [len(container.get_object_content(key)) for key in keys],
            "read-all": lambda: container.get_objects_content(keys),
            "exists": lambda: container.has_objects(keys),
        }[work]
    cpu, start = time.process_time(), time.perf_counter()
    result = done()
    needed = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}
    assert len(result) == count and (work != "exists" or all(result))
    if work == "store":
        with open(keys_path, "w") as file:
            json.dump(result, file)
    print(json.dumps(needed))
    container.close()


main(*sys.argv[1:])
