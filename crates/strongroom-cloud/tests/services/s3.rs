//! S3, on moto: all of it.

use strongroom_testkit::conformance_tests;

use crate::{Settings, content_on, further_tests, moto, place};

conformance_tests!(backend, async || place("s3://test", reach()));
conformance_tests!(content, async || content_on(place("s3://test", reach())));
further_tests!((async || place("s3://test", reach())));

pub fn reach() -> Option<Settings> {
    moto::url().map(|url| moto::settings(&url))
}
