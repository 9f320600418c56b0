//! What nodes tell each other through the state: how far the store is.
//!
//! Promises: an echo counts only once everything that was announced before it is served; a change that the stream did not
//! take is not answered with success, and is announced on with every heartbeat.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{App, ChangeError};
use crate::state::stream::{Announcement, Event};

/// Events that wait to be worked on.
const WAITING: usize = 1_024;

impl App {
    /// Follows the stream until the server ends.
    pub async fn follow_stream(self: Arc<Self>) {
        let state = self.state.clone();
        if !state.is_shared() {
            return;
        }
        let (sender, mut events) = mpsc::channel(WAITING);
        let app = Arc::clone(&self);
        let following = tokio::spawn(async move {
            let sequence = || app.replica.sequence();
            state.follow(&app.node, sequence, &sender).await;
        });
        let mut behind = true;
        while let Some(event) = events.recv().await {
            match event {
                Event::Announced { sequence } => behind |= sequence > self.replica.sequence(),
                Event::Gap => behind = true,
                Event::Echo { sent_at } => {
                    if !behind {
                        self.replica.is_fresh_as_of(sent_at);
                    }
                }
            }
            if behind {
                // Until the store has said what was missed, no echo counts.
                behind = self.refresh().await.is_err();
            }
            self.follow_shared_time();
        }
        following.abort();
    }

    /// Sets the clock by the state's, which all nodes share.
    fn follow_shared_time(&self) {
        let own = self.shared_clock.own_now();
        let Some(shared) = self.state.shared_now() else { return };
        if let Some(offset_us) = self.shared_clock.set(shared, (own, own)) {
            let seconds = offset_us / 1_000_000;
            tracing::error!(seconds, "this machine's clock differs from the state's, by which all is judged");
        }
    }

    /// Tells all nodes how far the store is.
    pub(super) async fn tell_nodes(&self, sequence: u64) -> Result<(), ChangeError> {
        let told = self.state.publish(Announcement { node: &self.node, sequence }).await;
        told.map_err(|error| {
            self.metrics.unannounced();
            tracing::error!(%error, sequence, "a change could not be announced: it is tried on");
            ChangeError::Pending { sequence }
        })
    }
}
