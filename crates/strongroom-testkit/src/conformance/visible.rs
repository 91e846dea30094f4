//! Promise 3: after a store every handle on the same place sees it, by reading and by listing.

use strongroom_storage::ListOptions;

use super::Place;
use super::failure::{Checked, Verdict, ensure};
use super::probe::{at, content, expect_names, expect_nothing, expect_object};

pub(super) async fn promise_3_every_handle_sees_a_store_an_overwrite_and_a_delete(place: &Place) -> Checked {
    let handles = [place.open().await?, place.open().await?];
    for round in 0..8 {
        let location = at(&format!("visible/{}", round % 3));
        let (one, other) = (&*handles[round % 2], &*handles[(round + 1) % 2]);
        expect_nothing(other, &location).await?;
        let first = content(round as u64, 1000 + round);
        one.store_bytes(&location, first.clone()).await?;
        expect_object(other, &location, &first).await?;
        expect_names(other, "", std::slice::from_ref(&location)).await?;
        let page = other.list(&ListOptions::prefix("visible/")).await?;
        ensure!(page.objects.len() == 1, "a page of the listing shows {} objects, not 1", page.objects.len());

        let second = content(100 + round as u64, 1000 + round);
        other.store_bytes(&location, second.clone()).await?;
        expect_object(one, &location, &second).await?;
        other.delete(&location).await?;
        expect_nothing(one, &location).await?;
    }
    Ok(Verdict::Kept)
}
