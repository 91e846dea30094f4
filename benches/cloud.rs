//! `cargo bench -p strongroom-bench --bench cloud`: requests to a bucket, and how fast large files come and go.
#![forbid(unsafe_code)]

fn main() -> anyhow::Result<()> {
    strongroom_bench::cloud()
}
