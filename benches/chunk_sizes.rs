//! `cargo bench -p strongroom-bench --bench chunk_sizes`: which sizes of chunks serve best.
#![forbid(unsafe_code)]

fn main() -> anyhow::Result<()> {
    strongroom_bench::chunk_sizes()
}
