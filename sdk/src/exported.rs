//! Between the contract's exports and the author's traits.
//!
//! Promises: the plugin is made once, in the initialiser, and each call begins with it; where a host calls no
//! initialiser, the first call makes it. Must never: answer for a plugin that could not be made.

use std::cell::OnceCell;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::de::value::{Error, MapDeserializer, UnitDeserializer};

use crate::bindings::base::portcullis::plugin::{config, types};
use crate::bindings::{
    detect::exports::portcullis::plugin as detect, initialised::exports::portcullis::plugin::initialiser,
    mask::exports::portcullis::plugin as mask, sign::exports::portcullis::plugin as sign,
    validate::exports::portcullis::plugin as validate,
};
use crate::{Detect, Failure, Mask, Sign, Validate, ground};

/// A plugin that has a place to be kept in.
pub trait Kept: Sized + 'static {
    /// Makes it, as its trait does.
    ///
    /// # Errors
    /// When its configuration is not usable.
    fn made() -> Result<Self, Failure>;

    /// Where it is kept.
    fn kept<R>(with: impl FnOnce(&OnceCell<Self>) -> R) -> R;
}

/// Gives a plugin its place.
#[doc(hidden)]
#[macro_export]
macro_rules! keep {
    ($plugin:ty, $hook:path) => {
        impl $crate::exported::Kept for $plugin {
            fn made() -> ::core::result::Result<Self, $crate::Failure> {
                <$plugin as $hook>::new($crate::exported::configuration()?)
            }

            fn kept<R>(with: impl FnOnce(&::core::cell::OnceCell<Self>) -> R) -> R {
                ::std::thread_local! {
                    static KEPT: ::core::cell::OnceCell<$plugin> = const { ::core::cell::OnceCell::new() };
                }
                KEPT.with(with)
            }
        }
    };
}

/// The plugin's configuration. A type without any content asks the host for none, so that it does not import `config`.
///
/// # Errors
/// When it does not fit the type.
pub fn configuration<C: DeserializeOwned>() -> Result<C, Failure> {
    let read = if const { size_of::<C>() == 0 } {
        let none = MapDeserializer::<_, Error>::new(std::iter::empty::<((), ())>());
        C::deserialize(UnitDeserializer::<Error>::new()).or_else(|_| C::deserialize(none)).ok()
    } else {
        serde_json::from_str(&config::get()).ok()
    };
    read.ok_or(Failure::Misconfigured)
}

fn with<T: Kept, R>(call: impl FnOnce(&T) -> R) -> Result<R, Failure> {
    T::kept(|kept| {
        if let Some(plugin) = kept.get() {
            return Ok(call(plugin));
        }
        let made = T::made()?;
        Ok(call(kept.get_or_init(|| made)))
    })
}

/// A validator's exports.
pub struct Validator<T>(PhantomData<T>);
/// A masker's exports.
pub struct Masker<T>(PhantomData<T>);
/// A signer's exports.
pub struct Signer<T>(PhantomData<T>);
/// A detector's exports.
pub struct Detector<T>(PhantomData<T>);

/// Memory that calls find free. To grow it takes the host longer than all else of a small call.
const ROOM_BYTES: usize = 256 << 10;

/// Takes memory and gives it back to the allocator, which keeps it: the host's picture of the memory then holds it.
fn make_room() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(ROOM_BYTES)));
}

macro_rules! initialises {
    ($($exports:ident),*) => {
        $(impl<T: Kept> initialiser::Guest for $exports<T> {
            fn initialise() -> Result<(), types::Failure> {
                make_room();
                let made = T::made()?;
                T::kept(|kept| kept.set(made).map_err(|_| types::Failure::Invalid))
            }
        })*
    };
}

initialises!(Validator, Masker, Signer, Detector);

impl<T: Kept + Validate> validate::validator::Guest for Validator<T> {
    fn validate(request: &types::Request) -> Result<Vec<types::Finding>, validate::validator::Rejection> {
        let request = crate::Request::on(ground::Request(request));
        let Ok(judged) = with(|plugin: &T| plugin.validate(&request)) else {
            // The contract has no failure here: a plugin that could not be made ends its call.
            core::arch::wasm32::unreachable()
        };
        judged.map(ground::findings).map_err(|rejection| validate::validator::Rejection {
            reason: rejection.reason,
            findings: ground::findings(rejection.findings),
        })
    }
}

impl<T: Kept + Mask> mask::masker::Guest for Masker<T> {
    fn mask(
        document: &types::Document,
        obligations: Vec<mask::masker::Obligation>,
    ) -> Result<Vec<mask::masker::Edit>, types::Failure> {
        use mask::masker::{Edit, Method, Replacement};
        let document = crate::Document(ground::Document::Lent(document));
        let obligation = |obligation: mask::masker::Obligation| crate::Obligation {
            pointer: obligation.pointer,
            method: match obligation.method {
                Method::Partial => crate::Method::Partial,
                Method::Hash => crate::Method::Hash,
                Method::Redact => crate::Method::Redact,
            },
        };
        let obligations: Vec<_> = obligations.into_iter().map(obligation).collect();
        let edits = with(|plugin: &T| plugin.mask(&document, &obligations))??;
        let edit = |edit: crate::Edit| Edit {
            pointer: edit.pointer,
            replacement: match edit.replacement {
                crate::Replacement::Text(text) => Replacement::Text(text),
                crate::Replacement::Null => Replacement::Null,
                crate::Replacement::Remove => Replacement::Remove,
            },
        };
        Ok(edits.into_iter().map(edit).collect())
    }
}

impl<T: Kept + Sign> sign::signer::Guest for Signer<T> {
    fn sign(message: sign::signer::Message, key: String) -> Result<Vec<types::Header>, types::Failure> {
        let message = match message {
            sign::signer::Message::Bytes(bytes) => crate::Message::Bytes(bytes),
            sign::signer::Message::Request(request) => crate::Message::Request(crate::Components {
                method: request.method,
                target_uri: request.target_uri,
                headers: ground::headers(request.headers),
                body: request.body,
            }),
        };
        let added = with(|plugin: &T| plugin.sign(&message, &key))??;
        Ok(added.into_iter().map(|header| types::Header { name: header.name, value: header.value }).collect())
    }
}

impl<T: Kept + Detect> detect::detector::Guest for Detector<T> {
    fn detect(
        observation: detect::detector::Observation<'_>,
    ) -> Result<detect::detector::Assessment, types::Failure> {
        let reading = |reading: detect::detector::Reading| crate::Reading {
            name: reading.name,
            value: reading.value,
            window_seconds: reading.window_seconds,
        };
        let observation = crate::Observation {
            subject: match observation.subject {
                detect::detector::Subject::Request(request) => {
                    crate::Subject::Request(crate::Request::on(ground::Request(request)))
                }
                detect::detector::Subject::Event(event) => crate::Subject::Event(crate::Event {
                    kind: event.kind,
                    at: event.at,
                    attributes: event.attributes,
                }),
            },
            counters: observation.counters.into_iter().map(reading).collect(),
        };
        let assessment = with(|plugin: &T| plugin.detect(&observation))??;
        let part = |part: crate::Contribution| detect::detector::Contribution {
            points: part.points,
            reason: part.reason,
        };
        Ok(detect::detector::Assessment {
            risk: assessment.risk.into_iter().map(part).collect(),
            findings: ground::findings(assessment.findings),
        })
    }
}
