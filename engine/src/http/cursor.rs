//! Cursors: a place in a list, tied to the list that it is of.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::ApiError;
use crate::protect::{Key, digest};

/// Writes a cursor for `place` in the list that `parameters` describe.
pub(super) fn write(key: &Key, place: u64, parameters: &str) -> String {
    let place = place.to_be_bytes();
    let mac = key.mac(&message(place, parameters));
    URL_SAFE_NO_PAD.encode([&place[..], &mac[..]].concat())
}

/// Reads a cursor.
///
/// # Errors
/// When this server did not write it for these parameters.
pub(super) fn read(key: &Key, cursor: &str, parameters: &str) -> Result<u64, ApiError> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| ApiError::InvalidCursor)?;
    let (place, mac) = bytes.split_first_chunk::<8>().ok_or(ApiError::InvalidCursor)?;
    if key.verify_mac(&message(*place, parameters), mac) {
        Ok(u64::from_be_bytes(*place))
    } else {
        Err(ApiError::InvalidCursor)
    }
}

/// Writes a cursor for a place that is text.
pub(super) fn write_text(key: &Key, place: &str, parameters: &str) -> String {
    let mac = key.mac(&digest(&["text", place, parameters]));
    URL_SAFE_NO_PAD.encode([&mac[..], place.as_bytes()].concat())
}

/// Reads a cursor whose place is text.
///
/// # Errors
/// When this server did not write it for these parameters.
pub(super) fn read_text(key: &Key, cursor: &str, parameters: &str) -> Result<String, ApiError> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| ApiError::InvalidCursor)?;
    let mac_bytes = key.mac(b"").len();
    let (mac, place) = bytes.split_at_checked(mac_bytes).ok_or(ApiError::InvalidCursor)?;
    let place = std::str::from_utf8(place).map_err(|_| ApiError::InvalidCursor)?;
    if key.verify_mac(&digest(&["text", place, parameters]), mac) {
        Ok(place.to_owned())
    } else {
        Err(ApiError::InvalidCursor)
    }
}

fn message(place: [u8; 8], parameters: &str) -> Vec<u8> {
    [&place[..], parameters.as_bytes()].concat()
}
