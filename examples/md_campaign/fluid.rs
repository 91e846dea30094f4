//! A Lennard-Jones fluid in reduced units: mass, well depth, diameter and Boltzmann's constant are 1.
//!
//! Velocity Verlet, a periodic cube, and the shifted-force potential, whose energy and force are continuous at the cutoff. So
//! the total energy is conserved, and what is left of drift is a test of the integrator.

use crate::random::Random;

pub type Vector = [f64; 3];

/// Beyond this distance atoms don't feel each other.
const CUTOFF: f64 = 2.5;
/// Pairs up to this much beyond the cutoff are in the list, so that it holds for some steps.
const SKIN: f64 = 0.4;
/// The time of one step.
pub const TIME_STEP: f64 = 0.004;

/// What the fluid is at one step. From this alone it goes on exactly as it would have.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub step: u64,
    /// The edge of the periodic cube.
    pub edge: f64,
    /// Where the atoms are; not wrapped into the cube, so that their paths can be measured.
    pub positions: Vec<Vector>,
    pub velocities: Vec<Vector>,
    /// Where they were when the list of pairs was made. The order of pairs decides how sums are rounded.
    pub listed_at: Vec<Vector>,
}

/// Energies, and what is derived from them.
#[derive(Clone, Copy, Debug)]
pub struct Energies {
    pub potential: f64,
    pub kinetic: f64,
    pub temperature: f64,
    pub pressure: f64,
}

impl Energies {
    pub fn total(&self) -> f64 {
        self.potential + self.kinetic
    }
}

/// A fluid in motion.
pub struct Fluid {
    state: State,
    forces: Vec<Vector>,
    potential: f64,
    virial: f64,
    pairs: Vec<Pair>,
}

/// Two atoms near each other. The shift brings the second to its nearest image.
struct Pair {
    first: usize,
    second: usize,
    shift: Vector,
}

impl Fluid {
    /// `4 * cells^3` atoms at rest on a face-centred cubic lattice.
    pub fn lattice(cells: u32, density: f64) -> Self {
        let spacing = (4.0 / density).cbrt();
        let mut positions = Vec::new();
        for cell in 0..cells.pow(3) {
            let corner = [cell % cells, cell / cells % cells, cell / cells / cells].map(f64::from);
            for offset in [[0.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.0, 0.5, 0.5]] {
                positions.push([0, 1, 2].map(|axis| (corner[axis] + offset[axis] + 0.25) * spacing));
            }
        }
        Self::resume(State {
            step: 0,
            edge: f64::from(cells) * spacing,
            velocities: vec![[0.0; 3]; positions.len()],
            listed_at: positions.clone(),
            positions,
        })
    }

