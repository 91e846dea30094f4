//! The units of the campaign: set-up, equilibration, replicas, analysis; later a longer replica and a check of restarts.

use std::fs::{self, File};
use std::io;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use strongroom::workflow::{Dag, Handle, StorageManager, Unit, UnitContext, UnitError};

use crate::checkpoint;
use crate::dcd::{self, Trajectory};
use crate::fluid::{Fluid, State};
use crate::production::{Distances, Means, Recorder, thermostat};
use crate::random::Random;

pub const DAG: &str = "lennard-jones";
const REPLICAS: u64 = 3;
const CELLS: u32 = 4; // 4 * 4^3 = 256 atoms
const DENSITY: f64 = 0.8;
const TEMPERATURE: f64 = 1.0;
const FRAMES: u64 = 2048;
const MORE_FRAMES: u64 = 512;
const STEPS_BETWEEN: u32 = 2;
/// How many frames at the end of each trajectory the analysis looks at.
const ANALYSED: u64 = 64;

/// What a replica gives to the units after it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Replica {
    pub trajectory: Handle,
    pub energies: Handle,
    /// The state half-way, and that at the end.
    pub checkpoints: [Handle; 2],
    pub atoms: usize,
    pub frames: u64,
    pub means: Means,
}

/// The campaign as it is run at first.
pub fn first() -> Dag {
    let mut dag =
        Dag::new(DAG).with(Unit::new("set-up", set_up)).with(Unit::new("equilibrate", equilibrate).after("set-up"));
    let mut analysis = Unit::new("analysis", analyse);
    for seed in 1..=REPLICAS {
        let name = format!("replica-{seed}");
        dag = dag.with(Unit::new(&name, replica).with_inputs(json!({ "seed": seed })).after("equilibrate"));
        analysis = analysis.after(name);
    }
    dag.with(analysis)
}

/// The same campaign with more to do.
pub fn longer() -> Dag {
    first()
        .with(Unit::new("replica-1-longer", extend).after("replica-1"))
        .with(Unit::new("restart-check", check_restart).after("replica-1"))
}

fn set_up(context: &UnitContext) -> Result<Value, UnitError> {
    let mut fluid = Fluid::lattice(CELLS, DENSITY);
    fluid.thermalise(2.0 * TEMPERATURE, &mut Random::new(0));
    Ok(json!(save(&context.shared, "start.chk", fluid.state())?))
}

fn equilibrate(context: &UnitContext) -> Result<Value, UnitError> {
    let mut fluid = Fluid::resume(load(context, &context.result("set-up")?)?);
    thermostat(&mut fluid, TEMPERATURE, 2000);
    fs::write(context.stdout.join("log"), format!("equilibrated: {:?}\n", fluid.energies()))?;
    Ok(json!(save(&context.shared, "equilibrated.chk", fluid.state())?))
}

fn replica(context: &UnitContext) -> Result<Value, UnitError> {
    let seed = context.input::<Value>()?["seed"].as_u64().context("a seed")?;
    let mut fluid = Fluid::resume(load(context, &context.result("equilibrate")?)?);
    fluid.thermalise(TEMPERATURE, &mut Random::new(seed));
    thermostat(&mut fluid, TEMPERATURE, 500);

    let (trajectory, energies) =
        (context.permanent.register("trajectory.dcd")?, context.permanent.register("energies.csv")?);
    let atoms = fluid.state().positions.len();
    let file = Trajectory::create(&context.scratch.join("trajectory.dcd"), atoms, fluid.state().step, STEPS_BETWEEN)?;
    let mut recorder = Recorder::new(file, &context.scratch.join("energies.csv"))?;
    let first_half = recorder.run(&mut fluid, FRAMES / 2)?;
    let half_way = save(&context.permanent, "half-way.chk", fluid.state())?;
    if seed == 2 && context.number() == 1 {
        recorder.finish()?;
        return Err("the node went down (on purpose)".into());
    }
    let means = Means::of(&[first_half, recorder.run(&mut fluid, FRAMES / 2)?].concat(), &fluid)?;
    recorder.finish()?;
    let end = save(&context.permanent, "end.chk", fluid.state())?;
    means.check(TEMPERATURE)?;
    Ok(json!(Replica { trajectory, energies, checkpoints: [half_way, end], atoms, frames: FRAMES, means }))
}

