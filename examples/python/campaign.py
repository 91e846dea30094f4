# %% [markdown]
# # A campaign, from nothing to results that are read again
#
# In a terminal, once (from a copy of the sources; it needs Rust):
#
#     python -m venv campaign && . campaign/bin/activate
#     pip install .
#
# Then run this file as a whole (`python examples/python/campaign.py FOLDER`), or cell by cell in an editor that knows `# %%`.
# It needs nothing besides the package.

# %%
import random
import sys
import tempfile
from pathlib import Path

import strongroom
from strongroom import Unit, UnitContext, run_dag

FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp())

# %% [markdown]
# ## A store
#
# A folder here; `s3://bucket/prefix`, `gs://bucket/prefix` and `az://container/prefix` work the same, with credentials from the
# usual environment variables.

# %%
store = strongroom.create(FOLDER / "store", author="ada")

# %% [markdown]
# ## One object, many objects
#
# The first two parts of a location are its namespace, which has a history. A batch appears as a whole or not at all.

# %%
store.store_bytes("inputs/water/topology.top", b"[ system ]\nwater\n")

with store.batch("parameters of the campaign") as batch:
    for temperature in (290, 300, 310):
        batch.store_bytes(f"inputs/water/{temperature}K.mdp", f"ref_t = {temperature}\nnsteps = 1000\n".encode())

print(sorted(store.iter_contents("inputs/")))
print(store.load("inputs/water/300K.mdp").decode())

# %% [markdown]
# ## Units of a workflow
#
# A unit writes files into a scratch directory of its own and *registers* those that matter. When it is done, all of them are
# stored under its name, or none. Units after it load them by handle.


# %%
def simulate(context: UnitContext) -> object:
    """Stands for a simulation code: it writes a trajectory and energies."""
    chance = random.Random(context.inputs["temperature"])
    trajectory = context.permanent.register("trajectory.dcd")
    energies = context.shared.register("energies.csv")
    (context.scratch / "trajectory.dcd").write_bytes(chance.randbytes(1 << 20))
    steps = (f"{step},{-5 + chance.gauss(0, context.inputs['temperature'] / 1000):.4f}" for step in range(1000))
    (context.scratch / "energies.csv").write_text("\n".join(steps))
    (context.stdout / "md.log").write_text("finished normally\n")
    return {"trajectory": trajectory, "energies": energies}


def average(context: UnitContext) -> dict[str, float]:
    """Loads the energies of all units before it."""
    means = {}
    for name, result in context.results.items():
        with context.load_stream(result["energies"]) as file:
            energies = [float(line.split(b",")[1]) for line in file]
        means[name] = sum(energies) / len(energies)
    return means


temperatures = (290, 300, 310)
units = [Unit(f"simulate-{kelvin}", simulate, inputs={"temperature": kelvin}) for kelvin in temperatures]
units.append(Unit("average", average, after=[unit.name for unit in units]))

shared = strongroom.create(FOLDER / "shared")
result = run_dag("campaign-1", units, shared=shared, permanent=store, scratch_dir=FOLDER / "scratch")
print(result.value("average"))

# %% [markdown]
# Run again, nothing is computed again: each unit's result is there for the same inputs.

# %%
again = run_dag("campaign-1", units, shared=shared, permanent=store, scratch_dir=FOLDER / "scratch")
print({name: unit.reused for name, unit in again.units.items()})

# %% [markdown]
# ## Months later, in another process
#
# Objects are read whole, in part, as a file, or as a local path for programs that want one. All that is read is verified.

# %%
store = strongroom.open(FOLDER / "store")
name = "campaign-1/simulate-300/trajectory.dcd"
print(store.metadata(name))
print(store.load(name, 0, 8), store.load(name, -8))
with store.load_stream(name) as file:
    file.seek(500_000)
    frame = file.read(1000)
with store.path(name) as path:
    print(path.name, path.stat().st_size)

# %% [markdown]
# ## What was changed stays
#
# Every commit is a version. A tag keeps one for ever, whatever is collected.

# %%
store.tag("submitted", "inputs/water", store.snapshot("inputs/water").version)
store.store_bytes("inputs/water/300K.mdp", b"ref_t = 300\nnsteps = 5000000\n")
for commit in store.log("inputs/water"):
    print(commit)
print(store.snapshot("inputs/water", "submitted").load("inputs/water/300K.mdp").decode())

# %% [markdown]
# ## The same in the shell
#
#     strongroom --store FOLDER/store ls -l
#     strongroom --store FOLDER/store verify --data
