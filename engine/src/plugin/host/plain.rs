//! `log`, `config`, `clock`, `random` and `lookup`: capabilities that answer at once.

use std::sync::Arc;

use serde_json::Value;
use wasmtime::component::Resource;

use super::{Document, Ended, Sandbox};
use crate::plugin::bindings::portcullis::plugin::{clock, config, log, lookup, random, types};
use crate::plugin::surroundings::{LogLine, Refusal};
use crate::plugin::{Capability, FailureKind};

/// What one call of `random` gives at most.
const RANDOM_BYTES: usize = 4_096;

impl log::Host for Sandbox {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.may(Capability::Log)?;
        self.count(message.len())?;
        let Some(left) = self.log_bytes_left.checked_sub(message.len() as u64 + 1) else {
            self.logs_dropped = self.logs_dropped.saturating_add(1);
            return Ok(());
        };
        self.log_bytes_left = left;
        let level = match level {
            log::Level::Debug => "debug",
            log::Level::Info => "info",
            log::Level::Warn => "warn",
            log::Level::Error => "error",
        };
        self.logs.push(LogLine { level: level.to_owned(), message });
        Ok(())
    }
}

impl config::Host for Sandbox {
    fn get(&mut self) -> wasmtime::Result<String> {
        self.may(Capability::Config)?;
        let config = self.fixed.config.to_string();
        self.count(config.len())?;
        Ok(config)
    }
}

impl clock::Host for Sandbox {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.may(Capability::Clock)?;
        Ok(self.now)
    }
}

impl random::Host for Sandbox {
    fn bytes(&mut self, count: u32) -> wasmtime::Result<Vec<u8>> {
        self.may(Capability::Random)?;
        let count = count as usize;
        if count > RANDOM_BYTES {
            let message = format!("`random.bytes` gives at most {RANDOM_BYTES} bytes at once");
            return Err(Ended::new(FailureKind::HostBytes, message).into());
        }
        self.count(count)?;
        let mut bytes = vec![0; count];
        let seed = &self.seed;
        self.random.get_or_insert_with(|| blake3::Hasher::new_keyed(seed).finalize_xof()).fill(&mut bytes);
        Ok(bytes)
    }
}

impl lookup::Host for Sandbox {
    fn attributes(
        &mut self,
        type_name: String,
        id: String,
    ) -> wasmtime::Result<Result<Resource<Document>, types::Refusal>> {
        self.may(Capability::Lookup)?;
        self.count(type_name.len() + id.len())?;
        let answer =
            self.answered("lookup.attributes", &[type_name.as_bytes(), id.as_bytes()], |sandbox| {
                match &sandbox.lookup {
                    Some(lookup) => lookup.attributes(&type_name, &id),
                    None => Err(Refusal::Unknown),
                }
            })?;
        Ok(match answer {
            Ok(attributes) => {
                let attributes: Arc<Value> = Arc::new(attributes);
                self.count(size_of(&attributes))?;
                Ok(Resource::new_own(self.hold(attributes)?))
            }
            Err(refusal) => Err(refusal.into()),
        })
    }
}

/// About what a document takes.
fn size_of(value: &Value) -> usize {
    16 + match value {
        Value::String(text) => text.len(),
        Value::Array(elements) => elements.iter().map(size_of).sum(),
        Value::Object(members) => members.iter().map(|(name, value)| name.len() + size_of(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

impl From<Refusal> for types::Refusal {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown => Self::Unknown,
            Refusal::Invalid => Self::Invalid,
            Refusal::Unavailable => Self::Unavailable,
        }
    }
}