/// Means over the replicas, and the distances between atoms in the last frames of each, which are loaded by themselves.
fn analyse(context: &UnitContext) -> Result<Value, UnitError> {
    let mut distances = Distances::new();
    let mut temperatures = Vec::new();
    for name in context.results.keys() {
        let replica: Replica = context.result(name)?;
        let first = dcd::frame_range(replica.atoms, replica.frames - ANALYSED);
        let last = dcd::frame_range(replica.atoms, replica.frames - 1);
        let frames = context.load_range(&replica.trajectory, first.start..last.end)?;
        for frame in frames.chunks_exact(frames.len() / ANALYSED as usize) {
            let (edge, positions) = dcd::read_frame(frame).context("a frame")?;
            distances.count(edge, &positions);
        }
        temperatures.push(replica.means.temperature);
    }
    let (nearest, height) = distances.first_peak();
    let report = json!({
        "temperature": temperatures.iter().sum::<f64>() / temperatures.len() as f64,
        "nearest_neighbours": { "distance": nearest, "height": height },
    });
    context.permanent.register("report.json")?;
    fs::write(context.scratch.join("report.json"), serde_json::to_vec_pretty(&report)?)?;
    Ok(report)
}

/// Goes on from the end of a replica, and adds to its trajectory.
fn extend(context: &UnitContext) -> Result<Value, UnitError> {
    let before: Replica = context.result("replica-1")?;
    let mut fluid = Fluid::resume(load(context, &before.checkpoints[1])?);
    let trajectory = context.permanent.register("trajectory.dcd")?;
    let path = context.scratch.join("trajectory.dcd");
    // A local file of the storage is not to be written to, so it is copied: its bytes, and not its permissions.
    io::copy(&mut File::open(context.load_path(&before.trajectory)?)?, &mut File::create(&path)?)?;
    let mut recorder = Recorder::new(Trajectory::append(&path)?, &context.scratch.join("energies.csv"))?;
    let energies = context.permanent.register("energies.csv")?;
    let means = Means::of(&recorder.run(&mut fluid, MORE_FRAMES)?, &fluid)?;
    recorder.finish()?;
    means.check(TEMPERATURE)?;
    let end = save(&context.permanent, "end.chk", fluid.state())?;
    let frames = before.frames + MORE_FRAMES;
    Ok(json!(Replica {
        trajectory,
        energies,
        checkpoints: [before.checkpoints[1].clone(), end],
        atoms: before.atoms,
        frames,
        means
    }))
}

/// From half-way the same steps lead to the same end, bit by bit.
fn check_restart(context: &UnitContext) -> Result<Value, UnitError> {
    let replica: Replica = context.result("replica-1")?;
    let [half_way, end] = &replica.checkpoints;
    let end = load(context, end)?;
    let mut fluid = Fluid::resume(load(context, half_way)?);
    while fluid.state().step < end.step {
        fluid.step();
    }
    if *fluid.state() != end {
        return Err("a restart does not lead to the same end".into());
    }
    Ok(json!(end.step))
}

/// Writes a checkpoint into scratch and registers it.
fn save(manager: &StorageManager, name: &str, state: &State) -> Result<Handle> {
    fs::write(manager.scratch_dir().join(name), checkpoint::write(state))?;
    Ok(manager.register(name)?)
}

fn load(context: &UnitContext, handle: &Handle) -> Result<State> {
    checkpoint::read(&context.load(handle)?).with_context(|| format!("{handle} is no checkpoint"))
}
