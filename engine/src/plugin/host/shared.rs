//! `counter` and `kv`: what a plugin keeps between calls, by tenant, in the state.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Sandbox;
use crate::plugin::Capability;
use crate::plugin::bindings::portcullis::plugin::{counter, kv, types};
use crate::plugin::surroundings::Refusal;
use crate::state::{State, StateError};

const KEY_BYTES: usize = 128;
const MOST_SECONDS: u32 = 31 * 24 * 60 * 60;

type Given<T> = wasmtime::Result<Result<T, types::Refusal>>;

impl Sandbox {
    /// The state's key of a plugin's own. Names of plugins have no slash, and the tenant's digest one length.
    fn state_key(&self, kind: &str, key: &str) -> Result<String, Refusal> {
        if !(1..=KEY_BYTES).contains(&key.len()) || key.chars().any(char::is_control) {
            return Err(Refusal::Invalid);
        }
        let mut tenant = [0; 16];
        blake3::Hasher::new().update(self.tenant.as_bytes()).finalize_xof().fill(&mut tenant);
        Ok(format!("plugin/{}/{kind}/{}/{key}", self.fixed.name, hex::encode(tenant)))
    }

    fn state(&self) -> Result<State, Refusal> {
        self.fixed.state.clone().ok_or(Refusal::Unavailable)
    }

    async fn add_to_window(&mut self, function: &str, key: &str, (by, seconds): (u32, u32)) -> Given<u64> {
        self.may(Capability::Counter)?;
        let asked: [&[u8]; 3] = [key.as_bytes(), &by.to_le_bytes(), &seconds.to_le_bytes()];
        self.count(key.len() + 8)?;
        if let Some(played) = self.played(function, &asked)? {
            return Ok(played.map_err(types::Refusal::from));
        }
        let answer = self.window(key, by, seconds).await;
        self.keep(function, &asked, &answer);
        Ok(answer.map_err(types::Refusal::from))
    }

    async fn window(&self, key: &str, by: u32, seconds: u32) -> Result<u64, Refusal> {
        let key = self.state_key("counter", key)?;
        let window = time(seconds)?;
        self.state()?.window_add(&key, window, by).await.map_err(|error| refused(&error))
    }
}

fn time(seconds: u32) -> Result<Duration, Refusal> {
    if (1..=MOST_SECONDS).contains(&seconds) {
        Ok(Duration::from_secs(u64::from(seconds)))
    } else {
        Err(Refusal::Invalid)
    }
}

fn refused(error: &StateError) -> Refusal {
    match error {
        StateError::Invalid(_) => Refusal::Invalid,
        _ => Refusal::Unavailable,
    }
}

impl counter::Host for Sandbox {
    async fn add(&mut self, key: String, by: u32, window_seconds: u32) -> Given<u64> {
        self.add_to_window("counter.add", &key, (by, window_seconds)).await
    }

    async fn read(&mut self, key: String, window_seconds: u32) -> Given<u64> {
        self.add_to_window("counter.read", &key, (0, window_seconds)).await
    }
}

impl kv::Host for Sandbox {
    async fn get(&mut self, key: String) -> Given<Option<Vec<u8>>> {
        self.may(Capability::Kv)?;
        let asked: [&[u8]; 1] = [key.as_bytes()];
        let answer = match self.played::<Option<String>>("kv.get", &asked)? {
            Some(played) => played,
            None => {
                let answer = self.read_value(&key).await;
                self.keep("kv.get", &asked, &answer);
                answer
            }
        };
        let decode = |text: String| STANDARD.decode(text).map_err(|_| Refusal::Unavailable);
        let value = answer.and_then(|text| text.map(decode).transpose());
        let length = value.as_ref().ok().and_then(Option::as_ref).map_or(0, Vec::len);
        self.count(key.len() + length)?;
        Ok(value.map_err(types::Refusal::from))
    }

    async fn put(&mut self, key: String, value: Vec<u8>, ttl_seconds: u32) -> Given<()> {
        self.may(Capability::Kv)?;
        self.count(key.len() + value.len())?;
        let asked: [&[u8]; 3] = [key.as_bytes(), &value, &ttl_seconds.to_le_bytes()];
        if let Some(played) = self.played("kv.put", &asked)? {
            return Ok(played.map_err(types::Refusal::from));
        }
        let answer = self.write_value(&key, &value, ttl_seconds).await;
        self.keep("kv.put", &asked, &answer);
        Ok(answer.map_err(types::Refusal::from))
    }

    async fn delete(&mut self, key: String) -> Given<bool> {
        self.may(Capability::Kv)?;
        self.count(key.len())?;
        let asked: [&[u8]; 1] = [key.as_bytes()];
        if let Some(played) = self.played("kv.delete", &asked)? {
            return Ok(played.map_err(types::Refusal::from));
        }
        let answer = self.delete_value(&key).await;
        self.keep("kv.delete", &asked, &answer);
        Ok(answer.map_err(types::Refusal::from))
    }
}

impl Sandbox {
    async fn read_value(&self, key: &str) -> Result<Option<String>, Refusal> {
        let key = self.state_key("kv", key)?;
        let found = self.state()?.get(&key).await.map_err(|error| refused(&error))?;
        Ok(found.map(|(bytes, _)| STANDARD.encode(bytes)))
    }

    async fn write_value(&self, key: &str, value: &[u8], ttl_seconds: u32) -> Result<(), Refusal> {
        let key = self.state_key("kv", key)?;
        let ttl = time(ttl_seconds)?;
        self.state()?.put(&key, value, ttl).await.map(drop).map_err(|error| refused(&error))
    }

    async fn delete_value(&self, key: &str) -> Result<bool, Refusal> {
        let key = self.state_key("kv", key)?;
        self.state()?.delete(&key).await.map_err(|error| refused(&error))
    }
}
