//! `cargo bench -p strongroom-bench --bench python`: the Python package.
#![forbid(unsafe_code)]

fn main() -> anyhow::Result<()> {
    strongroom_bench::python_package()
}
