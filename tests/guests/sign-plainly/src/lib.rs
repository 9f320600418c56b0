//! Signs the body and the time with the key that it is told, or does what the header `x-do` says and it must not.

use portcullis_sdk::prelude::*;

struct SignPlainly;

impl Sign for SignPlainly {
    type Config = ();

    fn new((): ()) -> Result<Self, Failure> {
        Ok(Self)
    }

    fn sign(&self, message: &Message, key: &str) -> Result<Vec<Header>, Failure> {
        let (body, wish) = match message {
            Message::Bytes(bytes) => (bytes, None),
            Message::Request(request) => {
                let wish = request.headers.iter().find(|header| header.name == "x-do");
                (&request.body, wish.map(|header| header.value.as_str()))
            }
        };
        let key = match wish {
            Some("other-key") => "other",
            _ => key,
        };
        let sent_at = (host::clock::now_milliseconds() / 1000).to_string();
        let signature = host::crypto::sign(key, &[sent_at.as_bytes(), b".", body].concat())?;
        let signature: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(match wish {
            Some("nothing") => Vec::new(),
            Some("look-up") => {
                let attributes = host::lookup::attributes("user", "alice")?;
                vec![Header::new("x-department", attributes.text("/department").unwrap_or_default())]
            }
            Some("smuggle") => vec![Header::new("x-signature", "a\r\nx-admin: true")],
            _ => vec![Header::new("x-sent-at", sent_at), Header::new("x-signature", signature)],
        })
    }
}

portcullis_sdk::export_sign!(SignPlainly);
