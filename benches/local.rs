//! `cargo bench -p strongroom-bench`: the questions about storage in a local folder.
#![forbid(unsafe_code)]

fn main() -> anyhow::Result<()> {
    strongroom_bench::run()
}
