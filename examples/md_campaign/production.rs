//! Steps that are recorded, what they give on average, and whether the physics holds.

use std::f64::consts::PI;
use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::dcd::Trajectory;
use crate::fluid::{Energies, Fluid, TIME_STEP, Vector};

/// The total energy of every frame is within this part of the first one's.
const ENERGY_BOUND: f64 = 1e-3;
/// From the first quarter of the frames to the last its mean changes by no more than this part.
const DRIFT_BOUND: f64 = 1e-4;
/// Rounding is all that may move the whole.
const MOMENTUM_BOUND: f64 = 1e-9;

/// Steps at a temperature, kept by scaling the velocities now and then.
pub fn thermostat(fluid: &mut Fluid, temperature: f64, steps: u32) {
    for step in 0..steps {
        fluid.step();
        if step % 20 == 0 {
            fluid.rescale(temperature);
        }
    }
}

/// Writes a frame and a line of energies every few steps.
pub struct Recorder {
    trajectory: Trajectory,
    energies: BufWriter<File>,
}

impl Recorder {
    /// Records to `trajectory` and to a new file of energies.
    pub fn new(trajectory: Trajectory, energies: &Path) -> Result<Self> {
        let mut energies = BufWriter::new(File::create(energies)?);
        writeln!(energies, "step,time,potential,kinetic,total,temperature,pressure")?;
        Ok(Self { trajectory, energies })
    }

    /// Makes the steps for `frames` frames.
    pub fn run(&mut self, fluid: &mut Fluid, frames: u64) -> Result<Vec<Energies>> {
        let mut seen = Vec::new();
        for _ in 0..frames {
            for _ in 0..self.trajectory.steps_between() {
                fluid.step();
            }
            self.trajectory.write(fluid.state())?;
            let (energies, step) = (fluid.energies(), fluid.state().step);
            writeln!(
                self.energies,
                "{step},{:.3},{:.6},{:.6},{:.6},{:.6},{:.6}",
                step as f64 * TIME_STEP,
                energies.potential,
                energies.kinetic,
                energies.total(),
                energies.temperature,
                energies.pressure,
            )?;
            seen.push(energies);
        }
        Ok(seen)
    }

    /// Completes the files.
    pub fn finish(mut self) -> Result<()> {
        self.trajectory.finish()?;
        Ok(self.energies.flush()?)
    }
}

/// What was seen on average, and how well the physics held.
#[derive(Debug, Serialize, Deserialize)]
pub struct Means {
    pub temperature: f64,
    pub pressure: f64,
    /// The largest difference of the total energy from the first one, as a part of it.
    pub energy_deviation: f64,
    /// The change of its mean from the first quarter to the last, as a part of it.
    pub energy_drift: f64,
    /// The momentum of the whole.
    pub momentum: f64,
}

impl Means {
    pub fn of(seen: &[Energies], fluid: &Fluid) -> Result<Self> {
        let first = seen.first().context("no frames")?.total();
        let quarter = seen.len().div_ceil(4);
        let drift = mean(&seen[seen.len() - quarter..], Energies::total) - mean(&seen[..quarter], Energies::total);
        Ok(Self {
            temperature: mean(seen, |energies| energies.temperature),
            pressure: mean(seen, |energies| energies.pressure),
            energy_deviation: seen.iter().map(|now| (now.total() / first - 1.0).abs()).fold(0.0, f64::max),
            energy_drift: (drift / first).abs(),
            momentum: fluid.momentum().iter().map(|component| component.abs()).fold(0.0, f64::max),
        })
    }

    /// Fails if energy or momentum are not conserved, or the temperature is not what it should be.
    pub fn check(&self, temperature: f64) -> Result<()> {
        ensure!(self.energy_deviation < ENERGY_BOUND, "the energy is not conserved: {self:?}");
        ensure!(self.energy_drift < DRIFT_BOUND, "the energy drifts: {self:?}");
        ensure!(self.momentum < MOMENTUM_BOUND, "the whole has begun to move: {self:?}");
        ensure!((self.temperature - temperature).abs() < 0.1 * temperature, "the temperature is wrong: {self:?}");
        Ok(())
    }
}

impl fmt::Display for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { temperature, pressure, energy_deviation, energy_drift, .. } = self;
        write!(f, "T {temperature:.3}, P {pressure:.3}, energy within {energy_deviation:.0e}, drift {energy_drift:.0e}")
    }
}

fn mean(seen: &[Energies], value: impl Fn(&Energies) -> f64) -> f64 {
    seen.iter().map(value).sum::<f64>() / seen.len() as f64
}

/// How often atoms are at which distance: the pair correlation function g(r).
pub struct Distances {
    sums: Vec<f64>,
    frames: f64,
}

impl Distances {
    const BIN: f64 = 0.02;
    const BINS: usize = 125;

    pub fn new() -> Self {
        Self { sums: vec![0.0; Self::BINS], frames: 0.0 }
    }

    /// Adds one frame, in units of what an ideal gas would have.
    pub fn count(&mut self, edge: f64, positions: &[Vector]) {
        let atoms = positions.len() as f64;
        for (index, a) in positions.iter().enumerate() {
            for b in &positions[..index] {
                let apart = [0, 1, 2].map(|axis| {
                    let apart = a[axis] - b[axis];
                    apart - edge * (apart / edge).round()
                });
                let distance = apart.iter().map(|component| component * component).sum::<f64>().sqrt();
                let bin = (distance / Self::BIN) as usize;
                if bin < Self::BINS {
                    let shell = 4.0 / 3.0 * PI * Self::BIN.powi(3) * (3 * bin * (bin + 1) + 1) as f64;
                    self.sums[bin] += 2.0 * edge.powi(3) / (atoms * atoms * shell);
                }
            }
        }
        self.frames += 1.0;
    }

    /// The distance at which most neighbours are, and how many more there are than in an ideal gas.
    pub fn first_peak(&self) -> (f64, f64) {
        let peak = (0..Self::BINS).max_by(|a, b| self.sums[*a].total_cmp(&self.sums[*b])).unwrap_or_default();
        ((peak as f64 + 0.5) * Self::BIN, self.sums[peak] / self.frames)
    }
}
