//! Signs what is sent, and when, with a key of the host.

use portcullis_sdk::prelude::*;

struct Plugin;

impl Sign for Plugin {
    type Config = ();

    /// Runs once, before the plugin serves: what is slow belongs here.
    fn new((): ()) -> Result<Self, Failure> {
        Ok(Self)
    }

    /// The key is a name: its bytes stay with the host.
    fn sign(&self, message: &Message, key: &str) -> Result<Vec<Header>, Failure> {
        let body = match message {
            Message::Bytes(bytes) => bytes,
            Message::Request(request) => &request.body,
        };
        let sent_at = (host::clock::now_milliseconds() / 1000).to_string();
        let signature = host::crypto::sign(key, &[sent_at.as_bytes(), b".", body].concat())?;
        Ok(vec![
            Header::new("x-sent-at", sent_at),
            Header::new("x-signature", hexadecimal(&signature)),
        ])
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

portcullis_sdk::export_sign!(Plugin);

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_sdk::host::crypto::Algorithm;
    use portcullis_sdk::testing::Host;

    #[test]
    fn the_time_is_signed_with_the_body() {
        let host = Host::new().now_milliseconds(5_000).key(
            "webhook",
            Algorithm::HmacSha256,
            <[u8]>::to_vec,
        );
        let (headers, _) = host.run(|| Plugin.sign(&Message::Bytes(b"hi".to_vec()), "webhook"));
        assert_eq!(
            headers.unwrap(),
            [
                Header::new("x-sent-at", "5"),
                Header::new("x-signature", "352e6869")
            ]
        );
    }
}
