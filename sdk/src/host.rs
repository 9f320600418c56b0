//! What the host offers. Each module is a capability: the manifest declares it, and the operator grants it.
//!
//! Promises: a component imports a capability only when its code calls it. Must never: be called in a plugin's `new`,
//! save [`log`].

/// Lines for the operator. Capability `log`.
pub mod log {
    use crate::ground;

    /// How much a line matters.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Level {
        /// For the author.
        Debug,
        /// For who looks.
        Info,
        /// For who cares.
        Warn,
        /// For who must act.
        Error,
    }

    /// Beyond the plugin's `log_bytes` a line is dropped and counted.
    pub fn write(level: Level, message: &str) {
        ground::log(level, message);
    }

    /// A line for the author.
    pub fn debug(message: &str) {
        write(Level::Debug, message);
    }

    /// A line for who looks.
    pub fn info(message: &str) {
        write(Level::Info, message);
    }

    /// A line for who cares.
    pub fn warn(message: &str) {
        write(Level::Warn, message);
    }

    /// A line for who must act.
    pub fn error(message: &str) {
        write(Level::Error, message);
    }

    /// Lets a panic say why in the log, before it ends the call. To be called in `new`. Without it a panic is a trap
    /// without a message.
    #[cfg(target_arch = "wasm32")]
    pub fn report_panics() {
        std::panic::set_hook(Box::new(|panic| error(&panic.to_string())));
    }

    /// Lets a panic say why in the log, before it ends the call. Natively a panic says so anyway.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn report_panics() {}
}

/// The time. Capability `clock`.
pub mod clock {
    use crate::ground;

    /// The instant of the decision, the same for the whole call: milliseconds since 1970-01-01T00:00:00Z.
    pub fn now_milliseconds() -> u64 {
        ground::clock()
    }
}

/// Random bytes. Capability `random`.
pub mod random {
    use crate::ground;

    /// At most 4,096 bytes, from a generator that is seeded anew for each call.
    pub fn bytes(count: u32) -> Vec<u8> {
        ground::random(count)
    }
}

/// Counts over sliding windows, of this plugin and the caller's tenant. Capability `counter`.
pub mod counter {
    use crate::{Refusal, ground};

    /// Adds, and gives the sum over the window. A key has 1 to 128 bytes, a window 1 second to 31 days.
    ///
    /// # Errors
    /// When an argument is out of its bounds, or the host can't count now.
    pub fn add(key: &str, by: u32, window_seconds: u32) -> Result<u64, Refusal> {
        ground::counter::add(key, by, window_seconds)
    }

    /// The sum over the window.
    ///
    /// # Errors
    /// When an argument is out of its bounds, or the host can't count now.
    pub fn read(key: &str, window_seconds: u32) -> Result<u64, Refusal> {
        ground::counter::read(key, window_seconds)
    }
}

/// Values with an end, of this plugin and the caller's tenant. Capability `kv`.
pub mod kv {
    use crate::{Refusal, ground};

    /// # Errors
    /// When the key is out of its bounds, or the host can't be asked now.
    pub fn get(key: &str) -> Result<Option<Vec<u8>>, Refusal> {
        ground::kv::get(key)
    }

    /// A key has 1 to 128 bytes, a value at most 64 KiB, its time is 1 second to 31 days.
    ///
    /// # Errors
    /// When an argument is out of its bounds, or the host can't be asked now.
    pub fn put(key: &str, value: &[u8], ttl_seconds: u32) -> Result<(), Refusal> {
        ground::kv::put(key, value, ttl_seconds)
    }

    /// Whether there was one.
    ///
    /// # Errors
    /// When the key is out of its bounds, or the host can't be asked now.
    pub fn delete(key: &str) -> Result<bool, Refusal> {
        ground::kv::delete(key)
    }
}

/// Cryptography with keys of the host, by their names. Their bytes never enter a plugin. Capability `crypto`, and the keys
/// that the operator grants.
pub mod crypto {
    use crate::{Refusal, ground};

    /// What a key is for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Algorithm {
        /// HMAC with SHA-256 (RFC 2104).
        HmacSha256,
        /// RFC 8032.
        Ed25519,
        /// XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03).
        XChaCha20Poly1305,
    }

    /// # Errors
    /// When there is no such key for this plugin.
    pub fn algorithm_of(key: &str) -> Result<Algorithm, Refusal> {
        ground::crypto::algorithm_of(key)
    }

    /// A signature, or for a key of `hmac-sha256` its code.
    ///
    /// # Errors
    /// When there is no such key for this plugin, or it does not sign.
    pub fn sign(key: &str, message: &[u8]) -> Result<Vec<u8>, Refusal> {
        ground::crypto::sign(key, message)
    }

    /// # Errors
    /// When there is no such key for this plugin, or it does not sign.
    pub fn verify(key: &str, message: &[u8], signature: &[u8]) -> Result<bool, Refusal> {
        ground::crypto::verify(key, message, signature)
    }

    /// With a key of `hmac-sha256`.
    ///
    /// # Errors
    /// When there is no such key for this plugin, or it is of another kind.
    pub fn hmac(key: &str, message: &[u8]) -> Result<Vec<u8>, Refusal> {
        ground::crypto::hmac(key, message)
    }

    /// `place` says where it belongs: it opens nowhere else.
    ///
    /// # Errors
    /// When there is no such key for this plugin, or it does not seal.
    pub fn seal(key: &str, plain: &[u8], place: &[u8]) -> Result<Vec<u8>, Refusal> {
        ground::crypto::seal(key, plain, place)
    }

    /// # Errors
    /// When there is no such key for this plugin, or it does not open this.
    pub fn open(key: &str, sealed: &[u8], place: &[u8]) -> Result<Vec<u8>, Refusal> {
        ground::crypto::open(key, sealed, place)
    }
}

/// What the store and the pack's files know of entities. Capability `lookup`.
pub mod lookup {
    use crate::{Document, Refusal, ground};

    /// An entity's attributes, in the pack of the decision and the caller's tenant; the type as the application names it.
    ///
    /// # Errors
    /// When there is none, or it can't be read now.
    pub fn attributes(type_name: &str, id: &str) -> Result<Document<'static>, Refusal> {
        ground::attributes(type_name, id).map(Document)
    }
}
