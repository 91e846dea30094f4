//! S3, on moto: all of it.

use strongroom_testkit::conformance_tests;

use crate::large::check_created_once;
use crate::{Settings, content_on, moto, place};

conformance_tests!(backend, async || place("s3://test", reach()));
conformance_tests!(content, async || content_on(place("s3://test", reach())));

#[tokio::test]
async fn a_large_object_is_created_once() {
    check_created_once(place("s3://test", reach())).await;
}

fn reach() -> Option<Settings> {
    moto::url().map(|url| moto::settings(&url))
}
