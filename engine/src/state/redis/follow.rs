//! Reading and writing the stream of changes.
//!
//! Promises: a break, a server that started anew, a stream that was trimmed, emptied or went back: each is told as a
//! gap before anything after it. Reading blocks a connection of its own.

use std::time::Duration;

use ::redis::streams::{StreamId, StreamReadReply};
use ::redis::{FromRedisValue, cmd};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::wire::{Again, Call, as_state_error};
use super::{RedisState, number};
use crate::clock::Timestamp;
use crate::state::stream::{Announcement, Beats, Event, HEARTBEAT};
use crate::state::{StateError, Version};

/// How long a read waits for something new. Own heartbeats come more often.
const BLOCK: Duration = Duration::from_millis(500);
/// How long before the stream is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// Why reading ended.
enum Ended {
    /// Nobody receives the events any more.
    Closed,
    Failed(StateError),
}

/// How far the reader is.
#[derive(Clone, PartialEq, Eq)]
struct Place {
    id: String,
    serial: u64,
}

impl RedisState {
    fn stream_keys(&self) -> [String; 2] {
        [format!("{}:{{changes}}", self.prefix), format!("{}:{{changes}}:serial", self.prefix)]
    }

    /// Writes an entry; gives the server's time in microseconds.
    pub(in crate::state) async fn announce(
        &self,
        announcement: Announcement<'_>,
        beat: Option<&str>,
    ) -> Result<i64, StateError> {
        let mut script = self.scripts.announce.prepare_invoke();
        script.key(&self.stream_keys()[..]);
        script.arg(announcement.node).arg(announcement.sequence).arg(beat.unwrap_or_default());
        let (seconds, micros): (String, String) = self.script(&script, Again::Yes).await?;
        Ok(number::<i64>(&seconds)?.saturating_mul(1_000_000).saturating_add(number(&micros)?))
    }

    pub(in crate::state) fn shared_now(&self) -> Option<Timestamp> {
        self.time.at(self.clock.monotonic())
    }

    pub(in crate::state) fn shared_time_offset(&self) -> Option<i64> {
        Some(self.shared_now()?.0.saturating_sub(self.clock.now().0))
    }

    pub(in crate::state) async fn follow(
        &self,
        node: &str,
        sequence: impl Fn() -> u64 + Send + Sync,
        events: &mpsc::Sender<Event>,
    ) {
        // Without randomness no echo would be known as this run's: better none than another's.
        let mut run = Version::fresh(&*self.rng);
        while run.is_err() {
            tokio::time::sleep(PAUSE).await;
            run = Version::fresh(&*self.rng);
        }
        let beats = Beats::of_run(run.map(|run| run.0).unwrap_or_default());
        tokio::select! {
            () = self.beat(node, &sequence, &beats) => {}
            () = self.read(&beats, events) => {}
        }
    }

    async fn beat(&self, node: &str, sequence: &(impl Fn() -> u64 + Send + Sync), beats: &Beats) {
        let mut ticks = tokio::time::interval(HEARTBEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let sent = self.clock.monotonic();
            let announcement = Announcement { node, sequence: sequence() };
            // A failure shows as freshness that ages.
            if let Ok(server_us) = self.announce(announcement, Some(&beats.start(sent))).await {
                self.time.note(server_us, sent, self.clock.monotonic());
            }
        }
    }

    async fn read(&self, beats: &Beats, events: &mpsc::Sender<Event>) {
        let mut is_broken = false;
        loop {
            match self.read_until_broken(beats, events, &mut is_broken).await {
                Ended::Closed => return,
                Ended::Failed(error) if !is_broken => {
                    is_broken = true;
                    tracing::error!(%error, "the stream of changes can't be read: tried again");
                }
                Ended::Failed(_) => {}
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn read_until_broken(
        &self,
        beats: &Beats,
        events: &mpsc::Sender<Event>,
        is_broken: &mut bool,
    ) -> Ended {
        match self.read_on(beats, events, is_broken).await {
            Err(ended) => ended,
            Ok(never) => match never {},
        }
    }

    async fn read_on(
        &self,
        beats: &Beats,
        events: &mpsc::Sender<Event>,
        is_broken: &mut bool,
    ) -> Result<std::convert::Infallible, Ended> {
        let mut connection = tokio::select! {
            connected = self.wire.connect(BLOCK * 2) => connected.map_err(Ended::Failed)?,
            () = events.closed() => return Err(Ended::Closed),
        };
        let [stream, _] = self.stream_keys();
        let mut place: Option<Place> = None;
        loop {
            if place.is_none() {
                place = Some(self.tip(&mut connection).await?);
                if std::mem::take(is_broken) {
                    tracing::info!("the stream of changes is read again");
                }
                send(events, Event::Gap).await?;
            }
            let Some(at) = &mut place else { continue };
            let mut command = cmd("XREAD");
            command.arg("COUNT").arg(512).arg("BLOCK").arg(BLOCK.as_millis());
            command.arg("STREAMS").arg(&stream).arg(&at.id);
            let read = tokio::select! {
                read = Call::Command(&command).send::<Option<StreamReadReply>>(&mut connection) => read,
                () = events.closed() => return Err(Ended::Closed),
            };
            let read = read.map_err(|error| Ended::Failed(as_state_error(&error)))?;
            let entries = read.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids);
            let mut is_silent = true;
            for entry in entries {
                is_silent = false;
                report(&entry, at, beats, events).await?;
            }
            // A stream that went back would be silent for ever.
            if is_silent && self.tip(&mut connection).await? != *at {
                place = None;
            }
        }
    }

    /// Where the stream ends.
    async fn tip(&self, connection: &mut super::address::Connection) -> Result<Place, Ended> {
        let mut script = self.scripts.tip.prepare_invoke();
        script.key(&self.stream_keys()[..]);
        let asked = Call::Script(&script).send::<(String, String)>(connection).await;
        let (id, serial) = asked.map_err(|error| Ended::Failed(as_state_error(&error)))?;
        Ok(Place { id, serial: number(&serial).map_err(Ended::Failed)? })
    }
}

/// Tells of one entry, and of what is missing before it.
async fn report(
    entry: &StreamId,
    at: &mut Place,
    beats: &Beats,
    events: &mpsc::Sender<Event>,
) -> Result<(), Ended> {
    at.id.clone_from(&entry.id);
    let serial: Option<u64> = field(entry, "c");
    if serial != Some(at.serial.saturating_add(1)) {
        send(events, Event::Gap).await?;
    }
    at.serial = serial.unwrap_or(at.serial);
    match field(entry, "s") {
        Some(sequence) => send(events, Event::Announced { sequence }).await?,
        None => send(events, Event::Gap).await?,
    }
    let beat: Option<String> = field(entry, "b");
    if let Some(sent_at) = beat.and_then(|beat| beats.sent_at(&beat)) {
        send(events, Event::Echo { sent_at }).await?;
    }
    Ok(())
}

fn field<T: FromRedisValue>(entry: &StreamId, name: &str) -> Option<T> {
    let value = entry.map.get(name)?;
    T::from_redis_value_ref(value).ok()
}

async fn send(events: &mpsc::Sender<Event>, event: Event) -> Result<(), Ended> {
    events.send(event).await.map_err(|_| Ended::Closed)
}
