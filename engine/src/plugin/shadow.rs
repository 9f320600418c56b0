//! Calls beside their requests: what a plugin would do is found out, and nobody waits for it.
//!
//! Promises: bounded in number and in bytes; what finds no room is dropped and counted. Must never: hold a request up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::mpsc;

use super::Input;
use super::input::{Message, Observed, Request};
use super::installed::Installed;
use super::surroundings::{Called, Surroundings};

/// What waits may hold so many bytes of inputs.
const MOST_BYTES: usize = 64 << 20;

/// Calls that wait.
#[derive(Debug)]
pub struct ShadowQueue {
    sender: mpsc::Sender<Waiting>,
    waiting: Mutex<Option<mpsc::Receiver<Waiting>>>,
    bytes: Arc<AtomicUsize>,
}

/// A call that waits.
#[derive(Debug)]
pub struct Waiting {
    /// Whom to call.
    pub installed: Arc<Installed>,
    /// What it stands in.
    pub surroundings: Surroundings,
    /// What it is given.
    pub input: Input,
    /// The decision that it belongs to.
    pub decision_id: String,
    _room: Room,
}

/// Bytes of the queue that are taken until it is dropped.
#[derive(Debug)]
struct Room(Arc<AtomicUsize>, usize);

impl Drop for Room {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}

impl ShadowQueue {
    /// A queue for so many calls.
    pub fn new(calls: usize) -> Self {
        let (sender, receiver) = mpsc::channel(calls.max(1));
        Self { sender, waiting: Mutex::new(Some(receiver)), bytes: Arc::default() }
    }

    /// Has a call made later, if there is room; else it is dropped and counted.
    pub fn offer(
        &self,
        installed: Arc<Installed>,
        surroundings: Surroundings,
        input: Input,
        decision_id: String,
    ) {
        let Some(room) = self.take_room(weight(&input)) else { return installed.drop_one() };
        let waiting = Waiting { installed, surroundings, input, decision_id, _room: room };
        if let Err(full) = self.sender.try_send(waiting) {
            full.into_inner().installed.drop_one();
        }
    }

    fn take_room(&self, bytes: usize) -> Option<Room> {
        let add = |taken: usize| taken.checked_add(bytes).filter(|sum| *sum <= MOST_BYTES);
        self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok()?;
        Some(Room(Arc::clone(&self.bytes), bytes))
    }

    /// The calls, for the one worker.
    pub fn calls(&self) -> Option<mpsc::Receiver<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Waiting {
    /// Makes the call.
    pub async fn call(&self) -> Called {
        self.installed.call_in_shadow(&self.surroundings, &self.input).await
    }
}

/// About how many bytes an input holds.
fn weight(input: &Input) -> usize {
    let of_request = |request: &Request| {
        let headers: usize = request.headers.iter().map(|(name, value)| name.len() + value.len() + 48).sum();
        request.path.len()
            + request.query.as_ref().map_or(0, String::len)
            + headers
            + request.body.bytes().len()
    };
    512 + match input {
        Input::Validate { request } => of_request(request),
        Input::Detect(observation) => match &observation.subject {
            Observed::Request(request) => of_request(request),
            Observed::Event(event) => {
                event.attributes.iter().map(|(name, value)| name.len() + value.len() + 48).sum()
            }
        },
        Input::Mask { document, .. } => of_value(document),
        Input::Sign { message: Message::Bytes(bytes), .. } => bytes.len(),
        Input::Sign { message: Message::Request(request), .. } => {
            request.body.len()
                + request.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
        }
    }
}

fn of_value(value: &Value) -> usize {
    32 + match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(of_value).sum(),
        Value::Object(members) => members.iter().map(|(name, value)| name.len() + 32 + of_value(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}
