//! `cargo bench -p strongroom-bench --bench scale`: whether cost grows with what is there already.
#![forbid(unsafe_code)]

fn main() -> anyhow::Result<()> {
    strongroom_bench::scale()
}
