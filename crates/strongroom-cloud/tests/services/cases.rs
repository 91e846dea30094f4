//! The suite on a server that does not keep all of it.

use strongroom_testkit::conformance::{Place, cases};

/// All cases are kept but those that are `untried`, and those that are `broken`: if one of these is kept, it should be on the list no longer.
pub async fn check_all_but(untried: &[&str], broken: &[&str], place: impl AsyncFn() -> Place) {
    let cases = cases();
    for name in untried.iter().chain(broken) {
        assert!(cases.iter().any(|case| case.name() == *name), "there is no case {name}");
    }
    for case in cases.iter().filter(|case| !untried.contains(&case.name())) {
        let outcome = case.run(&place().await).await;
        let is_broken = broken.contains(&case.name());
        assert_eq!(outcome.is_err(), is_broken, "{}: {outcome:?}", case.name());
    }
}
