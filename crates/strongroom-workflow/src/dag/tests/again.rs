//! Results that are remembered, and used instead of running a unit again.

use super::*;

#[tokio::test]
async fn a_second_run_runs_nothing_again() {
    for bench in [Bench::new(), Bench::on_content().await] {
        let runs = Arc::default();
        let dag = Dag::new("dag").with(chain("a", &[], &runs)).with(chain("b", &["a"], &runs));
        let first = bench.run(&dag).await;
        assert_eq!(ran(&runs), ["a", "b"]);
        let second = bench.run(&dag).await;
        assert_eq!(ran(&runs), [""; 0], "although what they had in shared storage is gone");
        assert!(second.units.iter().all(|result| result.reused));
        assert_eq!(second.value::<Handle>("b").expect("a handle"), first.value("b").expect("a handle"));
    }
}

#[tokio::test]
async fn numbers_in_a_result_that_is_used_again_are_the_same_to_the_last_bit() {
    let (bench, runs) = (Bench::new(), Arc::default());
    // Read by the usual, faster way these are another number: the units after it would run again.
    let unit = Unit::new("a", |_| Ok(json!([0.982_660_456_198_300_3, 1.206_914_498_303_287_6e-7])));
    let after = Unit::new("b", move |context| Ok(context.results["a"].clone())).after("a");
    let dag = Dag::new("dag").with(unit).with(after).with(chain("c", &[], &runs));
    let first = bench.run(&dag).await;
    let second = bench.run(&dag).await;
    assert!(second.units.iter().all(|result| result.reused), "{second:?}");
    assert_eq!(second.value::<Vec<f64>>("b").expect("numbers"), first.value::<Vec<f64>>("b").expect("numbers"));
}

#[tokio::test]
async fn a_new_unit_makes_only_those_run_again_whose_shared_files_it_needs() {
    let (bench, runs) = (Bench::new(), Arc::default());
    let dag = Dag::new("dag").with(chain("a", &[], &runs)).with(chain("b", &["a"], &runs)).with(chain("x", &[], &runs));
    bench.run(&dag).await;
    ran(&runs);
    let result = bench.run(&dag.with(chain("c", &["b"], &runs))).await.into_result().expect("no failure");
    assert_eq!(ran(&runs), ["a", "b", "c"], "b needs a's file; x is not needed");
    assert!(result.get("x").expect("known").reused);
}

#[tokio::test]
async fn other_inputs_make_a_unit_run_again_and_what_comes_after_it_too_if_its_files_changed() {
    let bench = Bench::new();
    let runs: Arc<Mutex<Vec<String>>> = Arc::default();
    let dag = |input: &str, text: &'static str| {
        let seen = runs.clone();
        let first = Unit::new("a", move |context| {
            seen.lock().expect("no panic").push("a".into());
            Ok(json!(output(&context.permanent, "a.txt", text)?))
        });
        Dag::new("dag").with(first.with_inputs(json!(input))).with(chain("b", &["a"], &runs))
    };
    bench.run(&dag("1", "same")).await;
    assert_eq!(ran(&runs), ["a", "b"]);
    bench.run(&dag("2", "same")).await;
    assert_eq!(ran(&runs), ["a"], "it gave what it gave before");
    bench.run(&dag("3", "other")).await;
    assert_eq!(ran(&runs), ["a", "b"], "the same handle, but other content");
}

#[tokio::test]
async fn a_result_whose_permanent_files_are_gone_is_not_used() {
    let (bench, runs) = (Bench::new(), Arc::default());
    let dag = Dag::new("dag").with(chain("a", &[], &runs));
    bench.run(&dag).await;
    bench.permanent.delete(&Location::parse("dag/a/copy.txt").expect("legal")).await.expect("deleted");
    ran(&runs);
    let result = bench.run(&dag).await;
    assert_eq!(ran(&runs), ["a"]);
    assert!(result.units[0].warnings[0].contains("dag/a/copy.txt"), "{:?}", result.units[0].warnings);
}

#[tokio::test]
async fn a_result_that_can_not_be_read_is_passed_over_with_a_warning() {
    let (bench, runs) = (Bench::new(), Arc::default());
    let dag = Dag::new("dag").with(chain("a", &[], &runs));
    bench.run(&dag).await;
    let kept: Vec<Location> = bench.permanent.iter_contents("dag/a.results/").try_collect().await.expect("listed");
    assert_eq!(kept.len(), 1);
    bench.permanent.store_bytes(&kept[0], "{".into()).await.expect("stored");
    ran(&runs);
    let result = bench.run(&dag).await;
    assert_eq!(ran(&runs), ["a"]);
    assert!(result.units[0].warnings[0].contains("not the result of a unit"), "{:?}", result.units[0].warnings);
    bench.run(&dag).await;
    assert_eq!(ran(&runs), [""; 0], "it is there again");
}

#[tokio::test]
async fn results_are_neither_used_nor_kept_when_that_is_not_wanted() {
    let (mut bench, runs) = (Bench::new(), Arc::default());
    bench.options = bench.options.clone().with_reuse_results(false);
    let dag = Dag::new("dag").with(chain("a", &[], &runs));
    bench.run(&dag).await;
    bench.run(&dag).await;
    assert_eq!(ran(&runs), ["a", "a"]);
    assert_eq!(listing(&bench.permanent).await, ["dag/a/copy.txt"]);
}

#[tokio::test]
async fn a_failure_is_not_remembered() {
    let bench = Bench::new();
    let tries = AtomicUsize::new(0);
    let dag = Dag::new("dag").with(Unit::new("a", move |_| match tries.fetch_add(1, Ordering::Relaxed) {
        0 => Err("no".into()),
        _ => Ok(Value::Null),
    }));
    bench.run(&dag).await.into_result().expect_err("the first fails");
    bench.run(&dag).await.into_result().expect("the second works");
}
