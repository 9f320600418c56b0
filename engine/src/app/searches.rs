//! What searches look up in, made ahead of them: who is in what, by what they are in.
//!
//! Promises: it is made off the workers, soon after what is served changed. Must never: hold a decision up; a search that
//! comes first makes it itself.

use std::sync::Arc;
use std::time::Duration;

use super::App;

/// How often it is seen whether something else is served.
const EVERY: Duration = Duration::from_millis(200);

impl App {
    /// Makes it for whatever is served, until the server ends.
    pub async fn prepare_searches(self: Arc<Self>) {
        let mut prepared = None;
        loop {
            let served = self.snapshot();
            if !prepared.as_ref().is_some_and(|known| Arc::ptr_eq(known, &served)) {
                let snapshot = Arc::clone(&served);
                let preparing = tokio::task::spawn_blocking(move || {
                    snapshot.packs().for_each(|pack| pack.entities.prepare_members());
                    snapshot.data.prepare_families();
                });
                preparing.await.ok();
                prepared = Some(served);
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}
