//! The newest bundle: it only ever becomes newer.

use super::{Home, on_both};
use crate::bundle::Named;
use crate::plugin::digest;
use crate::store::Store;

fn named(version: u64, text: &str) -> Named {
    Named { version, digest: digest(text.as_bytes()) }
}

on_both! {
    async fn the_newest_bundle_stands_whatever_comes_after_it(store: &Store) {
        assert_eq!(store.taken_bundle().await.unwrap(), None);
        let nine = named(9, "nine");
        assert_eq!(store.take_bundle(&nine).await.unwrap(), nine);
        assert_eq!(store.take_bundle(&nine).await.unwrap(), nine);
        for other in [named(8, "eight"), named(9, "other"), named(1, "one")] {
            assert_eq!(store.take_bundle(&other).await.unwrap(), nine);
        }
        for newer in [named(10, "ten"), named(100, "hundred"), named(u64::MAX, "last")] {
            assert_eq!(store.take_bundle(&newer).await.unwrap(), newer);
        }
        assert_eq!(store.taken_bundle().await.unwrap(), Some(named(u64::MAX, "last")));
    }
}