    /// Goes on from `state`.
    pub fn resume(state: State) -> Self {
        let forces = vec![[0.0; 3]; state.positions.len()];
        let mut fluid = Self { state, forces, potential: 0.0, virial: 0.0, pairs: Vec::new() };
        fluid.list_pairs();
        fluid.compute_forces();
        fluid
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    /// Gives the atoms new random velocities at `temperature`, without any motion of the whole.
    pub fn thermalise(&mut self, temperature: f64, random: &mut Random) {
        for velocity in &mut self.state.velocities {
            *velocity = [random.normal(), random.normal(), random.normal()];
        }
        let drift = self.momentum().map(|total| total / self.state.velocities.len() as f64);
        for velocity in &mut self.state.velocities {
            *velocity = subtract(velocity, &drift);
        }
        self.rescale(temperature);
    }

    /// Scales the velocities so that the temperature is `temperature`.
    pub fn rescale(&mut self, temperature: f64) {
        let factor = (temperature / self.energies().temperature).sqrt();
        for velocity in &mut self.state.velocities {
            *velocity = velocity.map(|component| component * factor);
        }
    }

    /// One step of velocity Verlet (Swope, Andersen, Berens, Wilson 1982).
    pub fn step(&mut self) {
        let state = &mut self.state;
        for atom in 0..state.positions.len() {
            for axis in 0..3 {
                state.velocities[atom][axis] += 0.5 * TIME_STEP * self.forces[atom][axis];
                state.positions[atom][axis] += TIME_STEP * state.velocities[atom][axis];
            }
        }
        if self.pairs_are_old() {
            self.state.listed_at.clone_from(&self.state.positions);
            self.list_pairs();
        }
        self.compute_forces();
        for atom in 0..self.forces.len() {
            for axis in 0..3 {
                self.state.velocities[atom][axis] += 0.5 * TIME_STEP * self.forces[atom][axis];
            }
        }
        self.state.step += 1;
    }

    pub fn energies(&self) -> Energies {
        let atoms = self.state.velocities.len() as f64;
        let kinetic = 0.5 * self.state.velocities.iter().map(square).sum::<f64>();
        // The whole does not move: three degrees of freedom less.
        let temperature = 2.0 * kinetic / (3.0 * atoms - 3.0);
        let volume = self.state.edge.powi(3);
        let pressure = (2.0 * kinetic + self.virial) / (3.0 * volume);
        Energies { potential: self.potential, kinetic, temperature, pressure }
    }

    /// The momentum of the whole, which no force between its atoms can change.
    pub fn momentum(&self) -> Vector {
        let mut total = [0.0; 3];
        for velocity in &self.state.velocities {
            for axis in 0..3 {
                total[axis] += velocity[axis];
            }
        }
        total
    }

    /// Two atoms may have come so close that their pair is missing: each has moved by half the skin.
    fn pairs_are_old(&self) -> bool {
        let limit = (0.5 * SKIN) * (0.5 * SKIN);
        let moved = self.state.positions.iter().zip(&self.state.listed_at);
        moved.into_iter().any(|(now, then)| square(&subtract(now, then)) > limit)
    }

    /// Lists the pairs of the positions `listed_at`.
    fn list_pairs(&mut self) {
        let edge = self.state.edge;
        assert!(edge > 2.0 * (CUTOFF + SKIN), "the cube is too small: an atom would meet two images of another");
        let positions = &self.state.listed_at;
        let reach = (CUTOFF + SKIN) * (CUTOFF + SKIN);
        self.pairs.clear();
        for first in 0..positions.len() {
            for second in first + 1..positions.len() {
                let apart = subtract(&positions[first], &positions[second]);
                let shift = [image(apart[0], edge), image(apart[1], edge), image(apart[2], edge)];
                if square(&subtract(&apart, &shift)) < reach {
                    self.pairs.push(Pair { first, second, shift });
                }
            }
        }
    }

    /// Forces, potential energy and virial. Nearly all of the time is spent here, so it is written for the slowest build.
    fn compute_forces(&mut self) {
        let cut = CUTOFF.powi(-6);
        let (energy_at_cutoff, force_at_cutoff) = (4.0 * (cut * cut - cut), 24.0 * (2.0 * cut * cut - cut) / CUTOFF);
        let (positions, forces) = (&self.state.positions, &mut self.forces);
        let (mut potential, mut virial) = (0.0, 0.0);
        forces.fill([0.0; 3]);
        for pair in &self.pairs {
            let (a, b, shift) = (positions[pair.first], positions[pair.second], pair.shift);
            let (x, y, z) = (a[0] - b[0] - shift[0], a[1] - b[1] - shift[1], a[2] - b[2] - shift[2]);
            let square = x * x + y * y + z * z;
            if square >= CUTOFF * CUTOFF {
                continue;
            }
            let inverse = 1.0 / square;
            let sixth = inverse * inverse * inverse;
            let distance = square.sqrt();
            potential += 4.0 * sixth * (sixth - 1.0) - energy_at_cutoff + (distance - CUTOFF) * force_at_cutoff;
            let force = 24.0 * inverse * sixth * (2.0 * sixth - 1.0) - force_at_cutoff / distance;
            virial += force * square;
            let (x, y, z) = (force * x, force * y, force * z);
            let on_first = &mut forces[pair.first];
            on_first[0] += x;
            on_first[1] += y;
            on_first[2] += z;
            let on_second = &mut forces[pair.second];
            on_second[0] -= x;
            on_second[1] -= y;
            on_second[2] -= z;
        }
        (self.potential, self.virial) = (potential, virial);
    }
}

/// How far the nearest image is from the atom itself along one axis.
fn image(apart: f64, edge: f64) -> f64 {
    edge * (apart / edge).round()
}

fn square(vector: &Vector) -> f64 {
    vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2]
}

fn subtract(a: &Vector, b: &Vector) -> Vector {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}
